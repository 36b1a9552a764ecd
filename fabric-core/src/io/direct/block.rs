//! One block on its way to a file.

use std::fmt;
use std::io;

use super::{ALIGNMENT, BLOCK};
use crate::io::pages;
use crate::io::streaming::{self, Unsummed};

/// Aligned memory, and where in the file it belongs.
pub(super) struct Block {
    /// Longer than the block by the alignment.
    memory: Vec<u8>,
    start: usize,
    size: usize,
    /// How much is filled.
    pub(super) len: usize,
    pub(super) at: u64,
}

impl Block {
    /// # Errors
    /// If there is not as much memory.
    pub(super) fn new(size: usize) -> io::Result<Self> {
        // What is not touched takes no memory.
        let alignment = if size == BLOCK { BLOCK } else { ALIGNMENT };
        let memory: Vec<u8> = pages::zeroed(size + alignment)?;
        Ok(Self {
            start: memory.as_ptr().align_offset(alignment).min(alignment),
            memory,
            size,
            len: 0,
            at: 0,
        })
    }

    pub(super) fn begin(&mut self, at: u64) {
        self.len = 0;
        self.at = at;
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.size
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }

    /// Takes what there is room for, and says how much that is.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.size - self.len);
        let into = &mut self.memory[self.start + self.len..][..taken];
        // The device reads it, and nobody else.
        streaming::copy(&bytes[..taken], into, &mut Unsummed);
        self.len += taken;
        taken
    }

    /// Gives back what is behind the first `len` bytes.
    pub(super) fn split_off(&mut self, len: usize) -> Vec<u8> {
        let rest = self.bytes()[len..].to_vec();
        self.len = len;
        rest
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("len", &self.len).finish_non_exhaustive()
    }
}
