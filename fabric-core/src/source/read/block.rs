//! Blocks of a part: each with its place in the file and its checksum, read and verified by itself.

use super::cut;
use crate::error::{Error, Result};
use crate::io::checksum::{self, BLOCK};
use crate::source::{Check, Part, Place, Source};

/// One block of a part: where it lies in the file, which bytes of the part it holds, and its checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) number: usize,
    pub(crate) file: usize,
    pub(crate) start: u64,
    pub(crate) len: usize,
    pub(crate) sum: Option<Sum>,
}

impl Block {
    pub(crate) fn place(self) -> Place {
        Place {
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
    fn is_of(self, bytes: &[u8]) -> bool {
        match self {
            Self::Crc64(sum) => sum == checksum::of(bytes),
            Self::Crc32(sum) => sum == checksum::crc32(bytes),
        }
    }
}

impl Part {
    /// The blocks that hold anything of what is read of the part, of a tensor with `item` bytes an element.
    pub(crate) fn blocks_read(&self, item: usize) -> impl Iterator<Item = Block> + '_ {
        let blocks = match &self.cut {
            Some(cut) => cut::blocks_of(self, cut, item.max(1)),
            None => 0..usize::MAX,
        };
        self.blocks().filter(move |block| blocks.contains(&block.number))
    }

    /// All blocks, whatever of them is read.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        // The length was checked against the tensor's size in memory when the index was made.
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

    /// The checksum of one block by itself, if there is one.
    pub(crate) fn sum(&self, number: usize) -> Option<Sum> {
        match &self.check {
            Check::Blocks(sums) => sums.get(number).copied().map(Sum::Crc64),
            Check::Run(run) if self.is_whole_run() && self.place.len <= BLOCK as u64 => Some(Sum::Crc32(run.crc32)),
            _ => None,
        }
    }
}

/// Fills `into` with one block and compares its checksum.
pub(crate) fn read_block(source: &dyn Source, entry: &str, block: Block, into: &mut [u8]) -> Result<()> {
    let (file, path) = source.file(block.file);
    file.read_exact_at(into, block.start)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::corrupt(
                path,
                format!(
                    "it ends inside entry `{entry}`, before byte {}",
                    block.start + block.len as u64
                ),
            ),
            _ => Error::io("read", path)(error),
        })?;
    check_block(source, entry, block, into)?;
    source.note_read(into.len())
}

pub(crate) fn check_block(source: &dyn Source, entry: &str, block: Block, bytes: &[u8]) -> Result<()> {
    if block.sum.is_none_or(|sum| sum.is_of(bytes)) {
        return Ok(());
    }
    Err(damaged(source, entry, block))
}

/// The error for a block that has another checksum.
pub(crate) fn damaged(source: &dyn Source, entry: &str, block: Block) -> Error {
    Error::Checksum {
        path: source.file(block.file).1.to_path_buf(),
        entry: entry.to_owned(),
        block: block.number,
        start: block.start,
        end: block.start + block.len as u64,
    }
}
