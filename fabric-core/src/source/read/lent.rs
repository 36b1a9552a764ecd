//! Blocks that lie together: copied from where the storage lends them, in one pass with their checksums, or else read.

use smallvec::SmallVec;

use super::block::damaged;
use super::check::RunCheck;
use super::{Block, Sum, out_of_bounds, read_block};
use crate::checksum::{self, BLOCK};
use crate::error::Result;
use crate::source::Source;

/// The blocks that are lent at a time. What a thread is lent counts as memory of the process.
const WINDOW: usize = 4;

/// Fills `into` with `blocks`, which follow each other in one file, and compares their checksums or notes them.
pub(super) fn read_blocks(
    source: &dyn Source,
    entry: &str,
    mut blocks: impl Iterator<Item = Block>,
    into: &mut [u8],
    run: &RunCheck,
) -> Result<()> {
    for into in into.chunks_mut(WINDOW * BLOCK) {
        let blocks: SmallVec<[Block; WINDOW]> = blocks.by_ref().take(into.len().div_ceil(BLOCK)).collect();
        if blocks.iter().map(|block| block.len).sum::<usize>() != into.len() {
            return Err(out_of_bounds(source, entry));
        }
        if !copy_lent(source, entry, &blocks, into, run)? {
            for (block, into) in blocks.iter().zip(into.chunks_mut(BLOCK)) {
                read_block(source, entry, *block, into)?;
                run.note(block.number, into);
            }
        }
    }
    Ok(())
}

/// Whether the storage lent them.
fn copy_lent(source: &dyn Source, entry: &str, blocks: &[Block], into: &mut [u8], run: &RunCheck) -> Result<bool> {
    let Some(first) = blocks.first() else { return Ok(true) };
    let mut broken = None;
    let lent = source.file(first.file).0.lend(first.start, into.len(), &mut |bytes| {
        let pieces = bytes.chunks(BLOCK).zip(into.chunks_mut(BLOCK));
        let mut copied = blocks.iter().zip(pieces);
        broken = copied.find_map(|(block, (from, into))| (!copy(*block, from, into, run)).then_some(*block));
    });
    if let Some(block) = broken {
        return Err(damaged(source, entry, block));
    }
    if lent {
        // Here and not above: what listens may take its time, and somebody may wait for the file.
        blocks.iter().try_for_each(|block| source.note_read(block.len))?;
    }
    Ok(lent)
}

/// Whether the block is as its checksum says.
fn copy(block: Block, from: &[u8], into: &mut [u8], run: &RunCheck) -> bool {
    match block.sum {
        Some(Sum::Crc64(sum)) => checksum::copied(from, into) == sum,
        Some(Sum::Crc32(sum)) => checksum::copied_crc32(from, into) == sum,
        None => {
            run.copy(block.number, from, into);
            true
        }
    }
}
