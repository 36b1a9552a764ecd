//! The bytes of a stored checkpoint.

use std::sync::Arc;

use crate::entry::Row;
use crate::error::Result;
use crate::save::file::{Contents, Run};
use crate::source::read::{Shares, stream};
use crate::source::{Reader, Source, StoredTensor};

/// Boxes of stored tensors, read when they are written.
pub(crate) struct Stored<'s> {
    source: &'s dyn Source,
    rows: Vec<Row<&'s StoredTensor>>,
    /// Of blocks that boxes share. When all boxes have been read, they are complete.
    shares: Arc<Shares>,
}

impl<'s> Stored<'s> {
    pub(crate) fn new(source: &'s dyn Source, rows: Vec<Row<&'s StoredTensor>>) -> Self {
        Self {
            source,
            rows,
            shares: Arc::default(),
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
        self.shares.settle(self.source, &[self.shares.encode()?])
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
                let reader = Reader {
                    replica: 0,
                    shares: self.shares.clone(),
                };
                stream(self.source, name, &located.cut_out(region, &reader), take)
            }
        }
    }
}
