//! Shares of checksums, and blocks that are read again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::Error;
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

/// A file of sevens in which one byte changes after the first read.
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
        let before = self.reads.fetch_add(1, Ordering::Relaxed);
        if offset == 0 && self.changes && before > 0 {
            into[50] = 8;
        }
        Ok(into.len())
    }
}

impl Source for Changing {
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
            let sums = PartialSums::default();
            let mut scratch = vec![0; 5000];
            let ranges = [10..20, 40..60, 4000..5000];
            for range in &ranges {
                scratch[range.clone()].fill(7);
            }
            scratch[45] = used;
            sums.note("x", run, 0, &scratch, ranges.into_iter());
            sums.finish(&source)
        };
        assert!(settle(7, false).is_ok(), "{sum:?}");
        for (used, changes) in [(6, false), (7, true)] {
            let settled = settle(used, changes);
            assert!(matches!(settled, Err(Error::Checksum { .. })), "{sum:?}: {settled:?}");
        }
    }
}

/// In an exclusive or, the shares of two entries that read the same bytes would cancel out.
#[test]
fn entries_that_share_bytes_are_verified_one_by_one() {
    let zeros = vec![0; 5000];
    let run = Block {
        number: 0,
        file: 0,
        start: 1,
        len: 5000,
        sum: Some(Sum::Crc64(checksum::of(&zeros))),
    };
    // Each has read the same half, in which a byte was damaged.
    let sums = PartialSums::default();
    let mut half = vec![0; 2500];
    half[7] = 1;
    for entry in ["a", "b"] {
        sums.note_pieces(entry, run, std::iter::once((0, &half[..])));
    }
    assert!(matches!(sums.finish(&Changing::default()), Err(Error::Checksum { .. })));
    // Two halves are whole together, without another read.
    let sevens = vec![7; 5000];
    let run = Block {
        sum: Some(Sum::Crc64(checksum::of(&sevens))),
        ..run
    };
    let sums = PartialSums::default();
    sums.note_pieces("a", run, std::iter::once((0, &sevens[..2500])));
    sums.note_pieces("b", run, std::iter::once((2500, &sevens[2500..])));
    let source = Changing::default();
    sums.finish(&source).unwrap();
    assert_eq!(source.reads.load(Ordering::Relaxed), 0);
}
