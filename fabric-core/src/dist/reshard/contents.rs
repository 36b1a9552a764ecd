//! The bytes of a stored checkpoint.

use crate::entry::Row;
use crate::error::Result;
use crate::save::file::{ByteRun, Contents};
use crate::source::read::{PartialSums, stream, stream_noting};
use crate::source::{Source, StoredTensor};

/// Boxes of stored tensors, which are read when they are written.
pub(super) struct StoredContents<'s> {
    source: &'s dyn Source,
    rows: Vec<Row<&'s StoredTensor>>,
    /// The partial checksums of blocks that boxes share; complete once all boxes have been read.
    sums: PartialSums,
}

impl<'s> StoredContents<'s> {
    pub(super) fn new(source: &'s dyn Source, rows: Vec<Row<&'s StoredTensor>>) -> Self {
        Self {
            source,
            rows,
            sums: PartialSums::default(),
        }
    }

    /// Sets the rows of the next file.
    pub(super) fn set_rows(&mut self, rows: Vec<Row<&'s StoredTensor>>) {
        self.rows = rows;
    }

    pub(super) fn rows(&self) -> &[Row<&'s StoredTensor>] {
        &self.rows
    }

    /// Verifies the checksums of blocks that were read in parts.
    pub(super) fn verify_shared_blocks(&self) -> Result<()> {
        self.sums.finish(self.source)
    }
}

impl Contents for StoredContents<'_> {
    fn read(&self, row: usize, take: &mut dyn FnMut(ByteRun<'_>) -> Result<()>) -> Result<()> {
        let take = |bytes: &[u8]| take(ByteRun::of(bytes));
        let Row {
            name,
            region,
            bytes: stored,
            ..
        } = &self.rows[row];
        let located = self.source.locate(name, stored, region.as_ref())?;
        match region {
            None => stream(self.source, name, &located, take),
            Some(region) => {
                let cut = located.cut_out(region);
                stream_noting(self.source, name, &cut, &self.sums, take)
            }
        }
    }
}
