//! The files of a checkpoint, as bytes that a test may change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fabric_core::storage::{FileKind, Storage};
use fabric_core::testing::Memory;

pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file below a path.
pub(crate) fn files(storage: &Memory, path: &Path) -> Files {
    if storage.kind(path).expect("memory") == Some(FileKind::File) {
        let file = storage.open(path).expect("a file");
        let mut bytes = vec![0; usize::try_from(file.len().expect("memory")).expect("small")];
        file.read_exact_at(&mut bytes, 0).expect("memory");
        return Files::from([(path.to_owned(), bytes)]);
    }
    let names = storage.list(path).expect("a directory");
    names.iter().flat_map(|name| files(storage, &path.join(name))).collect()
}

/// A store with these files.
pub(crate) fn holding(files: &Files) -> Memory {
    let storage = Memory::new();
    for (path, bytes) in files {
        storage
            .create_dir_all(path.parent().expect("a directory"))
            .expect("memory");
        storage
            .create(path)
            .expect("a new file")
            .write_all(bytes)
            .expect("memory");
    }
    storage
}
