//! Reads parts of which a box is wanted, or which lie in another order: only their bytes, with few calls.

use std::sync::{Mutex, PoisonError};

use super::check::RunCheck;
use super::elements::Elements;
use super::in_blocks::{InBlocks, coalesced};
use super::lent::{WINDOW, read_blocks};
use super::runs::CopyRun;
use super::{PartialSums, SHARED_FROM, check_block, in_parallel, item, out_of_bounds, windows};
use crate::error::{Error, Result};
use crate::io::checksum::BLOCK;
use crate::source::{Block, Check, Part, Source, StoredTensor, Sum};

/// The bytes of a long run that a thread takes at a time.
const STRETCH: usize = WINDOW * BLOCK;

/// The shortest run, in bytes, that is read straight into its place.
const STRAIGHT: usize = 512;

/// The longest gap, in bytes, that is always read together with the short runs around it.
const NEAR: usize = 256;

/// The bytes over which a checksum is computed in the time that moving the checksum of a piece to its place takes.
const PIECE: usize = 16 << 10;

/// The reading of a part: its source and its verification.
pub(super) struct Reading<'r> {
    pub(super) source: &'r dyn Source,
    pub(super) entry: &'r str,
    pub(super) part: &'r Part,
    /// The check of the run that the part lies in. Partial checksums verify the part itself.
    around: RunCheck,
    /// Records the blocks that are read in part.
    sums: &'r PartialSums,
    /// The longest gap that is always read with the runs around it.
    gap: usize,
}

/// The memory of a thread that reads blocks in part.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    scratch: Vec<u8>,
    span: Vec<u8>,
}

/// Fills the places of `part` in `into`, the bytes of `tensor`.
pub(super) fn read(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    part: &Part,
    into: &mut [u8],
    threads: usize,
    sums: &PartialSums,
) -> Result<()> {
    let item = item(tensor);
    if item == 0 || !BLOCK.is_multiple_of(item) {
        let what = format!("entry `{entry}` has elements smaller than a byte, of which no part can be read");
        return Err(Error::corrupt(source.file(part.place.file).1, what));
    }
    if part.region.size.contains(&0) {
        return Ok(());
    }
    let elements = Elements::of(part, tensor.info.shape(), item, into.len());
    let elements = elements.ok_or_else(|| out_of_bounds(source, entry))?;
    let is_straight = elements.is_in_order() && elements.runs().len() >= STRAIGHT;
    let reading = Reading {
        source,
        entry,
        part,
        sums,
        around: if part.is_whole_run() {
            RunCheck::None
        } else {
            RunCheck::of(source, entry, part)?
        },
        gap: if is_straight { 0 } else { NEAR },
    };
    let threads = if into.len() < SHARED_FROM { 1 } else { threads };
    if let Some(run) = elements.runs().only().filter(|_| elements.is_in_order()) {
        return reading.run(run, into, threads);
    }
    if !is_straight || elements.file_runs().only().is_some() {
        return windows::read(&reading, &elements, into, threads);
    }
    let work = Mutex::new(elements.stripes(into, threads).into_iter());
    in_parallel(threads, || {
        let (elements, into) = work.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        Some(reading.straight(&elements, into))
    })
}

impl Reading<'_> {
    /// Reads the runs of elements, in the order of the file, straight into their places.
    fn straight(&self, elements: &Elements, into: &mut [u8]) -> Result<()> {
        let mut buffers = Buffers::default();
        let mut blocks = InBlocks::new(elements.runs());
        while let Some((number, runs)) = blocks.next() {
            self.block(number, &runs, into, &mut buffers)?;
        }
        Ok(())
    }

    /// Reads one run of bytes, with several threads if the run is long.
    fn run(&self, run: CopyRun, into: &mut [u8], threads: usize) -> Result<()> {
        let into = into
            .get_mut(run.to..run.to + run.len)
            .ok_or_else(|| out_of_bounds(self.source, self.entry))?;
        let mut stretches = Vec::new();
        let (mut rest, mut from) = (into, run.from);
        while !rest.is_empty() {
            let len = rest.len().min(match from % BLOCK {
                0 => STRETCH,
                within => BLOCK - within,
            });
            let (now, later) = rest.split_at_mut(len);
            stretches.push((from, now));
            (rest, from) = (later, from + len);
        }
        let threads = if run.len < SHARED_FROM { 1 } else { threads };
        let work = Mutex::new(stretches.into_iter());
        in_parallel(threads, || {
            let (from, into) = work.lock().unwrap_or_else(PoisonError::into_inner).next()?;
            Some(self.stretch(from, into))
        })
    }

    /// Reads bytes that begin with a block, or lie inside of one.
    pub(super) fn stretch(&self, from: usize, into: &mut [u8]) -> Result<()> {
        let by_blocks = from.is_multiple_of(BLOCK) && !matches!(self.part.check, Check::Run(_));
        let ends = (from + into.len()) as u64 == self.part.place.len;
        let whole = match (by_blocks, ends) {
            (false, _) => 0,
            (true, true) => into.len(),
            (true, false) => into.len() - into.len() % BLOCK,
        };
        let (blocks, rest) = into.split_at_mut(whole);
        let known = self.part.blocks().skip(from / BLOCK);
        read_blocks(self.source, self.entry, known, blocks, &RunCheck::None)?;
        for (number, into) in rest.chunks_mut(BLOCK).enumerate() {
            let from = from + whole + number * BLOCK;
            let piece = CopyRun {
                from,
                to: 0,
                len: into.len(),
            };
            self.block(from / BLOCK, &[piece], into, &mut Buffers::default())?;
        }
        Ok(())
    }

    /// Reads the runs that lie in one block.
    pub(super) fn block(&self, number: usize, runs: &[CopyRun], into: &mut [u8], buffers: &mut Buffers) -> Result<()> {
        let begin = number * BLOCK;
        let block = self.whole(number);
        let Buffers { scratch, span } = buffers;
        if matches!(self.around, RunCheck::View(_)) {
            // A view is verified by whole pieces, so its runs are read with one call.
            self.read_together(runs, into, span)?;
        } else {
            for together in coalesced(runs, self.gap) {
                self.read_together(together, into, span)?;
            }
        }
        let outside = || out_of_bounds(self.source, self.entry);
        let only = match runs {
            [run] if run.len == block.len => Some(into.get(run.to..run.to + run.len).ok_or_else(outside)?),
            _ => None,
        };
        if let Some(bytes) = only.filter(|_| block.sum.is_some()) {
            return check_block(self.source, self.entry, block, bytes);
        }
        let Some(checked) = self.checked(block) else {
            return Ok(());
        };
        let at = block.start - checked.start;
        if let Some(bytes) = only {
            let all = std::iter::once(0..bytes.len());
            self.sums.note(self.entry, checked, at, bytes, all);
            return Ok(());
        }
        if runs.len() * PIECE < block.len {
            let piece = |run: &CopyRun| Some((at + (run.from - begin) as u64, into.get(run.to..run.to + run.len)?));
            if runs.iter().any(|run| piece(run).is_none()) {
                return Err(outside());
            }
            self.sums
                .note_pieces(self.entry, checked, runs.iter().filter_map(piece));
            return Ok(());
        }
        scratch.clear();
        scratch.resize(block.len, 0);
        for run in runs {
            let (from, bytes) = (run.from - begin, into.get(run.to..run.to + run.len));
            let place = scratch.get_mut(from..from + run.len);
            let (Some(place), Some(bytes)) = (place, bytes) else {
                return Err(outside());
            };
            place.copy_from_slice(bytes);
        }
        let used = runs.iter().map(|run| run.from - begin..run.from - begin + run.len);
        self.sums.note(self.entry, checked, at, scratch, used);
        Ok(())
    }

    /// The block of this number.
    pub(super) fn whole(&self, number: usize) -> Block {
        let begin = number * BLOCK;
        let all = usize::try_from(self.part.place.len).unwrap_or(usize::MAX);
        Block {
            number,
            file: self.part.place.file,
            start: self.part.place.start + begin as u64,
            len: BLOCK.min(all.saturating_sub(begin)),
            sum: self.part.sum(number),
        }
    }

    /// The bytes that the block shares a checksum with: the block itself, or the whole run of the part.
    fn checked(&self, block: Block) -> Option<Block> {
        match &self.part.check {
            Check::Blocks(_) => block.sum.is_some().then_some(block),
            Check::Run(run) if self.part.is_whole_run() => Some(Block {
                number: 0,
                file: run.place.file,
                start: run.place.start,
                len: usize::try_from(run.place.len).unwrap_or(usize::MAX),
                sum: Some(Sum::Crc32(run.crc32)),
            }),
            _ => None,
        }
    }

    /// Reads runs and the bytes between them with one call.
    fn read_together(&self, runs: &[CopyRun], into: &mut [u8], span: &mut Vec<u8>) -> Result<()> {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
            return Ok(());
        };
        let block = Block {
            number: first.from / BLOCK,
            file: self.part.place.file,
            start: self.part.place.start + first.from as u64,
            len: last.from + last.len - first.from,
            sum: None,
        };
        let outside = || out_of_bounds(self.source, self.entry);
        if runs.len() == 1 {
            let into = into.get_mut(first.to..first.to + first.len).ok_or_else(outside)?;
            return self.around.read(self.source, self.entry, block, into);
        }
        span.clear();
        span.resize(block.len, 0);
        self.around.read(self.source, self.entry, block, span)?;
        for run in runs {
            let from = run.from - first.from;
            let into = into.get_mut(run.to..run.to + run.len).ok_or_else(outside)?;
            into.copy_from_slice(&span[from..from + run.len]);
        }
        Ok(())
    }
}
