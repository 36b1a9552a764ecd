//! The contents of a file, read from the staging memory.

use std::cell::RefCell;
use std::sync::mpsc::Receiver;

use super::staging_writer::{FilledChunk, PackedRun};
use crate::error::{Error, Result};
use crate::save::file::{ByteRun, Contents};

/// Rows in the order in which they were copied.
pub(super) struct StagedReader {
    arrived: RefCell<ArrivedChunks>,
    /// The length of each row in bytes.
    lens: Vec<usize>,
}

struct ArrivedChunks {
    filled: Receiver<Result<FilledChunk>>,
    /// The chunk that is being read, and the number of its next run.
    open: Option<(FilledChunk, usize)>,
}

impl StagedReader {
    pub(super) fn new(filled: Receiver<Result<FilledChunk>>, lens: Vec<usize>) -> Self {
        Self {
            arrived: RefCell::new(ArrivedChunks { filled, open: None }),
            lens,
        }
    }
}

impl Contents for StagedReader {
    fn read(&self, row: usize, take: &mut dyn FnMut(ByteRun<'_>) -> Result<()>) -> Result<()> {
        let mut left = self.lens[row];
        while left > 0 {
            let written = self.arrived.borrow_mut().next(row, take)?;
            left = left.saturating_sub(written);
        }
        Ok(())
    }
}

impl ArrivedChunks {
    /// Hands the next run to `take`, which must belong to this row, and returns its length.
    fn next(&mut self, row: usize, take: &mut dyn FnMut(ByteRun<'_>) -> Result<()>) -> Result<usize> {
        let (filled, at) = match self.open.take() {
            Some(open) => open,
            None => {
                let stopped = |_| Error::Internal("the thread that copies tensors has stopped".to_owned());
                (self.filled.recv().map_err(stopped)??, 0)
            }
        };
        let PackedRun { row: of, bytes, sums } = &filled.runs[at];
        if *of != row {
            return Err(Error::Internal(format!(
                "row {of} was copied where row {row} is to be written"
            )));
        }
        let len = bytes.len();
        take(ByteRun {
            bytes: &filled.chunk[bytes.clone()],
            sums: Some(&filled.sums[sums.clone()]),
        })?;
        // A chunk that was read to its end returns to the staging memory at once.
        if at + 1 < filled.runs.len() {
            self.open = Some((filled, at + 1));
        }
        Ok(len)
    }
}
