//! Reads and verifies one block.

use crate::error::{Error, Result};
use crate::io::checksum::BLOCK;
use crate::source::{Block, Part, Source};

impl Part {
    /// The blocks of a part from its first element to the last one. `item` is the number of bytes of an element.
    pub(crate) fn blocks_read(&self, item: usize) -> impl Iterator<Item = Block> + '_ {
        let span = self.span(item.max(1));
        let blocks = span.start / BLOCK..span.end.div_ceil(BLOCK);
        self.blocks().filter(move |block| blocks.contains(&block.number))
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

/// The error for a block with a wrong checksum.
pub(crate) fn damaged(source: &dyn Source, entry: &str, block: Block) -> Error {
    Error::Checksum {
        path: source.file(block.file).1.to_path_buf(),
        entry: entry.to_owned(),
        block: block.number,
        start: block.start,
        end: block.start + block.len as u64,
    }
}
