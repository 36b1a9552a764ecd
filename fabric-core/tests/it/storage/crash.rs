//! What `Memory` says that a crash leaves.

use std::collections::BTreeSet;
use std::path::Path;

use fabric_core::storage::{FileKind, Storage};
use fabric_core::testing::Memory;

use super::suite::{read, write};

fn at(path: &str) -> &Path {
    Path::new(path)
}

/// A file whose bytes are durable, and its name if its directory is synced.
fn write_synced(storage: &dyn Storage, path: &str, bytes: &[u8]) {
    let mut file = storage.create(at(path)).unwrap();
    file.write_all(bytes).unwrap();
    file.sync().unwrap();
}

/// All files of a store with their bytes, and all directories, as lines in order.
fn picture(storage: &dyn Storage, directory: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for name in storage.list(at(directory)).unwrap() {
        let path = at(directory).join(name).display().to_string();
        if storage.kind(at(&path)).unwrap() == Some(FileKind::Directory) {
            lines.push(format!("{path}/"));
            lines.extend(picture(storage, &path));
        } else {
            lines.push(format!(
                "{path}={}",
                String::from_utf8(read(storage, at(&path)).unwrap()).unwrap()
            ));
        }
    }
    lines
}

/// Every state that a crash may leave, as one line each.
fn states(memory: &Memory) -> BTreeSet<String> {
    let states = memory.crash_states(10_000);
    let pictures: BTreeSet<String> = states.iter().map(|left| picture(left, "").join(" ")).collect();
    assert_eq!(pictures.len(), states.len(), "each state is listed once");
    pictures
}

#[track_caller]
fn assert_states<const N: usize>(memory: &Memory, expected: [&str; N]) {
    assert_eq!(states(memory), expected.map(str::to_owned).into());
}

#[test]
fn a_store_where_nothing_is_pending_has_one_state() {
    let memory = Memory::new();
    assert_states(&memory, [""]);
    write_synced(&memory, "file", b"bytes");
    memory.sync_dir(at("")).unwrap();
    assert_states(&memory, ["file=bytes"]);
}

#[test]
fn an_unsynced_write_may_be_missing_or_torn() {
    let memory = Memory::new();
    write(&memory, at("file"), b"abcd");
    memory.sync_dir(at("")).unwrap();
    assert_states(
        &memory,
        ["file=", "file=ab", "file=ab\0\0", "file=\0\0\0\0", "file=abcd"],
    );
}

#[test]
fn of_several_unsynced_writes_any_may_be_missing() {
    let memory = Memory::new();
    let mut file = memory.create(at("file")).unwrap();
    for bytes in [b"a", b"b", b"c"] {
        file.write_all(bytes).unwrap();
    }
    memory.sync_dir(at("")).unwrap();
    let expected = [
        "", "a", "\0b", "ab", "\0\0c", "a\0c", "\0bc", "abc", // as long as what is left
        "\0\0\0", "a\0\0", "\0b\0", "ab\0", // of full length
    ];
    assert_eq!(states(&memory), expected.map(|bytes| format!("file={bytes}")).into());
}

#[test]
fn synced_bytes_are_left_by_every_crash() {
    let memory = Memory::new();
    let mut file = memory.create(at("file")).unwrap();
    file.write_all(b"ab").unwrap();
    file.sync().unwrap();
    file.write_all(b"c").unwrap();
    memory.sync_dir(at("")).unwrap();
    assert_states(&memory, ["file=ab", "file=ab\0", "file=abc"]);
}

#[test]
fn a_synced_file_may_have_lost_its_name() {
    let memory = Memory::new();
    write_synced(&memory, "file", b"bytes");
    assert_states(&memory, ["", "file=bytes"]);
}

#[test]
fn an_unsynced_rename_may_be_undone() {
    let memory = Memory::new();
    write_synced(&memory, "last", b"old");
    write_synced(&memory, "draft", b"new");
    memory.sync_dir(at("")).unwrap();
    memory.rename(at("draft"), at("last")).unwrap();
    assert_states(&memory, ["draft=new last=old", "last=new"]);

    memory.sync_dir(at("")).unwrap();
    assert_states(&memory, ["last=new"]);
}

#[test]
fn a_renamed_file_that_was_not_synced_may_be_empty() {
    let memory = Memory::new();
    write(&memory, at("draft"), b"n");
    memory.rename(at("draft"), at("last")).unwrap();
    memory.sync_dir(at("")).unwrap();
    assert_states(&memory, ["last=", "last=\0", "last=n"]);
}

#[test]
fn an_unsynced_removal_may_be_undone() {
    let memory = Memory::new();
    write_synced(&memory, "file", b"bytes");
    memory.sync_dir(at("")).unwrap();
    memory.remove_file(at("file")).unwrap();
    assert_states(&memory, ["", "file=bytes"]);

    memory.sync_dir(at("")).unwrap();
    assert_states(&memory, [""]);
}

#[test]
fn the_removal_of_an_abandoned_file_may_be_undone() {
    let memory = Memory::new();
    write_synced(&memory, "draft", b"bytes");
    memory.sync_dir(at("")).unwrap();
    assert!(memory.remove_if_abandoned(at("draft")).unwrap());
    assert_states(&memory, ["", "draft=bytes"]);
}

#[test]
fn steps_on_different_names_survive_in_any_combination() {
    let memory = Memory::new();
    write_synced(&memory, "a", b"");
    write_synced(&memory, "b", b"");
    assert_states(&memory, ["", "a=", "b=", "a= b="]);
}

#[test]
fn a_step_needs_the_earlier_ones_on_its_names() {
    let memory = Memory::new();
    write_synced(&memory, "draft", b"1");
    memory.rename(at("draft"), at("last")).unwrap();
    write_synced(&memory, "draft", b"2");
    memory.rename(at("draft"), at("last")).unwrap();
    assert_states(&memory, ["", "draft=1", "last=1", "draft=2 last=1", "last=2"]);
}

#[test]
fn syncing_one_directory_leaves_others_pending() {
    let memory = Memory::new();
    memory.create_dir_all(at("d")).unwrap();
    write_synced(&memory, "d/file", b"");
    write_synced(&memory, "file", b"");
    memory.sync_dir(at("")).unwrap();
    assert_states(&memory, ["d/ file=", "d/ d/file= file="]);
}

#[test]
fn a_rename_between_directories_is_done_as_a_whole_or_not() {
    let memory = Memory::new();
    memory.create_dir_all(at("a")).unwrap();
    memory.create_dir_all(at("b")).unwrap();
    write_synced(&memory, "a/file", b"");
    memory.sync_dir(at("a")).unwrap();
    memory.rename(at("a/file"), at("b/file")).unwrap();
    assert_states(&memory, ["a/ a/file= b/", "a/ b/ b/file="]);

    memory.sync_dir(at("b")).unwrap();
    assert_states(&memory, ["a/ b/ b/file="]);
}

#[test]
fn syncing_makes_durable_what_had_to_happen_before() {
    let memory = Memory::new();
    memory.create_dir_all(at("a")).unwrap();
    memory.create_dir_all(at("b")).unwrap();
    write_synced(&memory, "a/draft", b"");
    memory.rename(at("a/draft"), at("b/last")).unwrap();
    memory.sync_dir(at("b")).unwrap();
    assert_states(&memory, ["a/ b/ b/last="]);
}

#[test]
fn created_directories_are_durable_at_once_and_nothing_beside_them() {
    let memory = Memory::new();
    write_synced(&memory, "file", b"");
    memory.create_dir_all(at("a/b")).unwrap();
    assert_states(&memory, ["a/ a/b/", "a/ a/b/ file="]);
}

#[test]
fn a_renamed_directory_takes_its_files_along_but_does_not_make_them_durable() {
    let memory = Memory::new();
    memory.create_dir_all(at("draft")).unwrap();
    write_synced(&memory, "draft/a", b"");
    memory.sync_dir(at("draft")).unwrap();
    write_synced(&memory, "draft/b", b"");
    memory.rename(at("draft"), at("last")).unwrap();
    assert_states(
        &memory,
        [
            "draft/ draft/a=",
            "draft/ draft/a= draft/b=",
            "last/ last/a=",
            "last/ last/a= last/b=",
        ],
    );
}

#[test]
fn the_removal_of_a_tree_may_be_found_half_done() {
    let memory = Memory::new();
    memory.create_dir_all(at("d")).unwrap();
    write_synced(&memory, "d/a", b"");
    write_synced(&memory, "d/b", b"");
    memory.sync_dir(at("d")).unwrap();
    memory.remove_dir_all(at("d")).unwrap();
    assert_states(&memory, ["", "d/", "d/ d/a=", "d/ d/b=", "d/ d/a= d/b="]);

    memory.sync_dir(at("")).unwrap();
    assert_states(&memory, [""]);
}

#[test]
fn a_directory_made_anew_does_not_hold_what_was_removed() {
    let memory = Memory::new();
    memory.create_dir_all(at("d")).unwrap();
    write_synced(&memory, "d/a", b"");
    memory.sync_dir(at("d")).unwrap();
    memory.remove_dir_all(at("d")).unwrap();
    memory.create_dir_all(at("d")).unwrap();
    assert_states(&memory, ["d/"]);
}

#[test]
fn after_a_crash_nothing_is_pending_and_nobody_writes() {
    let memory = Memory::new();
    let _writer = memory.create(at("draft")).unwrap();
    memory.sync_dir(at("")).unwrap();
    assert!(!memory.remove_if_abandoned(at("draft")).unwrap());
    for left in memory.crash_states(10) {
        assert_states(&left, ["draft="]);
        assert!(left.remove_if_abandoned(at("draft")).unwrap());
    }
}

#[test]
fn a_state_after_a_crash_is_a_store_of_its_own() {
    let memory = Memory::new();
    let mut file = memory.create(at("file")).unwrap();
    let left = memory.crash_states(10);
    file.write_all(b"more").unwrap();
    for left in left {
        write(&left, at("other"), b"");
        assert!(
            read(&left, at("file")).is_ok_and(|bytes| bytes.is_empty()) || left.kind(at("file")).unwrap().is_none()
        );
    }
    assert_eq!(picture(&memory, ""), ["file=more"]);
}

#[test]
fn clones_are_the_same_store() {
    let memory = Memory::new();
    write(&memory.clone(), at("file"), b"bytes");
    assert_eq!(read(&memory, at("file")).unwrap(), b"bytes");
    assert_eq!(format!("{memory:?}"), r#"Memory {"file": 5}"#);
}

#[test]
fn too_many_states_are_sampled_the_same_way_each_time_with_their_extremes() {
    let memory = Memory::new();
    for number in 0..20 {
        write(&memory, at(&format!("file{number:02}")), b"bytes");
    }
    let pictures = |limit| {
        memory
            .crash_states(limit)
            .iter()
            .map(|left| picture(left, ""))
            .collect::<Vec<_>>()
    };
    let sampled = pictures(300);
    assert_eq!(sampled.len(), 300);
    assert_eq!(sampled, pictures(300));
    assert_eq!(sampled.iter().collect::<BTreeSet<_>>().len(), 300);

    let all = |bytes: &str| {
        (0..20)
            .map(|number| format!("file{number:02}={bytes}"))
            .collect::<Vec<_>>()
    };
    assert!(sampled.contains(&Vec::new()));
    assert!(sampled.contains(&all("")) && sampled.contains(&all("bytes")));
    for number in 0..20 {
        let mut one_short = all("bytes");
        one_short[number] = format!("file{number:02}=");
        assert!(sampled.contains(&one_short));
    }
}

#[test]
fn a_file_of_many_writes_is_sampled_with_its_extremes() {
    let memory = Memory::new();
    let mut file = memory.create(at("file")).unwrap();
    for _ in 0..30 {
        file.write_all(b"x").unwrap();
    }
    memory.sync_dir(at("")).unwrap();
    let left: BTreeSet<Vec<u8>> = memory
        .crash_states(200)
        .iter()
        .map(|left| read(left, at("file")).unwrap())
        .collect();
    assert!(left.len() > 100);
    assert!(left.contains(&Vec::new()) && left.contains(&vec![0; 30]) && left.contains(&vec![b'x'; 30]));
    for hole in 0..30 {
        let mut one_missing = vec![b'x'; 30];
        one_missing[hole] = 0;
        assert!(left.contains(&one_missing));
    }
}

#[test]
fn a_limit_is_kept() {
    let memory = Memory::new();
    for name in ["a", "b", "c"] {
        write(&memory, at(name), b"bytes");
    }
    for limit in 0..20 {
        assert_eq!(memory.crash_states(limit).len(), limit);
    }
}
