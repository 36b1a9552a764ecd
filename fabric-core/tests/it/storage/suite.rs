//! What every storage does, one sentence a function. Each is given an empty directory of its own.
//!
//! It needs nothing but the public interface, so other tests may include this file.

use std::io::{ErrorKind, Result};
use std::path::Path;

use fabric_core::storage::{FileKind, Storage};

pub(crate) fn write(storage: &dyn Storage, path: &Path, bytes: &[u8]) {
    storage.create(path).unwrap().write_all(bytes).unwrap();
}

pub(crate) fn read(storage: &dyn Storage, path: &Path) -> Result<Vec<u8>> {
    let file = storage.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("this was not refused"),
        Err(error) => assert_eq!(error.kind(), kind),
    }
}

pub(crate) fn what_was_written_in_pieces_is_read_whole(storage: &dyn Storage, root: &Path) {
    let path = root.join("file");
    let mut file = storage.create(&path).unwrap();
    file.write_all(b"one").unwrap();
    file.sync().unwrap();
    file.write_all(b"").unwrap();
    file.write_all(b" two").unwrap();
    file.sync().unwrap();
    drop(file);
    assert_eq!(read(storage, &path).unwrap(), b"one two");
}

pub(crate) fn opening_nothing_is_not_found(storage: &dyn Storage, root: &Path) {
    refused(storage.open(&root.join("file")), ErrorKind::NotFound);
    refused(storage.open(&root.join("directory/file")), ErrorKind::NotFound);
}

pub(crate) fn opening_a_directory_is_refused(storage: &dyn Storage, root: &Path) {
    refused(storage.open(root), ErrorKind::IsADirectory);
}

pub(crate) fn a_path_through_a_file_is_refused(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"");
    let below = root.join("file/below");
    refused(storage.open(&below), ErrorKind::NotADirectory);
    refused(storage.create(&below), ErrorKind::NotADirectory);
    refused(storage.list(&below), ErrorKind::NotADirectory);
}

pub(crate) fn create_refuses_what_exists(storage: &dyn Storage, root: &Path) {
    let path = root.join("file");
    write(storage, &path, b"first");
    refused(storage.create(&path), ErrorKind::AlreadyExists);
    assert_eq!(read(storage, &path).unwrap(), b"first");
    refused(storage.create(root), ErrorKind::AlreadyExists);
}

pub(crate) fn create_needs_its_directory(storage: &dyn Storage, root: &Path) {
    refused(storage.create(&root.join("directory/file")), ErrorKind::NotFound);
    assert_eq!(storage.kind(&root.join("directory")).unwrap(), None);
}

pub(crate) fn rename_moves_a_file(storage: &dyn Storage, root: &Path) {
    let (from, to) = (root.join("from"), root.join("to"));
    write(storage, &from, b"bytes");
    storage.rename(&from, &to).unwrap();
    assert_eq!(storage.list(root).unwrap(), ["to"]);
    assert_eq!(read(storage, &to).unwrap(), b"bytes");
}

pub(crate) fn rename_replaces_a_file(storage: &dyn Storage, root: &Path) {
    let (from, to) = (root.join("from"), root.join("to"));
    write(storage, &to, b"old and longer");
    write(storage, &from, b"new");
    storage.rename(&from, &to).unwrap();
    assert_eq!(storage.list(root).unwrap(), ["to"]);
    assert_eq!(read(storage, &to).unwrap(), b"new");
}

pub(crate) fn a_file_can_be_renamed_while_its_writer_holds_it(storage: &dyn Storage, root: &Path) {
    let (from, to) = (root.join("from"), root.join("to"));
    let mut file = storage.create(&from).unwrap();
    file.write_all(b"bytes").unwrap();
    storage.rename(&from, &to).unwrap();
    file.write_all(b" and more").unwrap();
    drop(file);
    assert_eq!(read(storage, &to).unwrap(), b"bytes and more");
}

pub(crate) fn a_file_is_the_same_when_it_is_opened_again_and_another_is_another(storage: &dyn Storage, root: &Path) {
    let (from, to) = (root.join("from"), root.join("to"));
    write(storage, &to, b"old");
    write(storage, &from, b"new");
    let identity = |path: &Path| storage.open(path).unwrap().identity().unwrap();
    let (first, again) = (storage.open(&to).unwrap(), identity(&to));
    assert_eq!(first.identity().unwrap(), again);
    storage.rename(&from, &to).unwrap();
    // A storage that cannot tell has no identities at all.
    assert_eq!(identity(&to) == again, again.is_none());
}

pub(crate) fn an_open_file_is_read_after_it_was_replaced_or_removed(storage: &dyn Storage, root: &Path) {
    let (from, to) = (root.join("from"), root.join("to"));
    write(storage, &to, b"old");
    write(storage, &from, b"newer");
    let replaced = storage.open(&to).unwrap();
    storage.rename(&from, &to).unwrap();
    let removed = storage.open(&to).unwrap();
    storage.remove_file(&to).unwrap();

    let mut bytes = [0; 5];
    assert_eq!(
        (replaced.len().unwrap(), replaced.read_at(&mut bytes, 0).unwrap()),
        (3, 3)
    );
    assert_eq!(&bytes[..3], b"old");
    removed.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"newer");
}

pub(crate) fn rename_of_nothing_is_not_found(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("to"), b"old");
    refused(
        storage.rename(&root.join("from"), &root.join("to")),
        ErrorKind::NotFound,
    );
    refused(
        storage.rename(&root.join("to"), &root.join("directory/to")),
        ErrorKind::NotFound,
    );
    assert_eq!(read(storage, &root.join("to")).unwrap(), b"old");
}

pub(crate) fn rename_keeps_files_and_directories_apart(storage: &dyn Storage, root: &Path) {
    let (file, directory) = (root.join("file"), root.join("directory"));
    write(storage, &file, b"");
    storage.create_dir_all(&directory).unwrap();
    refused(storage.rename(&file, &directory), ErrorKind::IsADirectory);
    refused(storage.rename(&directory, &file), ErrorKind::NotADirectory);
    assert_eq!(storage.list(root).unwrap(), ["directory", "file"]);
}

pub(crate) fn rename_moves_a_directory_with_its_contents(storage: &dyn Storage, root: &Path) {
    storage.create_dir_all(&root.join("from/inner")).unwrap();
    write(storage, &root.join("from/inner/file"), b"bytes");
    storage.rename(&root.join("from"), &root.join("to")).unwrap();
    assert_eq!(storage.list(root).unwrap(), ["to"]);
    assert_eq!(read(storage, &root.join("to/inner/file")).unwrap(), b"bytes");
}

pub(crate) fn rename_refuses_a_full_directory_and_one_in_itself(storage: &dyn Storage, root: &Path) {
    storage.create_dir_all(&root.join("from/inner")).unwrap();
    storage.create_dir_all(&root.join("full/inner")).unwrap();
    refused(
        storage.rename(&root.join("from"), &root.join("full")),
        ErrorKind::DirectoryNotEmpty,
    );
    refused(
        storage.rename(&root.join("from"), &root.join("from/inner/from")),
        ErrorKind::InvalidInput,
    );
    assert_eq!(storage.list(root).unwrap(), ["from", "full"]);
}

pub(crate) fn rename_to_its_own_name_changes_nothing(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"bytes");
    storage.rename(&root.join("file"), &root.join("file")).unwrap();
    assert_eq!(read(storage, &root.join("file")).unwrap(), b"bytes");
}

pub(crate) fn remove_file_removes_files_only(storage: &dyn Storage, root: &Path) {
    let (file, directory) = (root.join("file"), root.join("directory"));
    write(storage, &file, b"");
    storage.create_dir_all(&directory).unwrap();
    storage.remove_file(&file).unwrap();
    refused(storage.remove_file(&file), ErrorKind::NotFound);
    storage.remove_file(&directory).unwrap_err();
    assert_eq!(storage.list(root).unwrap(), ["directory"]);
}

pub(crate) fn create_dir_all_creates_parents_and_may_be_repeated(storage: &dyn Storage, root: &Path) {
    let path = root.join("one/two/three");
    storage.create_dir_all(&path).unwrap();
    write(storage, &path.join("file"), b"bytes");
    storage.create_dir_all(&path).unwrap();
    storage.create_dir_all(root).unwrap();
    assert_eq!(read(storage, &path.join("file")).unwrap(), b"bytes");
}

pub(crate) fn create_dir_all_refuses_a_file_in_the_way(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"");
    refused(storage.create_dir_all(&root.join("file")), ErrorKind::AlreadyExists);
    refused(
        storage.create_dir_all(&root.join("file/below")),
        ErrorKind::NotADirectory,
    );
    refused(
        storage.create_dir_all(&root.join("file/below/it")),
        ErrorKind::NotADirectory,
    );
}

pub(crate) fn remove_dir_all_removes_the_tree(storage: &dyn Storage, root: &Path) {
    storage.create_dir_all(&root.join("tree/inner")).unwrap();
    write(storage, &root.join("tree/inner/file"), b"");
    write(storage, &root.join("tree/file"), b"");
    storage.remove_dir_all(&root.join("tree")).unwrap();
    assert!(storage.list(root).unwrap().is_empty());
    refused(storage.remove_dir_all(&root.join("tree")), ErrorKind::NotFound);
}

pub(crate) fn remove_dir_all_leaves_a_file_and_the_current_directory(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"");
    refused(storage.remove_dir_all(&root.join("file")), ErrorKind::NotADirectory);
    refused(storage.remove_dir_all(Path::new("")), ErrorKind::NotFound);
    assert_eq!(storage.list(root).unwrap(), ["file"]);
}

pub(crate) fn sync_dir_needs_a_directory(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"");
    storage.sync_dir(root).unwrap();
    refused(storage.sync_dir(&root.join("nothing")), ErrorKind::NotFound);
    refused(storage.sync_dir(&root.join("file")), ErrorKind::NotADirectory);
}

pub(crate) fn kind_tells_files_directories_and_nothing_apart(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"");
    assert_eq!(storage.kind(&root.join("file")).unwrap(), Some(FileKind::File));
    assert_eq!(storage.kind(root).unwrap(), Some(FileKind::Directory));
    assert_eq!(storage.kind(&root.join("nothing")).unwrap(), None);
    assert_eq!(storage.kind(&root.join("nothing/below")).unwrap(), None);
    assert_eq!(storage.kind(&root.join("file/below")).unwrap(), None);
}

pub(crate) fn list_is_sorted_and_of_one_level(storage: &dyn Storage, root: &Path) {
    for name in ["b", "a10", "a2", "Z", ".hidden"] {
        write(storage, &root.join(name), b"");
    }
    storage.create_dir_all(&root.join("c/below")).unwrap();
    assert_eq!(storage.list(root).unwrap(), [".hidden", "Z", "a10", "a2", "b", "c"]);
}

pub(crate) fn list_needs_a_directory(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"");
    refused(storage.list(&root.join("nothing")), ErrorKind::NotFound);
    refused(storage.list(&root.join("file")), ErrorKind::NotADirectory);
}

pub(crate) fn the_empty_path_is_the_current_directory(storage: &dyn Storage, _root: &Path) {
    let empty = Path::new("file").parent().unwrap();
    assert_eq!(storage.kind(empty).unwrap(), Some(FileKind::Directory));
    assert_eq!(storage.list(empty).unwrap(), storage.list(Path::new(".")).unwrap());
    storage.create_dir_all(empty).unwrap();
    storage.sync_dir(empty).unwrap();
}

pub(crate) fn dots_in_a_path_lead_nowhere_and_up(storage: &dyn Storage, root: &Path) {
    storage.create_dir_all(&root.join("one/two")).unwrap();
    write(storage, &root.join("./one/two/../file"), b"bytes");
    assert_eq!(read(storage, &root.join("one/file")).unwrap(), b"bytes");
    refused(storage.open(&root.join("nothing/../one/file")), ErrorKind::NotFound);
}

pub(crate) fn reading_past_the_end_gives_no_bytes(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"0123456789");
    let file = storage.open(&root.join("file")).unwrap();
    let mut bytes = [0; 4];
    assert_eq!(file.read_at(&mut bytes, 10).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, 1 << 40).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, 8).unwrap(), 2);
    assert_eq!(&bytes[..2], b"89");
    refused(file.read_exact_at(&mut bytes, 8), ErrorKind::UnexpectedEof);
    file.read_exact_at(&mut bytes, 6).unwrap();
    assert_eq!(&bytes, b"6789");
}

pub(crate) fn an_empty_file_is_empty(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("empty"), b"");
    write(storage, &root.join("full"), b"x");
    assert!(storage.open(&root.join("empty")).unwrap().is_empty().unwrap());
    assert!(!storage.open(&root.join("full")).unwrap().is_empty().unwrap());
}

pub(crate) fn several_threads_read_one_file(storage: &dyn Storage, root: &Path) {
    let bytes: Vec<u8> = (0..=255).collect();
    write(storage, &root.join("file"), &bytes);
    let file = storage.open(&root.join("file")).unwrap();
    std::thread::scope(|scope| {
        for part in 0..4_usize {
            let (file, bytes) = (&file, &bytes);
            scope.spawn(move || {
                let mut into = [0; 64];
                file.read_exact_at(&mut into, part as u64 * 64).unwrap();
                assert_eq!(into, bytes[part * 64..][..64]);
            });
        }
    });
}

pub(crate) fn what_is_lent_is_what_is_read_and_all_of_it(storage: &dyn Storage, root: &Path) {
    let bytes: Vec<u8> = (0..=250).cycle().take(3 << 20).collect();
    write(storage, &root.join("file"), &bytes);
    let file = storage.open(&root.join("file")).unwrap();
    for (offset, len) in [(0, bytes.len()), (7, 1), (2048, 2 << 20), (bytes.len(), 0)] {
        let mut calls = 0;
        let lent = file.lend(offset as u64, len, &mut |lent| {
            calls += 1;
            assert!(lent == &bytes[offset..offset + len], "{len} bytes from {offset}");
        });
        assert_eq!(calls, usize::from(lent));
    }
    for (offset, len) in [
        (1, bytes.len()),
        (bytes.len() as u64, 1),
        (1 << 40, 1),
        (0, usize::MAX),
        (u64::MAX, 2 << 20),
    ] {
        let lent = file.lend(offset, len, &mut |_| {
            panic!("{len} bytes from {offset} are not in the file")
        });
        assert!(!lent);
    }
}

pub(crate) fn what_is_no_link_resolves_to_itself(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"");
    for path in [root, &root.join("file"), &root.join("nothing"), Path::new("bare")] {
        assert_eq!(storage.resolve(path).unwrap(), path);
    }
}

pub(crate) fn a_file_is_abandoned_when_its_writer_is_gone(storage: &dyn Storage, root: &Path) {
    let path = root.join("file");
    let writer = storage.create(&path).unwrap();
    assert!(!storage.remove_if_abandoned(&path).unwrap());
    assert_eq!(storage.kind(&path).unwrap(), Some(FileKind::File));
    drop(writer);
    assert!(storage.remove_if_abandoned(&path).unwrap());
    assert_eq!(storage.kind(&path).unwrap(), None);
}

pub(crate) fn only_files_can_be_abandoned(storage: &dyn Storage, root: &Path) {
    storage.create_dir_all(&root.join("directory")).unwrap();
    assert!(!storage.remove_if_abandoned(&root.join("directory")).unwrap());
    assert!(!storage.remove_if_abandoned(&root.join("nothing")).unwrap());
    assert!(!storage.remove_if_abandoned(&root.join("nothing/below")).unwrap());
    assert_eq!(storage.list(root).unwrap(), ["directory"]);
}

pub(crate) fn an_abandoned_file_can_be_held_in_its_writer_s_place(storage: &dyn Storage, root: &Path) {
    let path = root.join("file");
    let writer = storage.create(&path).unwrap();
    assert!(storage.take_over(&path).unwrap().is_none(), "its writer lives");
    drop(writer);
    let held = storage.take_over(&path).unwrap().expect("nobody holds it");
    assert!(storage.take_over(&path).unwrap().is_none());
    assert!(!storage.remove_if_abandoned(&path).unwrap());
    assert_eq!(storage.kind(&path).unwrap(), Some(FileKind::File));
    drop(held);
    assert!(storage.remove_if_abandoned(&path).unwrap());
}

pub(crate) fn what_is_taken_over_stays_as_it_is(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("file"), b"bytes");
    let held = storage.take_over(&root.join("file")).unwrap();
    assert!(held.is_some());
    assert_eq!(read(storage, &root.join("file")).unwrap(), b"bytes");
}

pub(crate) fn only_files_can_be_taken_over(storage: &dyn Storage, root: &Path) {
    storage.create_dir_all(&root.join("directory")).unwrap();
    assert!(storage.take_over(&root.join("directory")).unwrap().is_none());
    assert!(storage.take_over(&root.join("nothing")).unwrap().is_none());
}

pub(crate) fn remove_dir_removes_empty_directories_only(storage: &dyn Storage, root: &Path) {
    storage.create_dir_all(&root.join("empty")).unwrap();
    write(storage, &root.join("file"), b"");
    refused(storage.remove_dir(root), ErrorKind::DirectoryNotEmpty);
    refused(storage.remove_dir(&root.join("file")), ErrorKind::NotADirectory);
    refused(storage.remove_dir(&root.join("nothing")), ErrorKind::NotFound);
    storage.remove_dir(&root.join("empty")).unwrap();
    assert_eq!(storage.list(root).unwrap(), ["file"]);
}

pub(crate) fn list_os_has_every_name_of_list(storage: &dyn Storage, root: &Path) {
    for name in ["b", "a", ".hidden"] {
        write(storage, &root.join(name), b"");
    }
    assert_eq!(storage.list_os(root).unwrap(), [".hidden", "a", "b"]);
    refused(storage.list_os(&root.join("nothing")), ErrorKind::NotFound);
}

pub(crate) fn a_file_like_another_is_new_and_empty(storage: &dyn Storage, root: &Path) {
    write(storage, &root.join("old"), b"old");
    for (new, old) in [("first", "old"), ("second", "nothing")] {
        let mut file = storage.create_like(&root.join(new), &root.join(old)).unwrap();
        assert!(!storage.remove_if_abandoned(&root.join(new)).unwrap());
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(read(storage, &root.join(new)).unwrap(), b"new");
        refused(
            storage.create_like(&root.join(new), &root.join(old)),
            ErrorKind::AlreadyExists,
        );
    }
    assert_eq!(read(storage, &root.join("old")).unwrap(), b"old");
    storage.create_dir_all(&root.join("directory")).unwrap();
    for (new, old) in [("third", "directory"), ("fourth", "nothing")] {
        storage.create_dir_like(&root.join(new), &root.join(old)).unwrap();
        assert_eq!(storage.kind(&root.join(new)).unwrap(), Some(FileKind::Directory));
    }
}
