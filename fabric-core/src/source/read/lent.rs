//! Reads neighbouring blocks. A block is copied from the storage's mapping, with its checksum in the same pass, or else
//! read.

use smallvec::SmallVec;

use super::block::damaged;
use super::check::{RunCheck, read_view};
use super::{Block, Sum, check_block, no_less, out_of_bounds, read_block};
use crate::error::Result;
use crate::io::checksum::{self, BLOCK};
use crate::io::lent::Lent;
use crate::io::pages;
use crate::source::Source;

/// The number of blocks that are mapped at a time. Mapped bytes count as memory of the process.
pub(super) const WINDOW: usize = 4;

/// Fills `into` with `blocks`, which follow each other in one file, and compares or records their checksums.
pub(super) fn read_blocks(
    source: &dyn Source,
    entry: &str,
    mut blocks: impl Iterator<Item = Block>,
    into: &mut [u8],
    run: &RunCheck,
) -> Result<()> {
    match run {
        RunCheck::View(run) => match blocks.next() {
            Some(first) => read_view(source, entry, run, first.start, into),
            None => Ok(()),
        },
        _ => read_pieces(source, entry, blocks, into, run, BLOCK),
    }
}

/// Reads blocks of any size that divides [`BLOCK`].
pub(super) fn read_pieces(
    source: &dyn Source,
    entry: &str,
    mut blocks: impl Iterator<Item = Block>,
    into: &mut [u8],
    run: &RunCheck,
    size: usize,
) -> Result<()> {
    for into in into.chunks_mut(WINDOW * BLOCK) {
        let blocks: SmallVec<[Block; WINDOW]> = blocks.by_ref().take(into.len().div_ceil(size)).collect();
        if blocks.iter().map(|block| block.len).sum::<usize>() != into.len() {
            return Err(out_of_bounds(source, entry));
        }
        if !copy_lent(source, entry, &blocks, into, run, size)? {
            for (block, into) in blocks.iter().zip(into.chunks_mut(size)) {
                read_block(source, entry, *block, into)?;
                run.note(block.number, into);
            }
        }
    }
    Ok(())
}

/// Copies the bytes that the storage lends. Returns false if it lends none, or another number of bytes than it
/// promised, since programs implement storages, too.
fn copy_lent(
    source: &dyn Source,
    entry: &str,
    blocks: &[Block],
    into: &mut [u8],
    run: &RunCheck,
    size: usize,
) -> Result<bool> {
    let Some(first) = blocks.first() else { return Ok(false) };
    let (len, mut is_copied, mut broken) = (into.len(), false, None);
    source.file(first.file).0.lend(first.start, len, &mut |bytes| {
        if is_copied || bytes.len() != len {
            return;
        }
        is_copied = true;
        let pieces = Lent::from(bytes).chunks(size).zip(into.chunks_mut(size));
        let mut copied = blocks.iter().zip(pieces);
        broken = copied.find_map(|(block, (from, into))| (!copy(*block, from, into, run)).then_some(*block));
    });
    if let Some(block) = broken {
        return Err(damaged(source, entry, block));
    }
    if is_copied {
        // The progress callback runs after the mapping is closed: it may be slow, and a writer of the file would wait
        // for it.
        blocks.iter().try_for_each(|block| source.note_read(block.len))?;
    }
    Ok(is_copied)
}

/// The bytes of blocks that lie near each other in one file, verified, in order and without gaps. Each block has the
/// name of its entry.
pub(crate) fn read_together(source: &dyn Source, blocks: &[(&str, Block)]) -> Result<Vec<u8>> {
    let (Some((entry, first)), Some((_, last))) = (blocks.first(), blocks.last()) else {
        return Ok(Vec::new());
    };
    let span = usize::try_from(last.start - first.start).unwrap_or(usize::MAX);
    let all = Block {
        len: span.saturating_add(last.len),
        sum: None,
        ..*first
    };
    let len = blocks.iter().map(|(_, block)| block.len).sum();
    let mut packed = no_less(source, pages::zeroed(len))?;
    if pack_lent(source, all, blocks, &mut packed) {
        source.note_read(all.len)?;
    } else {
        let mut bytes = no_less(source, pages::zeroed(all.len))?;
        read_block(source, entry, all, &mut bytes)?;
        pack((&*bytes).into(), all, blocks, &mut packed);
    }
    let mut rest = &packed[..];
    for (entry, block) in blocks {
        let (bytes, later) = rest.split_at(block.len);
        check_block(source, entry, *block, bytes)?;
        rest = later;
    }
    Ok(packed)
}

/// Packs the blocks from the storage's mapping. Returns false if the storage lends none.
fn pack_lent(source: &dyn Source, all: Block, blocks: &[(&str, Block)], packed: &mut [u8]) -> bool {
    let mut is_packed = false;
    source.file(all.file).0.lend(all.start, all.len, &mut |bytes| {
        // The closure only copies, because a writer of the file may wait for the mapping.
        if !is_packed && bytes.len() == all.len {
            pack(bytes.into(), all, blocks, packed);
            is_packed = true;
        }
    });
    is_packed
}

fn pack(from: Lent<'_>, all: Block, blocks: &[(&str, Block)], packed: &mut [u8]) {
    let mut rest = packed;
    for (_, block) in blocks {
        let at = usize::try_from(block.start - all.start).unwrap_or(usize::MAX);
        let (bytes, _) = from.split_at(at).1.split_at(block.len);
        let (now, later) = rest.split_at_mut(block.len);
        bytes.read(now);
        rest = later;
    }
}

/// Copies a block, and returns true if it matches its checksum.
fn copy(block: Block, from: Lent<'_>, into: &mut [u8], run: &RunCheck) -> bool {
    match block.sum {
        Some(Sum::Crc64(sum)) => checksum::copied(from, into) == sum,
        Some(Sum::Crc32(sum)) => checksum::copied_crc32(from, into) == sum,
        None => {
            run.copy(block.number, from, into);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::source::Index;
    use crate::storage::ReadFile;

    /// A file of sevens that lends other bytes than it promises.
    #[derive(Debug)]
    struct Faithless {
        lends: Option<usize>,
        says: bool,
    }

    impl ReadFile for Faithless {
        fn len(&self) -> io::Result<u64> {
            Ok(u64::MAX)
        }

        fn read_at(&self, into: &mut [u8], _offset: u64) -> io::Result<usize> {
            into.fill(7);
            Ok(into.len())
        }

        fn lend(&self, _offset: u64, _len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
            if let Some(len) = self.lends {
                take(&vec![9; len]);
            }
            self.says
        }
    }

    impl Source for Faithless {
        fn about(&self) -> Result<crate::source::About> {
            unreachable!("nobody asks")
        }

        fn index(&self) -> &Arc<Index> {
            unreachable!("nothing is looked up")
        }

        fn file(&self, _number: usize) -> (&dyn ReadFile, &Path) {
            (self, Path::new("sevens"))
        }
    }

    #[test]
    fn what_was_not_lent_whole_is_read() {
        for lends in [None, Some(0), Some(BLOCK), Some(2 * BLOCK + 1)] {
            for says in [false, true] {
                let source = Faithless { lends, says };
                let block = |number: usize| Block {
                    number,
                    file: 0,
                    start: (number * BLOCK) as u64,
                    len: BLOCK,
                    sum: None,
                };
                let mut into = vec![0; 2 * BLOCK];
                let read = read_blocks(&source, "x", (0..2).map(block), &mut into, &RunCheck::None);
                read.expect("it can be read");
                assert!(into.iter().all(|byte| *byte == 7), "{source:?}");
                let bytes = read_together(&source, &[("x", block(1))]).expect("it can be read");
                let expected = if lends == Some(BLOCK) { 9 } else { 7 };
                assert!(
                    bytes.len() == BLOCK && bytes.iter().all(|byte| *byte == expected),
                    "{source:?}"
                );
            }
        }
    }
}
