//! The bytes of a stored checkpoint.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::entry::Row;
use crate::error::Result;
use crate::load::cast::{Take, cast};
use crate::progress::Meter;
use crate::save::file::{ByteRun, Contents};
use crate::source::read::{PartialSums, stream, stream_noting};
use crate::source::{Source, StoredTensor};

/// Boxes of stored tensors, which are read when they are written.
pub(super) struct StoredContents<'s> {
    source: &'s dyn Source,
    rows: Vec<Row<&'s StoredTensor>>,
    /// The partial checksums of blocks that boxes share; complete once all boxes have been read.
    sums: PartialSums,
    /// The tensors with finite numbers that became infinite.
    overflowed: RefCell<BTreeSet<String>>,
}

impl<'s> StoredContents<'s> {
    pub(super) fn new(source: &'s dyn Source) -> Self {
        Self {
            source,
            rows: Vec::new(),
            sums: PartialSums::default(),
            overflowed: RefCell::default(),
        }
    }

    /// Sets the rows of the next file.
    pub(super) fn set_rows(&mut self, rows: Vec<Row<&'s StoredTensor>>) {
        self.rows = rows;
    }

    pub(super) fn rows(&self) -> &[Row<&'s StoredTensor>] {
        &self.rows
    }

    /// The contents, which tell the meter of the bytes that are read.
    pub(super) fn counted<'c>(&'c self, meter: &'c Meter) -> CountedContents<'c, 's> {
        CountedContents { stored: self, meter }
    }

    /// Verifies the checksums of blocks that were read in parts.
    pub(super) fn verify_shared_blocks(&self) -> Result<()> {
        self.sums.finish(self.source)
    }

    /// The names of the tensors with finite numbers that became infinite.
    pub(super) fn overflowed(self) -> Vec<String> {
        self.overflowed.into_inner().into_iter().collect()
    }
}

/// Contents that tell of their progress.
pub(super) struct CountedContents<'c, 's> {
    pub(super) stored: &'c StoredContents<'s>,
    meter: &'c Meter,
}

impl Contents for CountedContents<'_, '_> {
    fn read(&self, row: usize, take: &mut dyn FnMut(ByteRun<'_>) -> Result<()>) -> Result<()> {
        let StoredContents {
            source,
            rows,
            sums,
            overflowed,
        } = self.stored;
        let Row {
            name,
            region,
            whole,
            bytes: stored,
        } = &rows[row];
        let located = source.locate(name, stored, region.as_ref())?;
        let read = |take: &mut Take<'_>| {
            let take = |bytes: &[u8]| {
                take(bytes)?;
                self.meter.add(name, bytes.len() as u64)
            };
            match region {
                None => stream(*source, name, &located, take),
                Some(region) => stream_noting(*source, name, &located.cut_out(region), sums, take),
            }
        };
        let types = (stored.info.dtype(), whole.dtype());
        if cast(name, types, read, &mut |bytes| take(ByteRun::of(bytes)))? {
            overflowed.borrow_mut().insert(name.to_string());
        }
        Ok(())
    }
}
