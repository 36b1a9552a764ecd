//! Checksums that cover a whole run of a file: a member of an archive has one CRC-32.
//!
//! A part that is the whole run is verified while it is read, whatever its size. A part that lies in a run, a view of a
//! storage, has no checksum of its own: the run is read once and verified before the first of its views is, if that is
//! at most [`ALWAYS`] bytes or not much more than the view. Larger ones are verified by
//! [`LoadOptions::verify_first`](crate::LoadOptions::verify_first).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::{Block, THREADS, in_parallel, no_less, read_block};
use crate::blank::Blank;
use crate::checksum::{self, BLOCK};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::lent::Lent;
use crate::pages;
use crate::source::{Check, CheckedRun, Part, Place, Source};
use crate::streaming::{self, Unsummed};

/// Runs up to this size are verified even for the smallest view.
const ALWAYS: u64 = 64 << 20;

/// Runs up to this many times the size of the view are.
const TIMES: u64 = 4;

/// The checksum of a run, put together while its blocks are read in any order.
pub(super) struct RunCheck {
    /// With one sum for each block; `None` if there is nothing to put together.
    run: Option<(Arc<CheckedRun>, Vec<AtomicU32>)>,
}

impl RunCheck {
    /// For blocks that have checksums of their own, or none.
    pub(super) fn none() -> Self {
        Self { run: None }
    }

    /// Prepares the reading of `part`, and verifies the run around it if it has to be read for that.
    pub(super) fn of(source: &dyn Source, entry: &str, part: &Part) -> Result<Self> {
        let Check::Run(run) = &part.check else {
            return Ok(Self::none());
        };
        if part.is_whole_run() && part.place.len <= BLOCK as u64 {
            // Its only block has the sum of the run.
            return Ok(Self::none());
        }
        if part.is_whole_run() {
            let blocks = part.blocks().count();
            let sums = (0..blocks).map(|_| AtomicU32::new(0)).collect();
            return Ok(Self {
                run: Some((run.clone(), sums)),
            });
        }
        if run.place.len <= ALWAYS || run.place.len / TIMES <= part.place.len {
            verify_run(source, entry, run)?;
        }
        Ok(Self::none())
    }

    /// Takes note of a block.
    pub(super) fn note(&self, number: usize, bytes: &[u8]) {
        if let Some((_, sums)) = &self.run
            && let Some(sum) = sums.get(number)
        {
            sum.store(checksum::crc32(bytes), Ordering::Relaxed);
        }
    }

    /// Copies a block, and takes note of it.
    pub(super) fn copy(&self, number: usize, from: Lent<'_>, into: Blank<'_>) {
        match self.run.as_ref().and_then(|(_, sums)| sums.get(number)) {
            Some(sum) => sum.store(checksum::copied_crc32(from, into), Ordering::Relaxed),
            None => streaming::copy(from, into, &mut Unsummed),
        }
    }

    /// Compares, when all blocks have been noted.
    pub(super) fn finish(self, source: &dyn Source, entry: &str) -> Result<()> {
        let Some((run, sums)) = self.run else {
            return Ok(());
        };
        let mut left = run.place.len;
        let whole = sums.iter().fold(checksum::crc32(&[]), |whole, sum| {
            let len = left.min(BLOCK as u64);
            left -= len;
            checksum::crc32_combine(whole, sum.load(Ordering::Relaxed), len)
        });
        if whole == run.crc32 {
            run.verified.store(true, Ordering::Relaxed);
            return Ok(());
        }
        Err(Error::Checksum {
            path: source.file(run.place.file).1.to_path_buf(),
            entry: entry.to_owned(),
            block: 0,
            start: run.place.start,
            end: run.place.start + run.place.len,
        })
    }
}

/// Reads and verifies the run that a part lies in, once for all parts that share it; nothing if it has none.
pub(crate) fn verify_part(source: &dyn Source, entry: &str, part: &Part) -> Result<()> {
    match &part.check {
        Check::Run(run) => verify_run(source, entry, run),
        _ => Ok(()),
    }
}

fn verify_run(source: &dyn Source, entry: &str, run: &Arc<CheckedRun>) -> Result<()> {
    if run.verified.load(Ordering::Relaxed) {
        return Ok(());
    }
    let whole = Part::plain(Region::whole(&[]), run.place, Check::Run(run.clone()));
    let check = RunCheck::of(source, entry, &whole)?;
    let blocks: Vec<Block> = whole.blocks().collect();
    let next = AtomicUsize::new(0);
    let threads = if blocks.len() < 16 { 1 } else { THREADS };
    in_parallel(threads, || {
        let block = *blocks.get(next.fetch_add(1, Ordering::Relaxed))?;
        let read = || {
            let mut bytes = no_less(source, pages::zeroed(block.len))?;
            read_block(source, entry, block, &mut bytes)?;
            check.note(block.number, &bytes);
            Ok(())
        };
        Some(read())
    })?;
    check.finish(source, entry)?;
    run.verified.store(true, Ordering::Relaxed);
    Ok(())
}

impl CheckedRun {
    /// A run that nobody has verified.
    pub(crate) fn new(place: Place, crc32: u32) -> Arc<Self> {
        Arc::new(Self {
            place,
            crc32,
            verified: AtomicBool::new(false),
        })
    }
}
