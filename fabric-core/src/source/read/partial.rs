//! Verifies blocks that are read in parts.
//!
//! A reader that needs some rows of a block reads only these rows, and cannot compute the block's checksum from them. A
//! CRC is linear, though: without its initial value and final complement, the CRC of a block is the exclusive or of the
//! CRCs of its pieces, each with zeros in place of the other bytes. Every read therefore adds the share of its bytes,
//! and a block that was read completely in pieces is verified without a second read. A block that was not read
//! completely is read again as a whole. Its checksum must be right, and the share of the bytes that were used must be
//! the share of these bytes in the second read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::block::{damaged, read_block};
use super::used::Used;
use crate::error::Result;
use crate::io::checksum::{self, BLOCK};
use crate::source::{Block, Source, Sum};

/// The checksums of blocks that were read in part.
#[derive(Debug, Default)]
pub(crate) struct PartialSums {
    /// By the block's file and offset, and by the name of the entry.
    blocks: Mutex<BTreeMap<BlockKey, BTreeMap<String, Noted>>>,
}

/// A block's file and offset.
pub(crate) type BlockKey = (usize, u64);

#[derive(Clone, Debug)]
struct Noted {
    block: Block,
    share: Share,
    used: Used,
}

/// The contribution of some bytes of a block to its checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// The CRC of the bytes, with zeros in place of all others, without initial value and complement.
    pub(crate) crc: u64,
    /// The number of bytes.
    pub(crate) covered: u64,
}

impl Share {
    pub(crate) fn add(&mut self, other: Self) {
        self.crc ^= other.crc;
        self.covered = self.covered.saturating_add(other.covered);
    }
}

impl PartialSums {
    /// Records bytes of a block: `scratch` are the bytes at offset `at` of the block, with zeros where nothing was
    /// read; `used` are the ranges of `scratch` that were read.
    pub(crate) fn note(
        &self,
        entry: &str,
        block: Block,
        at: u64,
        scratch: &[u8],
        used: impl Iterator<Item = Range<usize>> + Clone,
    ) {
        let Some(sum) = block.sum else { return };
        let tail = (block.len as u64).saturating_sub(at + scratch.len() as u64);
        let covered: usize = used.clone().map(|range| range.len()).sum();
        let share = Share {
            crc: sum.share(scratch, tail),
            covered: covered as u64,
        };
        let used = used.map(|range| (at + range.start as u64, range.len() as u64));
        self.add(entry, block, share, used);
    }

    /// Records pieces of a block, each with its offset. It takes a pass over the pieces alone, and is the faster one if these are few.
    pub(crate) fn note_pieces<'b>(
        &self,
        entry: &str,
        block: Block,
        pieces: impl Iterator<Item = (u64, &'b [u8])> + Clone,
    ) {
        let Some(sum) = block.sum else { return };
        let mut share = Share::default();
        for (at, bytes) in pieces.clone() {
            let tail = (block.len as u64).saturating_sub(at + bytes.len() as u64);
            share.add(Share {
                crc: sum.share(bytes, tail),
                covered: bytes.len() as u64,
            });
        }
        self.add(entry, block, share, pieces.map(|(at, bytes)| (at, bytes.len() as u64)));
    }

    fn add(&self, entry: &str, block: Block, share: Share, used: impl Iterator<Item = (u64, u64)>) {
        let mut blocks = self.blocks();
        let entries = blocks.entry((block.file, block.start)).or_default();
        let blank = || Noted {
            block,
            share: Share::default(),
            used: Used::default(),
        };
        if !entries.contains_key(entry) {
            entries.insert(entry.to_owned(), blank());
        }
        let Some(noted) = entries.get_mut(entry) else { return };
        noted.share.add(share);
        for (start, len) in used {
            noted.used.add(start, len);
        }
    }

    /// Passes every block that was read in parts to `take`, with its entry's name and the share of the bytes that were
    /// read.
    pub(crate) fn each(&self, mut take: impl FnMut(&str, BlockKey, Share)) {
        for (key, entries) in &*self.blocks() {
            for (entry, noted) in entries {
                take(entry, *key, noted.share);
            }
        }
    }

    /// Compares the checksums of all blocks after the last read.
    ///
    /// # Errors
    /// If a block is damaged.
    pub(crate) fn finish(&self, source: &dyn Source) -> Result<()> {
        self.finish_with(source, |_, _, own| Some(own))
    }

    /// Compares the checksums of blocks of which other ranks have read the rest. `total` gets the share of this rank
    /// and returns the share of all ranks, or `None` for a block that this rank does not compare.
    ///
    /// # Errors
    /// If a block is damaged.
    pub(crate) fn finish_with(
        &self,
        source: &dyn Source,
        total: impl Fn(&str, BlockKey, Share) -> Option<Share>,
    ) -> Result<()> {
        for (key, entries) in &*self.blocks() {
            // Views that show some bytes twice may cover as many bytes as the block has, and not all of them.
            let is_open = |(entry, noted): &(&String, &Noted)| {
                let share = total(entry, *key, noted.share);
                share.is_some_and(|share| !noted.is_completed_by(share))
            };
            let open: Vec<(&String, &Noted)> = entries.iter().filter(is_open).collect();
            let Some((entry, first)) = open.first() else { continue };
            // Several tensors may be parts of one stored tensor, and complete its blocks together.
            let mut all = Share::default();
            for (_, noted) in &open {
                all.add(noted.share);
            }
            if are_disjoint(&open) {
                if !first.is_completed_by(all) {
                    read_again(source, entry, all, &open)?;
                }
                continue;
            }
            for own in &open {
                read_again(source, own.0, own.1.share, std::slice::from_ref(own))?;
            }
        }
        Ok(())
    }

    /// The map is consistent even if a thread panicked with the lock.
    fn blocks(&self) -> MutexGuard<'_, BTreeMap<BlockKey, BTreeMap<String, Noted>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn is_completed_by(&self, share: Share) -> bool {
        let is_right = |sum: Sum| sum.is_completed_by(share.crc, share.covered);
        share.covered == self.block.len as u64 && self.block.sum.is_some_and(is_right)
    }
}

/// Returns true if no byte of a block was read for two of these entries: in an exclusive or, its shares would cancel out.
fn are_disjoint(open: &[(&String, &Noted)]) -> bool {
    let Some((_, first)) = open.first() else { return true };
    if open.len() == 1 {
        return true;
    }
    if first.block.len > BLOCK {
        return false;
    }
    let (ones, mut odd) = (vec![1; first.block.len], vec![0; first.block.len]);
    for (_, noted) in open {
        noted.used.mask(0, &ones, &mut odd);
    }
    let covered: u64 = open.iter().map(|(_, noted)| noted.share.covered).sum();
    let once: u64 = odd.iter().map(|odd| u64::from(*odd)).sum();
    once == covered
}

/// Reads all of a block again, piece by piece, and compares its checksum, and the share of the bytes that were used.
fn read_again(source: &dyn Source, entry: &str, share: Share, open: &[(&String, &Noted)]) -> Result<()> {
    let Some((_, Noted { block: run, .. })) = open.first() else {
        return Ok(());
    };
    let run = *run;
    let Some(sum) = run.sum else { return Ok(()) };
    let (mut whole, mut before) = (0, 0);
    let (mut bytes, mut used) = (vec![0; BLOCK.min(run.len)], vec![0; BLOCK.min(run.len)]);
    let mut at = 0;
    while at < run.len {
        let piece = Block {
            start: run.start + at as u64,
            len: BLOCK.min(run.len - at),
            sum: None,
            ..run
        };
        let (bytes, used) = (&mut bytes[..piece.len], &mut used[..piece.len]);
        read_block(source, entry, piece, bytes)?;
        used.fill(0);
        for (_, noted) in open {
            noted.used.mask(at as u64, bytes, used);
        }
        let tail = (run.len - at - piece.len) as u64;
        whole ^= sum.share(bytes, tail);
        before ^= sum.share(used, tail);
        at += piece.len;
    }
    if sum.is_completed_by(whole, run.len as u64) && before == share.crc {
        return Ok(());
    }
    Err(damaged(source, entry, run))
}

impl Sum {
    /// The share of bytes that are followed by `tail` others.
    fn share(self, bytes: &[u8], tail: u64) -> u64 {
        let len = bytes.len() as u64;
        match self {
            Self::Crc64(_) => checksum::shifted(checksum::of(bytes) ^ checksum::of_zeros(len), tail),
            Self::Crc32(_) => {
                let raw = checksum::crc32(bytes) ^ checksum::crc32_of_zeros(len);
                u64::from(checksum::crc32_combine(raw, 0, tail))
            }
        }
    }

    fn is_completed_by(self, crc: u64, len: u64) -> bool {
        match self {
            Self::Crc64(sum) => sum == crc ^ checksum::of_zeros(len),
            Self::Crc32(sum) => u64::from(sum) == crc ^ u64::from(checksum::crc32_of_zeros(len)),
        }
    }
}

#[cfg(test)]
mod tests;
