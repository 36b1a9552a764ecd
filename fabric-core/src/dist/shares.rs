//! Checksums of blocks that nobody reads alone.
//!
//! A rank that needs some rows of a block reads those and nothing else, and so cannot compute the block's checksum. A CRC
//! is linear, though: without its initial value and final complement, the CRC of a block is the exclusive or of the CRCs
//! of its pieces, each with zeros in place of the rest. So every rank computes the share of what it has read, and together
//! they have the checksum of a block that none of them has seen. What nobody's shares complete is read again as a whole, and
//! what this rank has read of it must have the same share then: what is used is what was verified.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::error::{Error, Result};
use crate::io::checksum::{self, BLOCK};
use crate::io::pages;
use crate::source::Source;
use crate::source::read::block::damaged;
use crate::source::read::used::Used;
use crate::source::read::{Block, Sum, read_block};

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
    used: Used,
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
    /// Takes note of bytes of a checked run: `scratch` is the block of it at `at`, with zeros where nothing was read; `used` are
    /// the ranges of it that were.
    pub(crate) fn note(
        &self,
        entry: &str,
        run: Block,
        replica: usize,
        at: u64,
        scratch: &[u8],
        used: impl Iterator<Item = Range<usize>> + Clone,
    ) {
        let Some(sum) = run.sum else { return };
        let tail = (run.len as u64).saturating_sub(at + scratch.len() as u64);
        let covered: usize = used.clone().map(|range| range.len()).sum();
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
            used: Used::default(),
        };
        let held = held.entry(key).or_insert_with(blank);
        held.share.add(share);
        for range in used {
            held.used.add(at + range.start as u64, range.len() as u64);
        }
    }

    /// The shares as a message to the other ranks.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = pages::reserved(held.len() * ENCODED).map_err(no_memory)?;
        for (key, Held { share, .. }) in &*held {
            for number in [key.file, key.start, key.replica, share.crc, share.covered] {
                bytes.extend(number.to_le_bytes());
            }
        }
        Ok(bytes)
    }

    /// Puts the shares of all ranks together, this one's among them, and compares the checksums of the blocks that this
    /// one has read of.
    ///
    /// # Errors
    /// If a block is not what was saved.
    pub(crate) fn settle(&self, source: &dyn Source, messages: &[Vec<u8>]) -> Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        pages::look(held.len() * 2 * size_of::<(Key, Share)>()).map_err(no_memory)?;
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
        for (key, noted) in &*held {
            let Held { entry, block, .. } = noted;
            let share = whole.get(key).copied().unwrap_or_default();
            if share.covered != block.len as u64 {
                read_again(source, noted)?;
            } else if !block
                .sum
                .is_some_and(|sum| sum.is_completed_by(share.crc, block.len as u64))
            {
                return Err(damaged(source, entry, *block));
            }
        }
        Ok(())
    }
}

fn no_memory(source: io::Error) -> Error {
    Error::Memory {
        purpose: "compare the checksums of blocks that were read in part".to_owned(),
        source,
    }
}

/// Reads all of a run, piece by piece, and compares its checksum, and the share of what was read of it before.
fn read_again(source: &dyn Source, noted: &Held) -> Result<()> {
    let Held { entry, block: run, .. } = noted;
    let Some(sum) = run.sum else { return Ok(()) };
    let (mut whole, mut before) = (0, 0);
    let (mut bytes, mut used) = (vec![0; BLOCK.min(run.len)], vec![0; BLOCK.min(run.len)]);
    let mut at = 0;
    while at < run.len {
        let piece = Block {
            start: run.start + at as u64,
            len: BLOCK.min(run.len - at),
            sum: None,
            ..*run
        };
        let (bytes, used) = (&mut bytes[..piece.len], &mut used[..piece.len]);
        read_block(source, entry, piece, bytes)?;
        noted.used.mask(at as u64, bytes, used);
        let tail = (run.len - at - piece.len) as u64;
        whole ^= sum.share(bytes, tail);
        before ^= sum.share(used, tail);
        at += piece.len;
    }
    if sum.is_completed_by(whole, run.len as u64) && before == noted.share.crc {
        return Ok(());
    }
    Err(damaged(source, entry, *run))
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
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::source::Index;
    use crate::storage::ReadFile;

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

    /// A file of sevens, one of which is another number after the first read.
    #[derive(Debug, Default)]
    struct Changing {
        changes: bool,
        reads: AtomicUsize,
    }

    impl ReadFile for Changing {
        fn len(&self) -> io::Result<u64> {
            Ok(u64::MAX)
        }

        fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
            into.fill(7);
            if offset == 0 && self.changes && self.reads.fetch_add(1, Ordering::Relaxed) > 0 {
                into[50] = 8;
            }
            Ok(into.len())
        }
    }

    impl Source for Changing {
        fn index(&self) -> &Arc<Index> {
            unreachable!("nothing is looked up")
        }

        fn file(&self, _number: usize) -> (&dyn ReadFile, &Path) {
            (self, Path::new("sevens"))
        }
    }

    #[test]
    fn what_nobody_completes_is_read_again_and_must_be_what_was_used() {
        let (short, long) = (vec![7; 5000], vec![7; 2 * BLOCK + 5000]);
        for sum in [
            (short.len(), Sum::Crc64(checksum::of(&short))),
            (long.len(), Sum::Crc32(checksum::crc32(&long))),
        ] {
            let run = Block {
                number: 0,
                file: 0,
                start: 0,
                len: sum.0,
                sum: Some(sum.1),
            };
            let settle = |used: u8, changes: bool| {
                let source = Changing {
                    changes,
                    reads: AtomicUsize::new(1),
                };
                let shares = Shares::default();
                let mut scratch = vec![0; 5000];
                let ranges = [10..20, 40..60, 4000..5000];
                for range in &ranges {
                    scratch[range.clone()].fill(7);
                }
                scratch[45] = used;
                shares.note("x", run, 0, 0, &scratch, ranges.into_iter());
                shares.settle(&source, &[shares.encode().unwrap()])
            };
            assert!(settle(7, false).is_ok(), "{sum:?}");
            for (used, changes) in [(6, false), (7, true)] {
                let settled = settle(used, changes);
                assert!(matches!(settled, Err(Error::Checksum { .. })), "{sum:?}: {settled:?}");
            }
        }
    }
}
