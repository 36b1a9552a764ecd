//! A block of bytes for one direct write.

use std::fmt;
use std::io;

use super::{ALIGNMENT, BLOCK};
use crate::io::pages;
use crate::io::streaming::{self, Unsummed};

/// Aligned memory, and the place of its bytes in the file.
pub(super) struct Block {
    /// The allocation, which exceeds the block by the alignment.
    memory: Vec<u8>,
    start: usize,
    size: usize,
    /// The number of bytes filled.
    pub(super) len: usize,
    pub(super) at: u64,
}

impl Block {
    /// # Errors
    /// If the system lacks the memory.
    /// If there is not as much memory.
    pub(super) fn new(size: usize) -> io::Result<Self> {
        // The extra memory for the alignment is never touched, so the system provides no pages for it.
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

    /// Copies as many bytes as fit, and returns their number.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.size - self.len);
        let into = &mut self.memory[self.start + self.len..][..taken];
        // Only the device reads the block, so the copy bypasses the cache.
        streaming::copy(&bytes[..taken], into, &mut Unsummed);
        self.len += taken;
        taken
    }

    /// Cuts the block to `len` bytes, and returns the bytes behind them.
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
