//! What every storage does with a file whose length it was told. One sentence a function, as in the suite.

use std::path::Path;

use fabric_core::storage::Storage;

use super::suite::read;

const MIB: usize = 1 << 20;

fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// Writes an announced file in pieces, syncs it, and compares what is there.
fn check(storage: &dyn Storage, root: &Path, len: usize, announced: u64, piece: usize) {
    let (path, bytes) = (root.join("file"), pattern(len));
    let mut file = storage.create(&path).unwrap();
    file.announce(announced).unwrap();
    bytes.chunks(piece).for_each(|piece| file.write_all(piece).unwrap());
    file.sync().unwrap();
    drop(file);
    let found = read(storage, &path).unwrap();
    assert!(found == bytes, "{len} bytes, announced as {announced}");
    assert_eq!(storage.list(root).unwrap(), ["file"]);
    storage.remove_file(&path).unwrap();
}

pub(crate) fn an_announced_file_holds_what_was_written(storage: &dyn Storage, root: &Path) {
    let around = |at: usize| [at - 1, at, at + 1];
    let lengths = [4096, MIB, MIB + 4096, 2 * MIB, 8 * MIB, 16 * MIB].map(around);
    for len in lengths.into_iter().flatten().chain([0, 1]) {
        check(storage, root, len, len as u64, 1_000_003);
    }
    check(storage, root, 24 * MIB + 7, 24 * MIB as u64 + 7, usize::MAX);
    check(storage, root, MIB + 7, MIB as u64 + 7, 61);
}

pub(crate) fn a_file_may_be_shorter_or_longer_than_announced(storage: &dyn Storage, root: &Path) {
    for len in [0, 1, 4096, MIB - 1, MIB, 3 * MIB + 1, 9 * MIB] {
        for announced in [0, 1, MIB, 2 * MIB + 5, 10 * MIB] {
            check(storage, root, len, announced as u64, MIB);
        }
    }
}

pub(crate) fn an_announced_file_can_be_written_on_after_its_sync(storage: &dyn Storage, root: &Path) {
    let (path, bytes) = (root.join("file"), pattern(3 * MIB + 3));
    let mut file = storage.create(&path).unwrap();
    file.announce(2 * MIB as u64).unwrap();
    for part in [&bytes[..MIB], &bytes[MIB..2 * MIB + 9], &bytes[2 * MIB + 9..]] {
        file.write_all(part).unwrap();
        file.sync().unwrap();
    }
    assert!(read(storage, &path).unwrap() == bytes);
}

pub(crate) fn an_announced_file_belongs_to_its_writer(storage: &dyn Storage, root: &Path) {
    let path = root.join("file");
    let mut file = storage.create(&path).unwrap();
    file.announce(2 * MIB as u64).unwrap();
    file.write_all(&pattern(2 * MIB)).unwrap();
    assert!(!storage.remove_if_abandoned(&path).unwrap());
    file.sync().unwrap();
    assert!(!storage.remove_if_abandoned(&path).unwrap());
    drop(file);
    assert!(storage.remove_if_abandoned(&path).unwrap());
}
