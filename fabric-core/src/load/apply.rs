//! Moves the bytes of a load that was found acceptable.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use candle_core::Tensor;

use super::Places;
use super::parts::AgreedParts;
use super::watched::Watched;
use crate::checksum::BLOCK;
use crate::device;
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::plan::load::{Filling, LoadPlan, Named, Wanted};
use crate::progress::Meter;
use crate::raw::RawCheckpoint;
use crate::report::{Mismatch, MismatchKind};
use crate::source::read::{Block, Shares, check_block, in_parallel, neighbours, read_block, stream, threads};
use crate::source::{Check, Reader, Sought, StoredTensor};
use crate::state::Content;
use crate::target::{write, write_bytes};

/// Tensors from this size on have all threads to themselves, if they are a good part of what is moved: otherwise it is
/// quicker if each thread has a tensor.
const LARGE: u64 = 16 << 20;

/// What is a good part: one of so many.
const PARTS: u64 = 8;

/// Smaller tensors that lie together are read with one call.
const SMALL: u64 = 64 << 10;

/// One tensor to fill.
struct Move<'m> {
    name: &'m str,
    tensor: &'m Tensor,
    stored: &'m StoredTensor,
    cast: bool,
    begun: AtomicBool,
}

impl Move<'_> {
    fn place(&self) -> (usize, u64) {
        self.stored
            .parts
            .first()
            .map_or((0, 0), |part| (part.place.file, part.place.start))
    }

    fn bytes(&self) -> u64 {
        self.stored.info.byte_len().unwrap_or_default() as u64
    }

    /// The only block, if the tensor is small and stored in one piece as it will be in memory.
    fn single_block(&self) -> Option<Block> {
        let [part] = &self.stored.parts[..] else { return None };
        let small = part.place.len <= SMALL && !self.cast;
        let itself = part.arrangement.is_none()
            && part.cut.is_none()
            && (part.is_whole_run() || !matches!(part.check, Check::Run(_)));
        part.blocks().next().filter(|_| small && itself)
    }
}

/// Finds the bytes of every tensor of the plan, in its order: of those that this rank holds a part of, the parts that it
/// needs. Most indexes know where they are.
///
/// # Errors
/// If what lies around them is damaged, or is not what the index says.
pub(super) fn locate<'r>(
    raw: &RawCheckpoint,
    plan: &LoadPlan<'r>,
    parts: &AgreedParts<'_>,
    shares: &Arc<Shares>,
) -> Result<Vec<Cow<'r, StoredTensor>>> {
    let known = |filling: &Filling<'_>| !filling.stored.is_framed() && parts.whole(filling.wanted).is_none();
    if plan.tensors.iter().all(known) {
        return Ok(plan
            .tensors
            .iter()
            .map(|filling| Cow::Borrowed(filling.stored))
            .collect());
    }
    let regions: Vec<_> = plan
        .tensors
        .iter()
        .map(|filling| parts.region(filling.wanted))
        .collect();
    let sought = plan.tensors.iter().zip(&regions).map(|(filling, region)| Sought {
        entry: filling.name,
        stored: filling.stored,
        wanted: region.as_ref().map(|(region, _)| region.clone()),
    });
    let located = raw.source.locate_all(&sought.collect::<Vec<_>>())?;
    let cut_out = |(tensor, region): (Cow<'r, StoredTensor>, Option<(Region, usize)>)| match region {
        None => tensor,
        Some((region, replica)) => {
            let shares = shares.clone();
            Cow::Owned(tensor.cut_out(&region, &Reader { replica, shares }))
        }
    };
    Ok(located.into_iter().zip(regions).map(cut_out).collect())
}

/// Fills every tensor of the plan.
///
/// # Errors
/// The first one met; entries that were begun by then are named in it.
pub(super) fn move_tensors(
    raw: &RawCheckpoint,
    places: &Places<'_>,
    plan: &LoadPlan<'_>,
    located: &[Cow<'_, StoredTensor>],
    meter: Option<&Meter>,
) -> Result<()> {
    let mut moves: Vec<Move<'_>> = plan
        .tensors
        .iter()
        .zip(located)
        .filter_map(|(filling, stored)| {
            let item = &places.items[filling.wanted];
            let Content::Tensor(tensor, _) = &item.content else {
                return None;
            };
            Some(Move {
                name: &item.scope.name,
                tensor,
                stored,
                cast: filling.cast,
                begun: AtomicBool::new(false),
            })
        })
        .collect();
    moves.sort_by_key(Move::place);
    device::settle(moves.iter().map(|m| (m.name, m.tensor)))?;
    fill_all(raw, &moves, meter).map_err(|source| {
        let begun = moves.iter().filter(|m| m.begun.load(Ordering::Relaxed));
        wrapped(begun.map(|m| m.name.to_owned()).collect(), source)
    })
}

/// Names the entries that were written before the ranks found that the load has failed.
pub(super) fn interrupted(places: &Places<'_>, plan: &LoadPlan<'_>, source: Error) -> Error {
    if matches!(source, Error::Interrupted { .. }) {
        return source;
    }
    let written = plan
        .tensors
        .iter()
        .map(|filling| places.items[filling.wanted].scope.name.clone());
    wrapped(written.collect(), source)
}

fn wrapped(mut written: Vec<String>, source: Error) -> Error {
    if written.is_empty() {
        return source;
    }
    written.sort();
    Error::Interrupted {
        written,
        source: Box::new(source),
    }
}

fn fill_all(raw: &RawCheckpoint, moves: &[Move<'_>], meter: Option<&Meter>) -> Result<()> {
    let total: u64 = moves.iter().map(Move::bytes).sum();
    let large = LARGE.max(total / PARTS);
    let (large, rest): (Vec<&Move<'_>>, Vec<&Move<'_>>) = moves.iter().partition(|m| m.bytes() >= large);
    for large in large {
        fill(raw, large, threads(), meter)?;
    }
    let total: u64 = rest.iter().map(|m| m.bytes()).sum();
    let batches = neighbours(&rest, BLOCK as u64, |m| m.single_block().map(Block::place));
    let next = AtomicUsize::new(0);
    in_parallel(if total < LARGE / 4 { 1 } else { threads() }, || {
        let batch = batches.get(next.fetch_add(1, Ordering::Relaxed))?;
        Some(match &rest[batch.clone()] {
            [one] => fill(raw, one, 1, meter),
            many => fill_batch(raw, many, meter),
        })
    })
}

fn fill(raw: &RawCheckpoint, m: &Move<'_>, threads: usize, meter: Option<&Meter>) -> Result<()> {
    m.begun.store(true, Ordering::Relaxed);
    let Some(meter) = meter else {
        return write(&*raw.source, m.name, m.tensor, m.stored, m.cast, threads);
    };
    let watched = Watched::new(&*raw.source, meter, m.name, m.bytes());
    write(&watched, m.name, m.tensor, m.stored, m.cast, threads)?;
    watched.finish()
}

/// Reads neighbours with one call, then verifies and copies each.
fn fill_batch(raw: &RawCheckpoint, batch: &[&Move<'_>], meter: Option<&Meter>) -> Result<()> {
    let blocks: Vec<Block> = batch.iter().filter_map(|m| m.single_block()).collect();
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
        return Ok(());
    };
    let len = usize::try_from(last.start - first.start)
        .unwrap_or(usize::MAX)
        .saturating_add(last.len);
    let mut bytes = vec![0; len];
    let all = Block {
        len,
        sum: None,
        ..*first
    };
    read_block(&*raw.source, batch[0].name, all, &mut bytes)?;
    for (m, block) in batch.iter().zip(&blocks) {
        let from = usize::try_from(block.start - first.start).unwrap_or(usize::MAX);
        let bytes = &bytes[from..from + block.len];
        check_block(&*raw.source, m.name, *block, bytes)?;
        m.begun.store(true, Ordering::Relaxed);
        write_bytes(m.name, m.tensor, bytes)?;
        if let Some(meter) = meter {
            meter.add(m.name, bytes.len() as u64)?;
        }
    }
    Ok(())
}

/// How many bytes will be read into tensors.
pub(super) fn bytes(located: &[Cow<'_, StoredTensor>]) -> u64 {
    let bytes = located.iter().map(|stored| stored.info.byte_len().unwrap_or_default());
    bytes.map(|bytes| bytes as u64).sum()
}

/// Clears the state that the file does not have because there is none yet.
pub(super) fn begin_at_zero(places: &Places<'_>, plan: &LoadPlan<'_>) -> Result<()> {
    for at in &plan.fresh {
        let item = &places.items[*at];
        if let Content::Tensor(tensor, _) = &item.content {
            let len = crate::TensorInfo::from(tensor).byte_len().unwrap_or_default();
            write_bytes(&item.scope.name, tensor, &vec![0; len])?;
        }
    }
    Ok(())
}

/// Reads pairs of entries that must be equal, where the index could not tell, and reports those that are not.
pub(super) fn compare_ties(raw: &RawCheckpoint, wanted: &[Wanted<'_>], plan: &mut LoadPlan<'_>) -> Result<()> {
    for (at, one, other) in std::mem::take(&mut plan.equal) {
        let digest = |(name, stored): Named<'_>| {
            let mut running = crate::checksum::Running::new();
            stream(&*raw.source, name, stored, |bytes| {
                running.update(bytes);
                Ok(())
            })?;
            Ok::<_, Error>(running.finish())
        };
        if digest(one)? != digest(other)? {
            let name = wanted[at].name.to_owned();
            plan.report.restored.retain(|restored| *restored != name);
            plan.report.mismatched.push(Mismatch {
                name,
                kind: MismatchKind::Tied,
                found: "contents".into(),
                expected: format!("`{}`", one.0),
                skipped: false,
            });
        }
    }
    Ok(())
}
