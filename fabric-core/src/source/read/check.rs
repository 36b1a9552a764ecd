//! Verifies runs of a file that have one checksum each: a member of an archive has one CRC-32.
//!
//! A part that equals the run is verified while it is read. A view of a storage lies inside of the run and has no
//! checksum. The run is therefore read and verified before its first view, and this pass computes checksums of its
//! [pieces](PIECE). Every later read of a view reads whole pieces and compares them with these checksums, so a file
//! that changes after the verification gives an error.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::block::damaged;
use super::lent::{WINDOW, read_pieces};
use super::{Block, Sum, THREADS, in_parallel, no_less, read_block};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::io::checksum::{self, BLOCK};
use crate::io::lent::Lent;
use crate::io::pages;
use crate::io::streaming::{self, Unsummed};
use crate::source::{Check, CheckedRun, Extent, Part, Source};

/// The length in bytes of a piece with its own checksum. The smallest read of a view reads one piece. The checksums
/// take 1/8192 of the length of the run.
const PIECE: usize = 64 << 10;

/// The verification of a part, in addition to the checksums of its blocks.
pub(super) enum RunCheck {
    /// The blocks have checksums, or the format has none.
    None,
    /// The part equals the run. The checksum is combined from one sum for each block, and blocks may be read in any
    /// order.
    Whole(Arc<CheckedRun>, Vec<AtomicU32>),
    /// The part lies in a run that has been verified.
    View(Arc<CheckedRun>),
}

impl RunCheck {
    /// Prepares the reading of `part`, and verifies the run around it, unless that has been done.
    pub(crate) fn of(source: &dyn Source, entry: &str, part: &Part) -> Result<Self> {
        let Check::Run(run) = &part.check else {
            return Ok(Self::None);
        };
        if !part.is_whole_run() {
            verify_around(source, entry, part)?;
            return Ok(Self::View(run.clone()));
        }
        if part.place.len <= BLOCK as u64 {
            // The checksum of the only block is that of the run.
            return Ok(Self::None);
        }
        let sums = part.blocks().map(|_| AtomicU32::new(0)).collect();
        Ok(Self::Whole(run.clone(), sums))
    }

    /// Fills `into` with a block, or with bytes inside of one, and verifies them or records their checksum.
    pub(crate) fn read(&self, source: &dyn Source, entry: &str, block: Block, into: &mut [u8]) -> Result<()> {
        if let Self::View(run) = self {
            return read_view(source, entry, run, block.start, into);
        }
        read_block(source, entry, block, into)?;
        self.note(block.number, into);
        Ok(())
    }

    /// Records the checksum of a block.
    pub(crate) fn note(&self, number: usize, bytes: &[u8]) {
        if let Self::Whole(_, sums) = self
            && let Some(sum) = sums.get(number)
        {
            sum.store(checksum::crc32(bytes), Ordering::Relaxed);
        }
    }

    /// Copies a block, and records the checksum of the copied bytes.
    pub(crate) fn copy(&self, number: usize, from: Lent<'_>, into: &mut [u8]) {
        match self {
            Self::Whole(_, sums) if number < sums.len() => {
                sums[number].store(checksum::copied_crc32(from, into), Ordering::Relaxed);
            }
            _ => streaming::copy(from, into, &mut Unsummed),
        }
    }

    /// Compares the combined checksum after all blocks were recorded.
    pub(crate) fn finish(self, source: &dyn Source, entry: &str) -> Result<()> {
        let Self::Whole(run, sums) = self else {
            return Ok(());
        };
        let mut left = run.place.len;
        let whole = sums.iter().fold(checksum::crc32(&[]), |whole, sum| {
            let len = left.min(BLOCK as u64);
            left -= len;
            checksum::crc32_combine(whole, sum.load(Ordering::Relaxed), len)
        });
        if whole == run.crc32 {
            return Ok(());
        }
        Err(run.damaged(source, entry))
    }
}

/// Verifies the run that a part lies in, unless the part equals the run, or the run has been verified. Callers do this
/// before several threads read parts of the run.
pub(crate) fn verify_around(source: &dyn Source, entry: &str, part: &Part) -> Result<()> {
    match &part.check {
        Check::Run(run) if !part.is_whole_run() && run.pieces.get().is_none() => verify_run(source, entry, run),
        _ => Ok(()),
    }
}

/// Reads and verifies a run, also one that has been verified before.
pub(crate) fn verify_run(source: &dyn Source, entry: &str, run: &Arc<CheckedRun>) -> Result<()> {
    let whole = Part::plain(Region::whole(&[]), run.place, Check::Run(run.clone()));
    let mut pieces: Vec<AtomicU64> = no_less(source, pages::reserved(run.count()))?;
    pieces.resize_with(run.count(), AtomicU64::default);
    let check = RunCheck::of(source, entry, &whole)?;
    let blocks: Vec<Block> = whole.blocks().collect();
    let next = AtomicUsize::new(0);
    let threads = if blocks.len() < 16 { 1 } else { THREADS };
    in_parallel(threads, || {
        let block = *blocks.get(next.fetch_add(1, Ordering::Relaxed))?;
        let read = || {
            let mut bytes = no_less(source, pages::zeroed(block.len))?;
            check.read(source, entry, block, &mut bytes)?;
            let sums = pieces.iter().skip(block.number * (BLOCK / PIECE));
            for (sum, piece) in sums.zip(bytes.chunks(PIECE)) {
                sum.store(checksum::of(piece), Ordering::Relaxed);
            }
            Ok(())
        };
        Some(read())
    })?;
    check.finish(source, entry)?;
    // This collects in place: both types have one size.
    let pieces: Box<[u64]> = pieces.into_iter().map(AtomicU64::into_inner).collect();
    match run.pieces.set(pieces) {
        // Equal CRC-32s do not prove that the contents are those of the first verification, so the pieces are compared.
        Err(now) if run.pieces.get() != Some(&now) => Err(run.damaged(source, entry)),
        _ => Ok(()),
    }
}

/// Fills `into` with bytes of a verified run. `start` is an offset in the file.
pub(super) fn read_view(source: &dyn Source, entry: &str, run: &CheckedRun, start: u64, into: &mut [u8]) -> Result<()> {
    let outside = || super::out_of_bounds(source, entry);
    let from = start.checked_sub(run.place.start).ok_or_else(outside)?;
    if from
        .checked_add(into.len() as u64)
        .is_none_or(|end| end > run.place.len)
    {
        return Err(outside());
    }
    let within = usize::try_from(from % PIECE as u64).unwrap_or(0);
    let number = usize::try_from(from / PIECE as u64).unwrap_or(usize::MAX);
    let mut pieces = run.pieces().skip(number).peekable();
    let mut left = into;
    let mut skipped = within;
    while !left.is_empty() {
        let piece = *pieces.peek().ok_or_else(outside)?;
        if skipped > 0 || left.len() < piece.len {
            let mut bytes = vec![0; piece.len];
            read_block(source, entry, piece, &mut bytes)?;
            let len = left.len().min(piece.len - skipped);
            let (now, later) = left.split_at_mut(len);
            streaming::copy(&bytes[skipped..skipped + len], now, &mut Unsummed);
            (left, skipped) = (later, 0);
            pieces.next();
            continue;
        }
        // Reads as many whole pieces at a time as a mapping window holds.
        let end = run.place.start + run.place.len;
        let most = left.len().min(WINDOW * BLOCK);
        let is_last = piece.start + most as u64 == end;
        let (now, later) = left.split_at_mut(if is_last { most } else { most - most % PIECE });
        let count = now.len().div_ceil(PIECE);
        read_pieces(source, entry, pieces.by_ref().take(count), now, &RunCheck::None, PIECE)?;
        left = later;
    }
    Ok(())
}

impl CheckedRun {
    /// A run that has not been verified.
    pub(crate) fn new(place: Extent, crc32: u32) -> Arc<Self> {
        Arc::new(Self {
            place,
            crc32,
            pieces: OnceLock::new(),
        })
    }

    /// The number of pieces.
    fn count(&self) -> usize {
        usize::try_from(self.place.len.div_ceil(PIECE as u64)).unwrap_or(usize::MAX)
    }

    /// The pieces; with checksums if the run has been verified.
    fn pieces(&self) -> impl Iterator<Item = Block> + '_ {
        let sums = self.pieces.get();
        (0..self.count()).map(move |number| {
            let from = number as u64 * PIECE as u64;
            Block {
                number: 0,
                file: self.place.file,
                start: self.place.start + from,
                len: usize::try_from(self.place.len - from).map_or(PIECE, |left| left.min(PIECE)),
                sum: sums.and_then(|sums| sums.get(number)).copied().map(Sum::Crc64),
            }
        })
    }

    fn damaged(&self, source: &dyn Source, entry: &str) -> Error {
        let Extent { file, start, len } = self.place;
        let whole = Block {
            number: 0,
            file,
            start,
            len: usize::try_from(len).unwrap_or(usize::MAX),
            sum: None,
        };
        damaged(source, entry, whole)
    }
}
