//! A storage that counts the bytes that are read.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Layer;
use crate::storage::{ReadFile, Storage};

/// A storage that forwards every call to another storage, and counts the bytes that are read from each file or lent by
/// it.
///
/// Clones share the counts: give one clone to the code under test.
///
/// # Examples
/// ```
/// use std::path::Path;
/// use fabric_core::storage::Storage;
/// use fabric_core::testing::{Counting, Memory};
///
/// # fn main() -> std::io::Result<()> {
/// let storage = Counting::new(Memory::new());
/// storage.create(Path::new("weights"))?.write_all(b"0123456789")?;
///
/// let mut four = [0; 4];
/// storage.open(Path::new("weights"))?.read_exact_at(&mut four, 2)?;
/// assert_eq!(storage.bytes_read("weights"), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Counting {
    inner: Arc<dyn Storage>,
    read: Counts,
}

/// The byte ranges that were read, by the path with which the file was opened.
#[derive(Clone, Debug, Default)]
struct Counts(Arc<Mutex<BTreeMap<PathBuf, Vec<Range<u64>>>>>);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Vec<Range<u64>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(reads: &[Range<u64>]) -> u64 {
    reads.iter().map(|place| place.end - place.start).sum()
}

impl Counting {
    /// Counts the reads from `inner`.
    #[must_use]
    pub fn new(inner: impl Storage + 'static) -> Self {
        Self {
            inner: Arc::new(inner),
            read: Counts::default(),
        }
    }

    /// The bytes read so far from the file that was opened as `path`.
    #[must_use]
    pub fn bytes_read(&self, path: impl AsRef<Path>) -> u64 {
        self.read.lock().get(path.as_ref()).map_or(0, |reads| bytes(reads))
    }

    /// The byte ranges of all reads so far from the file that was opened as `path`, in their order.
    #[must_use]
    pub fn reads(&self, path: impl AsRef<Path>) -> Vec<Range<u64>> {
        self.read.lock().get(path.as_ref()).cloned().unwrap_or_default()
    }

    /// The bytes read so far from every file that was opened, by the path it was opened with.
    #[must_use]
    pub fn bytes_read_by_file(&self) -> BTreeMap<PathBuf, u64> {
        let read = self.read.lock();
        read.iter().map(|(path, reads)| (path.clone(), bytes(reads))).collect()
    }

    /// Counts from zero again.
    pub fn reset(&self) {
        self.read.lock().clear();
    }
}

impl Layer for Counting {
    fn below(&self) -> &dyn Storage {
        &*self.inner
    }

    fn reading(&self, path: &Path, file: Box<dyn ReadFile>) -> io::Result<Box<dyn ReadFile>> {
        self.read.lock().entry(path.to_path_buf()).or_default();
        Ok(Box::new(CountingReader {
            inner: file,
            path: path.to_path_buf(),
            read: self.read.clone(),
        }))
    }
}

#[derive(Debug)]
struct CountingReader {
    inner: Box<dyn ReadFile>,
    path: PathBuf,
    read: Counts,
}

impl ReadFile for CountingReader {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn identity(&self) -> io::Result<Option<[u64; 4]>> {
        self.inner.identity()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.inner.read_at(into, offset)?;
        self.note(offset, count);
        Ok(count)
    }

    fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        let lent = self.inner.lend(offset, len, take);
        if lent {
            self.note(offset, len);
        }
        lent
    }
}

impl CountingReader {
    fn note(&self, offset: u64, count: usize) {
        let place = offset..offset.saturating_add(count as u64);
        self.read.lock().entry(self.path.clone()).or_default().push(place);
    }
}
