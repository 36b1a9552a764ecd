//! A storage on which few files can be open for reading at a time, as on a machine with a limit for each process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fabric_core::storage::{FileKind, ReadFile, Storage, WriteFile};

/// Passes everything on, and refuses to open a file when `most` are open.
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    inner: S,
    most: usize,
    open: Arc<AtomicUsize>,
}

impl<S: Storage> Limited<S> {
    pub(crate) fn new(inner: S, most: usize) -> Self {
        Self {
            inner,
            most,
            open: Arc::default(),
        }
    }

    /// How many are open now.
    pub(crate) fn open_now(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl<S: Storage> Storage for Limited<S> {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let counted = Counted(self.open.clone());
        if self.open.fetch_add(1, Ordering::SeqCst) >= self.most {
            return Err(io::Error::other("too many open files"));
        }
        Ok(Box::new(Reader {
            inner: self.inner.open(path)?,
            _counted: counted,
        }))
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

/// One open file, until it is dropped.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Reader {
    inner: Box<dyn ReadFile>,
    _counted: Counted,
}

impl ReadFile for Reader {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn identity(&self) -> io::Result<Option<[u64; 4]>> {
        self.inner.identity()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(into, offset)
    }
}
