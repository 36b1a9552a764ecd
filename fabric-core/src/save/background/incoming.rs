//! The contents of a file as they come out of the staging memory.

use std::cell::RefCell;
use std::sync::mpsc::Receiver;

use super::pack::{Filled, Packed};
use crate::error::{Error, Result};
use crate::save::file::{Contents, Run};

/// Pieces in the order in which they were copied.
pub(crate) struct Incoming {
    arrived: RefCell<Arrived>,
    /// The length of each piece.
    lens: Vec<usize>,
}

struct Arrived {
    filled: Receiver<Result<Filled>>,
    /// The chunk that is being read, and the run in it that is next.
    open: Option<(Filled, usize)>,
}

impl Incoming {
    pub(crate) fn new(filled: Receiver<Result<Filled>>, lens: Vec<usize>) -> Self {
        Self {
            arrived: RefCell::new(Arrived { filled, open: None }),
            lens,
        }
    }
}

impl Contents for Incoming {
    fn read(&self, piece: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
        let mut left = self.lens[piece];
        while left > 0 {
            let written = self.arrived.borrow_mut().next(piece, take)?;
            left = left.saturating_sub(written);
        }
        Ok(())
    }
}

impl Arrived {
    /// Hands over the next run, which is one of this piece, and gives its length.
    fn next(&mut self, piece: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<usize> {
        let (filled, at) = match self.open.take() {
            Some(open) => open,
            None => {
                let stopped = |_| Error::Internal("the thread that copies tensors has stopped".to_owned());
                (self.filled.recv().map_err(stopped)??, 0)
            }
        };
        let Packed { piece: of, bytes, sums } = &filled.runs[at];
        if *of != piece {
            return Err(Error::Internal(format!(
                "piece {of} was copied where piece {piece} is to be written"
            )));
        }
        let len = bytes.len();
        take(Run {
            bytes: &filled.chunk[bytes.clone()],
            sums: Some(&filled.sums[sums.clone()]),
        })?;
        // A chunk that was read to its end goes back at once.
        if at + 1 < filled.runs.len() {
            self.open = Some((filled, at + 1));
        }
        Ok(len)
    }
}
