//! Reads stored tensors block by block, and verifies each block while it is in the processor's cache.

mod block;
mod check;
mod cut;
mod each;
mod lent;
mod neighbours;
mod parallel;
mod partial;
mod runs;
mod slab;
#[cfg(any(test, feature = "cuda"))]
mod stretches;
mod strided;
mod used;
mod whole;

pub(crate) use block::read_block;
pub(crate) use check::{verify_around, verify_run};
pub(crate) use each::{Marked, read_each};
pub(crate) use lent::read_together;
pub(crate) use neighbours::neighbours;
pub(crate) use parallel::{THREADS, in_parallel};
pub(crate) use partial::{BlockKey, PartialSums, Share};
#[cfg(feature = "cuda")]
pub(crate) use stretches::Stretches;
pub(crate) use whole::read_through;

use std::sync::Mutex;

use self::block::check_block;
use self::check::RunCheck;
use self::lent::{WINDOW, read_blocks};
use self::runs::Runs;
use self::slab::{in_sequence, item, part_len, slab};
use super::{Block, Part, Source, StoredTensor, Sum};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::io::checksum::BLOCK;
use crate::io::pages;

/// The size in bytes of the pieces of a tensor in several parts that are streamed.
const ROWS: usize = 4 * BLOCK;

/// The smallest tensor, in bytes, that several threads read.
const SHARED_FROM: usize = 16 << 20;

/// The largest number of blocks that a thread takes at a time, so that all threads finish at nearly the same time.
const MOST_BLOCKS: usize = 8;

/// Fills `into` with the tensor's elements in row-major order. `into` is as long as the tensor; at most `threads`
/// threads read.
pub(crate) fn read_into(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    into: &mut [u8],
    threads: usize,
) -> Result<()> {
    let sums = PartialSums::default();
    read_noting(source, entry, tensor, into, threads, &sums)?;
    sums.finish(source)
}

/// Fills `into` as [`read_into`] does. Blocks that are read in part are recorded in `sums`, and verified by its
/// `finish`.
pub(crate) fn read_noting(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    into: &mut [u8],
    threads: usize,
    sums: &PartialSums,
) -> Result<()> {
    let tensor = &*source.locate(entry, tensor, None)?;
    let Some(slabs) = in_sequence(tensor, into.len()) else {
        return read_parts(source, entry, tensor, into, threads, sums);
    };
    let mut left = into;
    for slab in slabs {
        let (now, later) = left.split_at_mut(slab.len);
        read_slab(source, entry, slab.part, now, threads)?;
        left = later;
    }
    Ok(())
}

/// Reads a tensor in several parts, or in parts that are not contiguous in it.
fn read_parts(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    into: &mut [u8],
    threads: usize,
    sums: &PartialSums,
) -> Result<()> {
    for part in &tensor.parts {
        if let Some(cut) = &part.cut {
            cut::read(source, entry, tensor, (part, cut), into, threads, sums)?;
            continue;
        }
        match slab(&part.region, tensor) {
            Some(start) => {
                let len = part_len(part, tensor).unwrap_or(usize::MAX);
                let Some(into) = start.checked_add(len).and_then(|end| into.get_mut(start..end)) else {
                    return Err(out_of_bounds(source, entry));
                };
                match &part.arrangement {
                    None => read_slab(source, entry, part, into, threads)?,
                    Some(arrangement) => strided::gather(source, entry, part, arrangement, item(tensor), into)?,
                }
            }
            None => scatter(source, entry, tensor, part, into)?,
        }
    }
    Ok(())
}

fn out_of_bounds(source: &dyn Source, entry: &str) -> Error {
    Error::corrupt(
        source.file(0).1,
        format!("entry `{entry}` has a part outside of its own shape"),
    )
}

fn read_slab(source: &dyn Source, entry: &str, part: &Part, into: &mut [u8], threads: usize) -> Result<()> {
    let run = RunCheck::of(source, entry, part)?;
    if threads < 2 || part.place.len < SHARED_FROM as u64 {
        read_blocks(source, entry, part.blocks(), into, &run)?;
    } else {
        let stretch = stretch(into.len(), threads);
        let work = Mutex::new(into.chunks_mut(stretch * BLOCK).enumerate());
        // The lock is held while a thread takes a stretch, and not while it reads.
        in_parallel(threads, || {
            let next = work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
            let (number, into) = next?;
            let blocks = part.blocks().skip(number * stretch);
            Some(read_blocks(source, entry, blocks, into, &run))
        })?;
    }
    run.finish(source, entry)
}

/// The number of blocks that a thread takes at a time, at least as many as a mapping window holds. One thread reads
/// neighbouring blocks, so that the system reads ahead for it, and two threads do not wait for one large page of new
/// memory, or both clear it.
fn stretch(len: usize, threads: usize) -> usize {
    len.div_ceil(threads).div_ceil(BLOCK).clamp(WINDOW, MOST_BLOCKS)
}

/// Reads a part block by block, and copies its rows to their places in the tensor.
fn scatter(source: &dyn Source, entry: &str, tensor: &StoredTensor, part: &Part, into: &mut [u8]) -> Result<()> {
    let item = item(tensor);
    if item == 0 {
        return Err(Error::corrupt(
            source.file(0).1,
            format!("entry `{entry}` splits elements smaller than a byte"),
        ));
    }
    let mut runs = Runs::new(tensor.info.shape(), &part.region, item);
    let mut put = |mut rest: &[u8]| {
        while !rest.is_empty() {
            let (start, len) = runs.next(rest.len()).ok_or_else(|| out_of_bounds(source, entry))?;
            let target = into
                .get_mut(start..start + len)
                .ok_or_else(|| out_of_bounds(source, entry))?;
            let (now, later) = rest.split_at(len);
            target.copy_from_slice(now);
            rest = later;
        }
        Ok(())
    };
    if let Some(arrangement) = &part.arrangement {
        let len = part_len(part, tensor).ok_or_else(|| out_of_bounds(source, entry))?;
        let mut packed = no_less(source, pages::zeroed(len))?;
        strided::gather(source, entry, part, arrangement, item, &mut packed)?;
        return put(&packed);
    }
    blocks_in_order(source, entry, part, put)
}

/// Passes the bytes of a contiguous part to `take`, block by block.
fn blocks_in_order(
    source: &dyn Source,
    entry: &str,
    part: &Part,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let run = RunCheck::of(source, entry, part)?;
    let mut bytes = vec![0; BLOCK.min(usize::try_from(part.place.len).unwrap_or(BLOCK))];
    for block in part.blocks() {
        let bytes = &mut bytes[..block.len];
        run.read(source, entry, block, bytes)?;
        take(bytes)?;
    }
    run.finish(source, entry)
}

/// Passes every byte of a tensor to `take`, in row-major order, for destinations that are not contiguous. Each call has
/// whole blocks, a multiple of [`BLOCK`] bytes, except the last. A view is read completely first.
pub(crate) fn stream(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let sums = PartialSums::default();
    stream_noting(source, entry, tensor, &sums, take)?;
    sums.finish(source)
}

/// Passes every byte to `take` as [`stream`] does. Blocks that are read in part are recorded in `sums`, and verified by
/// its `finish`.
pub(crate) fn stream_noting(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    sums: &PartialSums,
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let tensor = &*source.locate(entry, tensor, None)?;
    if let [
        part @ Part {
            arrangement: None,
            cut: None,
            ..
        },
    ] = &tensor.parts[..]
    {
        return blocks_in_order(source, entry, part, take);
    }
    if tensor.parts.iter().any(|part| part.arrangement.is_some()) {
        let mut whole = no_less(source, pages::zeroed(tensor.info.byte_len().unwrap_or_default()))?;
        read_noting(source, entry, tensor, &mut whole, 1, sums)?;
        return whole.chunks(BLOCK).try_for_each(take);
    }
    stream_rows(source, entry, tensor, sums, take)
}

/// Streams a tensor in several parts, some rows at a time, from all parts that contain them.
fn stream_rows(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    sums: &PartialSums,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (shape, total) = (tensor.info.shape(), tensor.info.byte_len().unwrap_or_default());
    if total == 0 {
        return Ok(());
    }
    let along = shape.iter().position(|&len| len > 1).unwrap_or(0);
    let count = shape.get(along).copied().unwrap_or(1);
    // Whole blocks, so that the caller can divide the bytes into blocks again.
    let row = total / count;
    let rows = (ROWS / row).max(1);
    let mut held = Vec::new();
    for from in (0..count).step_by(rows) {
        let mut region = Region::whole(shape);
        if let (Some(offset), Some(size)) = (region.offset.get_mut(along), region.size.get_mut(along)) {
            (*offset, *size) = (from, rows.min(count - from));
        }
        let some = tensor.cut_out(&region);
        let before = held.len();
        let len = before + some.info.byte_len().unwrap_or_default();
        no_less(source, pages::resize(&mut held, len))?;
        read_noting(source, entry, &some, &mut held[before..], 1, sums)?;
        let whole = held.len() - held.len() % BLOCK;
        take_nonempty(&held[..whole], &mut take)?;
        held.drain(..whole);
    }
    take_nonempty(&held, &mut take)
}

/// Memory for what is read, or an error that names the file.
fn no_less<T>(source: &dyn Source, memory: std::io::Result<T>) -> Result<T> {
    memory.map_err(Error::io("read", source.file(0).1))
}

fn take_nonempty(bytes: &[u8], take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if bytes.is_empty() { Ok(()) } else { take(bytes) }
}

#[cfg(test)]
mod tests;
