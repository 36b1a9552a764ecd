//! What `Counting` counts.

use std::path::Path;

use fabric_core::storage::Storage;
use fabric_core::testing::{Counting, Memory};

use super::suite::{read, write};

#[test]
fn reads_are_counted_by_file() {
    let storage = Counting::new(Memory::new());
    write(&storage, Path::new("a"), b"0123456789");
    write(&storage, Path::new("b"), b"01234");
    let file = storage.open(Path::new("a")).unwrap();
    let mut into = [0; 4];
    file.read_exact_at(&mut into, 0).unwrap();
    assert_eq!(file.read_at(&mut into, 8).unwrap(), 2);
    storage.open(Path::new("b")).unwrap();

    assert_eq!(storage.bytes_read("a"), 6);
    assert_eq!(storage.bytes_read("b"), 0);
    let by_file: Vec<_> = storage.bytes_read_by_file().into_iter().collect();
    assert_eq!(by_file, [("a".into(), 6), ("b".into(), 0)]);
}

#[test]
fn clones_share_the_counts_and_reset_clears_them() {
    let storage = Counting::new(Memory::new());
    write(&storage, Path::new("a"), b"0123456789");
    read(&storage.clone(), Path::new("a")).unwrap();
    assert_eq!(storage.bytes_read("a"), 10);
    storage.reset();
    assert_eq!(storage.bytes_read("a"), 0);
}

#[test]
fn what_is_lent_counts_as_read() {
    let storage = Counting::new(Memory::new());
    write(&storage, Path::new("a"), b"0123456789");
    let file = storage.open(Path::new("a")).unwrap();
    assert!(file.lend(2, 5, &mut |bytes| assert_eq!(bytes, b"23456")));
    assert!(!file.lend(2, 9, &mut |_| panic!("there are eight")));
    assert_eq!(storage.bytes_read("a"), 5);
}
