//! A source that reports to the progress meter how many bytes of one entry were read.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::entry::Region;
use crate::error::Result;
use crate::progress::Meter;
use crate::source::{About, Index, Source, StoredTensor};
use crate::storage::ReadFile;

/// Counts each byte of an entry once. Bytes around the entry, and repeated reads, do not count.
#[derive(Debug)]
pub(super) struct Counted<'w> {
    source: &'w dyn Source,
    meter: &'w Meter,
    entry: &'w str,
    /// The bytes that have not been counted.
    left: AtomicU64,
}

impl<'w> Counted<'w> {
    pub(crate) fn new(source: &'w dyn Source, meter: &'w Meter, entry: &'w str, bytes: u64) -> Self {
        Self {
            source,
            meter,
            entry,
            left: AtomicU64::new(bytes),
        }
    }

    /// Counts the remaining bytes after the entry was read.
    pub(crate) fn finish(&self) -> Result<()> {
        self.count(u64::MAX)
    }

    fn count(&self, bytes: u64) -> Result<()> {
        let less = |left: u64| Some(left.saturating_sub(bytes));
        let (Ok(left) | Err(left)) = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.meter.add(self.entry, left.min(bytes))
    }
}

impl Source for Counted<'_> {
    fn index(&self) -> &Arc<Index> {
        self.source.index()
    }

    fn about(&self) -> Result<About> {
        self.source.about()
    }

    fn file(&self, number: usize) -> (&dyn ReadFile, &Path) {
        self.source.file(number)
    }

    fn mark(&self) -> Option<&str> {
        self.source.mark()
    }

    fn locate<'t>(
        &self,
        entry: &'t str,
        tensor: &'t StoredTensor,
        wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        self.source.locate(entry, tensor, wanted)
    }

    fn note_read(&self, bytes: usize) -> Result<()> {
        self.count(bytes as u64)
    }
}
