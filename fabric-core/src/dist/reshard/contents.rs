//! The bytes of a stored checkpoint.

use crate::entry::Row;
use crate::error::Result;
use crate::save::file::{Contents, Run};
use crate::source::read::{PartialSums, stream, stream_noting};
use crate::source::{Source, StoredTensor};

/// Boxes of stored tensors, read when they are written.
pub(crate) struct Stored<'s> {
    source: &'s dyn Source,
    rows: Vec<Row<&'s StoredTensor>>,
    /// Of blocks that boxes share. When all boxes have been read, they are complete.
    sums: PartialSums,
}

impl<'s> Stored<'s> {
    pub(crate) fn new(source: &'s dyn Source, rows: Vec<Row<&'s StoredTensor>>) -> Self {
        Self {
            source,
            rows,
            sums: PartialSums::default(),
        }
    }

    /// Goes on with the rows of another file.
    pub(crate) fn turn_to(&mut self, rows: Vec<Row<&'s StoredTensor>>) {
        self.rows = rows;
    }

    pub(crate) fn rows(&self) -> &[Row<&'s StoredTensor>] {
        &self.rows
    }

    /// Compares the checksums of blocks that were read in parts.
    pub(crate) fn settle(&self) -> Result<()> {
        self.sums.finish(self.source)
    }
}

impl Contents for Stored<'_> {
    fn read(&self, row: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
        let take = |bytes: &[u8]| take(Run::of(bytes));
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
