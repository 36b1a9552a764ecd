//! A storage on which few files can be open for reading at a time, as on a machine with a limit for each process.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fabric_core::storage::{ReadFile, Storage};
use fabric_core::testing::Layer;

/// Passes everything on, and refuses to open a file when `most` are open.
#[derive(Clone, Debug)]
pub(crate) struct Limited {
    inner: Arc<dyn Storage>,
    most: usize,
    open: Arc<AtomicUsize>,
}

impl Limited {
    pub(crate) fn new(inner: impl Storage + 'static, most: usize) -> Self {
        Self {
            inner: Arc::new(inner),
            most,
            open: Arc::default(),
        }
    }

    /// How many are open now.
    pub(crate) fn open_now(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Layer for Limited {
    fn below(&self) -> &dyn Storage {
        &*self.inner
    }

    fn reading(&self, _: &Path, inner: Box<dyn ReadFile>) -> io::Result<Box<dyn ReadFile>> {
        let counted = Counted(self.open.clone());
        if self.open.fetch_add(1, Ordering::SeqCst) >= self.most {
            return Err(io::Error::other("too many open files"));
        }
        Ok(Box::new(Reader {
            inner,
            _counted: counted,
        }))
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
