//! How `Faulty` fails, and what crash tests built on it find.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Result};
use std::path::Path;

use fabric_core::storage::Storage;
use fabric_core::testing::{Fault, Faulty, Memory};

use super::suite::{read, write};

fn at(path: &str) -> &Path {
    Path::new(path)
}

/// The commit of one file, as it is right.
fn save(storage: &dyn Storage, bytes: &[u8]) -> Result<()> {
    let mut file = storage.create(at("draft"))?;
    file.write_all(bytes)?;
    file.sync()?;
    storage.rename(at("draft"), at("last"))?;
    storage.sync_dir(at(""))
}

/// The same, wrong: the bytes are not synced.
fn save_carelessly(storage: &dyn Storage, bytes: &[u8]) -> Result<()> {
    storage.create(at("draft"))?.write_all(bytes)?;
    storage.rename(at("draft"), at("last"))?;
    storage.sync_dir(at(""))
}

#[test]
fn operations_are_counted_and_logged() {
    let storage = Faulty::new(Memory::new());
    save(&storage, b"bytes").unwrap();
    read(&storage, at("last")).unwrap();
    assert_eq!(storage.operations(), 8);
    assert_eq!(
        storage.log(),
        [
            "create draft",
            "write_all to draft, 5 bytes",
            "sync draft",
            "rename draft to last",
            "sync_dir ",
            "open last",
            "len of last",
            "read_at 0 of last, 5 bytes",
        ]
    );
}

#[test]
fn an_error_strikes_one_operation_and_the_next_one_works() {
    let memory = Memory::new();
    let storage = Faulty::new(memory.clone()).with_fault(1, Fault::Error(ErrorKind::PermissionDenied));
    storage.create_dir_all(at("a")).unwrap();
    assert_eq!(
        storage.create_dir_all(at("b")).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(memory.list(at("")).unwrap(), ["a"]);
    storage.create_dir_all(at("b")).unwrap();
    assert_eq!(memory.list(at("")).unwrap(), ["a", "b"]);
}

#[test]
fn an_error_of_the_system_keeps_its_number() {
    let storage = Faulty::new(Memory::new()).with_fault(0, Fault::Os(5));
    assert_eq!(storage.sync_dir(at("")).unwrap_err().raw_os_error(), Some(5));
}

#[test]
fn every_operation_can_fail() {
    fn all(storage: &dyn Storage) -> Vec<Result<()>> {
        let mut into = [0; 2];
        let mut writer = storage.create(at("draft")).unwrap();
        let mut results = vec![writer.announce(5), writer.write_all(b"bytes"), writer.sync()];
        drop(writer);
        let reader = storage.open(at("draft")).unwrap();
        results.extend([reader.len().map(drop), reader.read_at(&mut into, 0).map(drop)]);
        results.push(storage.rename(at("draft"), at("last")));
        results.extend([storage.kind(at("")).map(drop), storage.list(at("")).map(drop)]);
        results.extend([storage.resolve(at("last")).map(drop), storage.sync_dir(at(""))]);
        results.extend([storage.create_dir_all(at("d")), storage.remove_dir_all(at("d"))]);
        results.push(storage.remove_if_abandoned(at("last")).map(drop));
        results.extend([storage.create(at("file")).map(drop), storage.remove_file(at("file"))]);
        results
    }
    let failed: BTreeSet<usize> = (0..17)
        .filter(|k| ![0, 4].contains(k))
        .map(|k| {
            let storage = Faulty::new(Memory::new()).with_fault(k, Fault::Os(5));
            let results = all(&storage);
            let first = results.iter().position(Result::is_err).unwrap();
            assert_eq!(
                results[first].as_ref().unwrap_err().raw_os_error(),
                Some(5),
                "{}",
                storage.log()[k]
            );
            first
        })
        .collect();
    assert_eq!(failed, (0..15).collect());
    for k in [0, 3] {
        let storage = Faulty::new(Memory::new()).with_fault(k, Fault::Os(5));
        let opened = save(&storage, b"bytes").and_then(|()| read(&storage, at("last")));
        assert_eq!(opened.unwrap_err().raw_os_error(), Some(5));
    }
}

#[test]
fn a_short_write_stores_a_part_and_fails_for_want_of_room() {
    let memory = Memory::new();
    let storage = Faulty::new(memory.clone()).with_fault(1, Fault::ShortWrite);
    let mut file = storage.create(at("file")).unwrap();
    assert_eq!(file.write_all(b"abcdef").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(read(&memory, at("file")).unwrap(), b"abc");
    file.write_all(b"g").unwrap();
    assert_eq!(read(&memory, at("file")).unwrap(), b"abcg");
}

#[test]
fn a_short_write_leaves_other_operations_alone() {
    let storage = Faulty::new(Memory::new()).with_fault(0, Fault::ShortWrite);
    save(&storage, b"bytes").unwrap();
}

#[test]
fn a_full_storage_refuses_until_something_is_removed() {
    let memory = Memory::new();
    write(&memory, at("old"), b"bytes");
    let storage = Faulty::new(memory.clone()).with_fault(1, Fault::Full);
    let mut file = storage.create(at("file")).unwrap();
    for _ in 0..2 {
        assert_eq!(file.write_all(b"abc").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(storage.create(at("other")).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(
            storage.create_dir_all(at("d")).unwrap_err().kind(),
            ErrorKind::StorageFull
        );
    }
    assert_eq!(read(&storage, at("old")).unwrap(), b"bytes");
    storage.remove_file(at("old")).unwrap();
    file.write_all(b"abc").unwrap();
    assert_eq!(read(&memory, at("file")).unwrap(), b"abc");
}

#[test]
fn after_a_stop_nothing_happens() {
    let memory = Memory::new();
    let storage = Faulty::new(memory.clone()).with_fault(2, Fault::Stop);
    let mut file = storage.create(at("draft")).unwrap();
    file.write_all(b"bytes").unwrap();
    file.sync().unwrap_err();
    file.write_all(b" and more").unwrap_err();
    storage.remove_file(at("draft")).unwrap_err();
    storage.remove_if_abandoned(at("draft")).unwrap_err();
    storage.rename(at("draft"), at("last")).unwrap_err();
    storage.create(at("other")).unwrap_err();
    storage.open(at("draft")).unwrap_err();
    drop(file);
    assert_eq!(memory.list(at("")).unwrap(), ["draft"]);
    assert_eq!(read(&memory, at("draft")).unwrap(), b"bytes");
}

#[test]
fn a_sync_that_failed_once_fails_ever_after_and_syncs_nothing() {
    let memory = Memory::new();
    let storage = Faulty::new(memory.clone()).with_fault(2, Fault::Os(5));
    let mut file = storage.create(at("file")).unwrap();
    file.write_all(b"bytes").unwrap();
    file.sync().unwrap_err();
    file.sync().unwrap_err();
    memory.sync_dir(at("")).unwrap();
    assert!(
        memory
            .crash_states(100)
            .iter()
            .any(|left| read(left, at("file")).unwrap().is_empty())
    );
    assert_eq!(storage.operations(), 4);
}

#[test]
fn clones_share_count_and_fault() {
    let storage = Faulty::new(Memory::new());
    let clone = storage.clone().with_fault(1, Fault::Stop);
    clone.sync_dir(at("")).unwrap();
    assert_eq!(storage.operations(), 1);
    storage.sync_dir(at("")).unwrap_err();
}

/// What loading may find if `save` stops anywhere over an older file, and whether it had reported success.
fn found_after_a_stop(save: fn(&dyn Storage, &[u8]) -> Result<()>) -> BTreeSet<(Vec<u8>, bool)> {
    let mut found = BTreeSet::new();
    for k in 0.. {
        let memory = Memory::new();
        self::save(&memory, b"old").unwrap();
        let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
        let saved = save(&storage, b"new").is_ok();
        found.extend(
            memory
                .crash_states(1000)
                .iter()
                .map(|left| (read(left, at("last")).unwrap(), saved)),
        );
        if saved {
            break;
        }
    }
    found
}

#[test]
fn a_right_commit_leaves_the_old_file_or_the_new_one_at_every_stop() {
    let expected = [
        (b"new".to_vec(), false),
        (b"new".to_vec(), true),
        (b"old".to_vec(), false),
    ];
    assert_eq!(found_after_a_stop(save), expected.into());
}

#[test]
fn a_careless_commit_is_found_out() {
    let found = found_after_a_stop(save_carelessly);
    assert!(
        found.contains(&(Vec::new(), true)),
        "a save that reported success may have left an empty file"
    );
}
