//! A storage in memory whose files are read through something else.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use fabric_core::storage::{FileKind, ReadFile, Storage, WriteFile};
use fabric_core::testing::Memory;

/// A layer between a reader and the bytes of a file.
pub(super) trait Between: Clone + Debug + Send + Sync + 'static {
    fn file(&self, inner: Box<dyn ReadFile>) -> Box<dyn ReadFile>;
}

#[derive(Clone, Debug)]
pub(super) struct Through<B> {
    pub(super) inner: Memory,
    pub(super) between: B,
}

impl<B: Between> Storage for Through<B> {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(self.between.file(self.inner.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.inner.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        self.inner.kind(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.resolve(path)
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        self.inner.remove_if_abandoned(path)
    }
}
