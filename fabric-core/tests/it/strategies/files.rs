//! The files of a checkpoint, as bytes that a test may change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fabric_core::storage::{FileKind, Storage};
use fabric_core::testing::Memory;
pub(crate) use testkit::files::holding;
use testkit::files::read;

pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file below a path.
pub(crate) fn files(storage: &Memory, path: &Path) -> Files {
    if storage.kind(path).expect("memory") == Some(FileKind::File) {
        return Files::from([(path.to_owned(), read(storage, path))]);
    }
    let names = storage.list(path).expect("a directory");
    names.iter().flat_map(|name| files(storage, &path.join(name))).collect()
}
