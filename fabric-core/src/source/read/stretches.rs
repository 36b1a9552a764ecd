//! Reads stretches of a contiguous tensor, in any order and from any thread.

use super::check::RunCheck;
use super::lent::read_blocks;
use super::{Part, Source, StoredTensor};
use crate::error::Result;
use crate::io::checksum::BLOCK;

/// A tensor that is one contiguous, unconverted run of a file.
pub(crate) struct Stretches<'s> {
    source: &'s dyn Source,
    entry: &'s str,
    part: &'s Part,
    run: RunCheck,
}

impl<'s> Stretches<'s> {
    /// `None` if the tensor has several parts, or is a box of one. The tensor has been located.
    ///
    /// # Errors
    /// If the tensor lies in a longer run, which is verified first, and the run is damaged.
    pub(crate) fn of(source: &'s dyn Source, entry: &'s str, tensor: &'s StoredTensor) -> Result<Option<Self>> {
        let [part] = &tensor.parts[..] else { return Ok(None) };
        let len = tensor.info.byte_len().map(|len| len as u64);
        if part.arrangement.is_some() || part.cut.is_some() || len != Some(part.place.len) {
            return Ok(None);
        }
        let run = RunCheck::of(source, entry, part)?;
        Ok(Some(Self {
            source,
            entry,
            part,
            run,
        }))
    }

    /// Fills `into` with the bytes from `at` on, and compares their checksums. `at` is the start of a block, and `into`
    /// ends with a block or with the tensor.
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) -> Result<()> {
        debug_assert!(at.is_multiple_of(BLOCK));
        let blocks = self.part.blocks().skip(at / BLOCK);
        read_blocks(self.source, self.entry, blocks, into, &self.run)
    }

    /// Compares the checksum of the whole run, if it has one, after every stretch was read.
    pub(crate) fn finish(self) -> Result<()> {
        self.run.finish(self.source, self.entry)
    }
}
