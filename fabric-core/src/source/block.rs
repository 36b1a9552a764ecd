//! Blocks of a part, each with its place in the file and its checksum.

use super::{Check, Extent, Part};
use crate::io::checksum::{self, BLOCK};

/// One block of a part: its place in the file, its range in the part, and its checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) number: usize,
    pub(crate) file: usize,
    pub(crate) start: u64,
    pub(crate) len: usize,
    pub(crate) sum: Option<Sum>,
}

impl Block {
    pub(crate) fn place(self) -> Extent {
        Extent {
            file: self.file,
            start: self.start,
            len: self.len as u64,
        }
    }
}

/// The checksum of a block, in the algorithm of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    Crc64(u64),
    Crc32(u32),
}

impl Sum {
    pub(crate) fn is_of(self, bytes: &[u8]) -> bool {
        match self {
            Self::Crc64(sum) => sum == checksum::of(bytes),
            Self::Crc32(sum) => sum == checksum::crc32(bytes),
        }
    }
}

impl Part {
    /// All blocks of the part, regardless of the box that is read.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        // The index has compared the length with the tensor's size in memory.
        let len = usize::try_from(self.place.len).unwrap_or(usize::MAX);
        (0..len.div_ceil(BLOCK)).map(move |number| {
            let from = number * BLOCK;
            Block {
                number,
                file: self.place.file,
                start: self.place.start + from as u64,
                len: BLOCK.min(len - from),
                sum: self.sum(number),
            }
        })
    }

    /// The checksum of one block; `None` if blocks have no checksums.
    pub(crate) fn sum(&self, number: usize) -> Option<Sum> {
        match &self.check {
            Check::Blocks(sums) => sums.get(number).copied().map(Sum::Crc64),
            Check::Run(run) if self.is_whole_run() && self.place.len <= BLOCK as u64 => Some(Sum::Crc32(run.crc32)),
            _ => None,
        }
    }
}
