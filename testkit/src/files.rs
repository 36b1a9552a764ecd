//! Storages with files whose bytes a test knows.

use std::path::{Path, PathBuf};

use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Fabric, RawCheckpoint, Result};

/// One process on this storage.
pub fn on(storage: impl Storage + 'static) -> Fabric {
    Fabric::builder().storage(storage).build().expect("one device")
}

/// The bytes of a file.
pub fn read(storage: &dyn Storage, path: impl AsRef<Path>) -> Vec<u8> {
    let file = storage.open(path.as_ref()).expect("a file");
    let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
    file.read_exact_at(&mut bytes, 0).expect("all of it");
    bytes
}

/// A new file in a folder that may be new.
pub fn write(storage: &dyn Storage, path: impl AsRef<Path>, bytes: &[u8]) {
    let folder = path.as_ref().parent().expect("a file in a folder");
    storage.create_dir_all(folder).expect("a folder");
    let mut file = storage.create(path.as_ref()).expect("a new file");
    file.write_all(bytes).expect("memory");
}

/// A storage in memory with these files.
pub fn holding<P: AsRef<Path>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (P, B)>) -> Memory {
    let memory = Memory::new();
    for (path, bytes) in files {
        write(&memory, path, bytes.as_ref());
    }
    memory
}

/// A storage in memory with these files.
pub fn storage(files: &[(&str, &[u8])]) -> Memory {
    holding(files.iter().copied())
}

/// A checkpoint among these files.
pub fn open(files: &[(&str, &[u8])], path: &str) -> Result<RawCheckpoint> {
    on(storage(files)).open(path)
}

/// What PyTorch or Lightning wrote under this name.
pub fn fixture(name: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/pytorch")
        .join(name)
}
