//! Checksums of blocks that nobody reads alone.
//!
//! A rank that needs some rows of a block reads those and nothing else, and so cannot compute the block's checksum. A CRC
//! is linear, though: without its initial value and final complement, the CRC of a block is the exclusive or of the CRCs
//! of its pieces, each with zeros in place of the rest. So every rank computes the share of what it has read, and together
//! they have the checksum of a block that none of them has seen. What nobody's shares complete is read again as a whole.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Block, Sum, read_block};
use crate::checksum::{self, BLOCK};
use crate::error::{Error, Result};
use crate::source::Source;

/// The shares of one rank.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    held: Mutex<BTreeMap<Key, Held>>,
}

/// What shares are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    file: u64,
    start: u64,
    /// Ranks that hold the same boxes each have all of them: only shares of the same replica complete each other.
    replica: u64,
}

#[derive(Clone, Debug)]
struct Held {
    entry: String,
    block: Block,
    share: Share,
}

/// A part of a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    /// The CRC of the bytes, with zeros in place of all others, no initial value and no complement.
    crc: u64,
    /// The number of bytes.
    covered: u64,
}

impl Share {
    fn add(&mut self, other: Self) {
        self.crc ^= other.crc;
        self.covered = self.covered.saturating_add(other.covered);
    }
}

/// The length of a share in a message.
const ENCODED: usize = 5 * size_of::<u64>();

impl Shares {
    /// Takes note of bytes of a checked run: `scratch` is the block of it at `at`, with zeros where nothing was read.
    pub(super) fn note(&self, entry: &str, run: Block, replica: usize, at: u64, scratch: &[u8], covered: usize) {
        let Some(sum) = run.sum else { return };
        let tail = (run.len as u64).saturating_sub(at + scratch.len() as u64);
        let share = Share {
            crc: sum.share(scratch, tail),
            covered: covered as u64,
        };
        let key = Key {
            file: run.file as u64,
            start: run.start,
            replica: replica as u64,
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let blank = || Held {
            entry: entry.to_owned(),
            block: run,
            share: Share::default(),
        };
        held.entry(key).or_insert_with(blank).share.add(share);
    }

    /// The shares as a message to the other ranks.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::with_capacity(held.len() * ENCODED);
        for (key, Held { share, .. }) in &*held {
            for number in [key.file, key.start, key.replica, share.crc, share.covered] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    /// Puts the shares of all ranks together, this one's among them, and compares the checksums of the blocks that this
    /// one has read of.
    ///
    /// # Errors
    /// If a block is not what was saved.
    pub(crate) fn settle(&self, source: &dyn Source, messages: &[Vec<u8>]) -> Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole: BTreeMap<Key, Share> = held.keys().map(|key| (*key, Share::default())).collect();
        for message in messages {
            let (records, _) = message.as_chunks::<ENCODED>();
            for record in records {
                let (numbers, _) = record.as_chunks::<8>();
                let number = |at: usize| u64::from_le_bytes(numbers[at]);
                let key = Key {
                    file: number(0),
                    start: number(1),
                    replica: number(2),
                };
                if let Some(sum) = whole.get_mut(&key) {
                    sum.add(Share {
                        crc: number(3),
                        covered: number(4),
                    });
                }
            }
        }
        for (key, Held { entry, block, .. }) in &*held {
            let share = whole.get(key).copied().unwrap_or_default();
            if share.covered != block.len as u64 {
                read_again(source, entry, *block)?;
            } else if !block
                .sum
                .is_some_and(|sum| sum.is_completed_by(share.crc, block.len as u64))
            {
                return Err(Error::Checksum {
                    path: source.file(block.file).1.to_path_buf(),
                    entry: entry.clone(),
                    block: block.number,
                    start: block.start,
                    end: block.start + block.len as u64,
                });
            }
        }
        Ok(())
    }
}

/// Reads all of a run, piece by piece, and compares its checksum.
fn read_again(source: &dyn Source, entry: &str, run: Block) -> Result<()> {
    if run.len <= BLOCK {
        return read_block(source, entry, run, &mut vec![0; run.len]);
    }
    let again = Shares::default();
    let mut bytes = vec![0; BLOCK];
    let mut at = 0;
    while at < run.len {
        let piece = Block {
            start: run.start + at as u64,
            len: BLOCK.min(run.len - at),
            sum: None,
            ..run
        };
        let bytes = &mut bytes[..piece.len];
        read_block(source, entry, piece, bytes)?;
        again.note(entry, run, 0, at as u64, bytes, piece.len);
        at += piece.len;
    }
    let message = again.encode();
    again.settle(source, &[message])
}

impl Sum {
    /// The share of some bytes that `tail` others follow.
    fn share(self, bytes: &[u8], tail: u64) -> u64 {
        let len = bytes.len() as u64;
        match self {
            // Checksums of our own cover a block, and a share of it is as long.
            Self::Crc64(_) => checksum::of(bytes) ^ zeros64(bytes.len()),
            Self::Crc32(_) => {
                let raw = checksum::crc32(bytes) ^ checksum::crc32_of_zeros(len);
                u64::from(checksum::crc32_combine(raw, 0, tail))
            }
        }
    }

    fn is_completed_by(self, crc: u64, len: u64) -> bool {
        match self {
            Self::Crc64(sum) => sum == crc ^ zeros64(usize::try_from(len).unwrap_or(usize::MAX)),
            Self::Crc32(sum) => u64::from(sum) == crc ^ u64::from(checksum::crc32_of_zeros(len)),
        }
    }
}

/// The checksum of a block of zeros, at most [`BLOCK`] of them.
fn zeros64(len: usize) -> u64 {
    static WHOLE: OnceLock<u64> = OnceLock::new();
    if len == BLOCK {
        *WHOLE.get_or_init(|| checksum::of(&vec![0; BLOCK]))
    } else {
        checksum::of(&vec![0; len.min(BLOCK)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * i % 241).to_le_bytes()[0]).collect()
    }

    fn masked(whole: &[u8], keep: impl Fn(usize) -> bool) -> Vec<u8> {
        let bytes = whole.iter().enumerate();
        bytes.map(|(at, &byte)| if keep(at) { byte } else { 0 }).collect()
    }

    #[test]
    fn the_shares_of_all_pieces_are_the_checksum_of_the_block() {
        let whole = bytes(5000);
        let sum = Sum::Crc64(checksum::of(&whole));
        let shares = (0..3).map(|rank| sum.share(&masked(&whole, |at| at / 7 % 3 == rank), 0));
        let all = shares.fold(0, |all, share| all ^ share);
        assert!(sum.is_completed_by(all, 5000));
        assert!(!sum.is_completed_by(all ^ 1, 5000));
    }

    #[test]
    fn the_shares_of_the_blocks_of_a_long_run_are_its_checksum() {
        let whole = bytes(3 * 1000 + 77);
        let sum = Sum::Crc32(checksum::crc32(&whole));
        let mut all = 0;
        for (number, block) in whole.chunks(1000).enumerate() {
            let tail = whole.len() - number * 1000 - block.len();
            for rank in 0..2 {
                all ^= sum.share(&masked(block, |at| at % 2 == rank), tail as u64);
            }
        }
        assert!(sum.is_completed_by(all, whole.len() as u64));
        assert!(!sum.is_completed_by(all ^ 2, whole.len() as u64));
    }
}
