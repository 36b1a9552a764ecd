//! Reads boxes of parts: only their bytes, straight into their places, with few calls.

use std::sync::{Mutex, PoisonError};

use super::check::RunCheck;
use super::lent::{WINDOW, read_blocks};
use super::runs::{CopyRun, Pieces};
use super::{PartialSums, SHARED_FROM, check_block, in_parallel, out_of_bounds};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::io::checksum::BLOCK;
use crate::source::{Block, Check, Cut, Part, Source, StoredTensor, Sum};

/// The bytes of a long run that a thread takes at a time.
const STRETCH: usize = WINDOW * BLOCK;

/// The reading of a box of a part: its source, its destination, and the verification.
struct Reading<'r> {
    source: &'r dyn Source,
    entry: &'r str,
    part: &'r Part,
    /// The check of the run that the part lies in. Partial checksums verify the part itself.
    around: RunCheck,
    /// Records the blocks that are read in part.
    sums: &'r PartialSums,
}

/// Fills the places of `part` in `into`, the bytes of `tensor`, with the box of the part that is wanted.
pub(crate) fn read(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    (part, cut): (&Part, &Cut),
    into: &mut [u8],
    threads: usize,
    sums: &PartialSums,
) -> Result<()> {
    let item = tensor.info.dtype().bits() / 8;
    if item == 0 {
        let what = format!("entry `{entry}` has elements smaller than a byte, of which no part can be read");
        return Err(Error::corrupt(source.file(part.place.file).1, what));
    }
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
    };
    let pieces = Pieces::new((&cut.shape, &cut.region), (tensor.info.shape(), &part.region), item);
    if let Some(run) = pieces.only() {
        return reading.run(run, into, threads);
    }
    let mut blocks = InBlocks::new(pieces);
    let (mut scratch, mut span) = (Vec::new(), Vec::new());
    while let Some((number, runs)) = blocks.next() {
        reading.block(number, &runs, into, &mut scratch, &mut span)?;
    }
    Ok(())
}

impl Reading<'_> {
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
    fn stretch(&self, from: usize, into: &mut [u8]) -> Result<()> {
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
            self.block(from / BLOCK, &[piece], into, &mut Vec::new(), &mut Vec::new())?;
        }
        Ok(())
    }

    /// Reads the runs that lie in one block.
    fn block(
        &self,
        number: usize,
        runs: &[CopyRun],
        into: &mut [u8],
        scratch: &mut Vec<u8>,
        span: &mut Vec<u8>,
    ) -> Result<()> {
        let begin = number * BLOCK;
        let all = usize::try_from(self.part.place.len).unwrap_or(usize::MAX);
        let block = Block {
            number,
            file: self.part.place.file,
            start: self.part.place.start + begin as u64,
            len: BLOCK.min(all.saturating_sub(begin)),
            sum: self.part.sum(number),
        };
        if matches!(self.around, RunCheck::View(_)) {
            // A view is verified by whole pieces, so its runs are read with one call.
            self.read_together(runs, into, span)?;
        } else {
            for together in coalesced(runs) {
                self.read_together(together, into, span)?;
            }
        }
        let covered: usize = runs.iter().map(|run| run.len).sum();
        if let [run] = runs
            && covered == block.len
            && block.sum.is_some()
        {
            let bytes = into.get(run.to..run.to + run.len);
            let bytes = bytes.ok_or_else(|| out_of_bounds(self.source, self.entry))?;
            return check_block(self.source, self.entry, block, bytes);
        }
        let Some(checked) = self.checked(block) else {
            return Ok(());
        };
        scratch.clear();
        scratch.resize(block.len, 0);
        for run in runs {
            let (from, bytes) = (run.from - begin, into.get(run.to..run.to + run.len));
            let place = scratch.get_mut(from..from + run.len);
            let (Some(place), Some(bytes)) = (place, bytes) else {
                return Err(out_of_bounds(self.source, self.entry));
            };
            place.copy_from_slice(bytes);
        }
        let at = block.start - checked.start;
        let used = runs.iter().map(|run| run.from - begin..run.from - begin + run.len);
        self.sums.note(self.entry, checked, at, scratch, used);
        Ok(())
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

/// Groups runs so that reading each group with one call reads at most a quarter more than the runs.
fn coalesced(runs: &[CopyRun]) -> Vec<&[CopyRun]> {
    let mut groups = Vec::new();
    let mut from = 0;
    while from < runs.len() {
        let (mut to, mut wanted) = (from + 1, runs[from].len);
        while let Some(next) = runs.get(to) {
            let span = next.from + next.len - runs[from].from;
            if span > (wanted + next.len) + (wanted + next.len) / 4 {
                break;
            }
            wanted += next.len;
            to += 1;
        }
        groups.push(&runs[from..to]);
        from = to;
    }
    groups
}

/// Splits runs at the borders of blocks, and groups the pieces by block.
struct InBlocks<'p> {
    pieces: Pieces<'p>,
    rest: Option<CopyRun>,
}

impl<'p> InBlocks<'p> {
    fn new(pieces: Pieces<'p>) -> Self {
        Self { pieces, rest: None }
    }

    fn next(&mut self) -> Option<(usize, Vec<CopyRun>)> {
        let mut runs = Vec::new();
        let mut number = 0;
        while let Some(run) = self.rest.take().or_else(|| self.pieces.next()) {
            if runs.is_empty() {
                number = run.from / BLOCK;
            } else if run.from / BLOCK != number {
                self.rest = Some(run);
                break;
            }
            let here = run.len.min((number + 1) * BLOCK - run.from);
            runs.push(CopyRun { len: here, ..run });
            if here < run.len {
                self.rest = Some(CopyRun {
                    from: run.from + here,
                    to: run.to + here,
                    len: run.len - here,
                });
                break;
            }
        }
        (!runs.is_empty()).then_some((number, runs))
    }
}

/// The numbers of the blocks that a box of a part overlaps.
pub(super) fn blocks_of(part: &Part, cut: &Cut, item: usize) -> std::ops::Range<usize> {
    let whole = Region::whole(&cut.region.size);
    let mut pieces = Pieces::new((&cut.shape, &cut.region), (&whole.size, &whole), item);
    let Some(first) = pieces.next() else { return 0..0 };
    let last = pieces.last_end();
    let end = last.min(usize::try_from(part.place.len).unwrap_or(usize::MAX));
    first.from / BLOCK..end.div_ceil(BLOCK)
}
