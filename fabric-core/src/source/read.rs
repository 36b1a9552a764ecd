//! Reads stored tensors block by block, and verifies each block while it is in the processor's cache.

mod block;
mod check;
mod cut;
mod each;
mod elements;
mod in_blocks;
mod lent;
mod neighbours;
mod parallel;
mod partial;
mod runs;
mod slab;
mod stream;
#[cfg(any(test, feature = "cuda"))]
mod stretches;
mod used;
mod whole;
mod windows;

pub(crate) use block::read_block;
pub(crate) use check::{verify_around, verify_run};
pub(crate) use each::{Marked, read_each};
pub(crate) use lent::read_together;
pub(crate) use neighbours::neighbours;
pub(crate) use parallel::{THREADS, in_parallel};
pub(crate) use partial::{BlockKey, PartialSums, Share};
pub(crate) use stream::{stream, stream_noting};
#[cfg(feature = "cuda")]
pub(crate) use stretches::Stretches;
pub(crate) use whole::read_through;

use std::sync::Mutex;

use self::block::check_block;
use self::check::RunCheck;
use self::lent::{WINDOW, read_blocks};
use self::slab::{in_sequence, item, part_len, slab};
use super::{Block, Part, Source, StoredTensor, Sum};
use crate::error::{Error, Result};
use crate::io::checksum::BLOCK;

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
        let is_plain = part.arrangement.is_none() && part.cut.is_none();
        match slab(&part.region, tensor).filter(|_| is_plain) {
            Some(start) => {
                let len = part_len(part).unwrap_or(usize::MAX);
                let Some(into) = start.checked_add(len).and_then(|end| into.get_mut(start..end)) else {
                    return Err(out_of_bounds(source, entry));
                };
                read_slab(source, entry, part, into, threads)?;
            }
            None => cut::read(source, entry, tensor, part, into, threads, sums)?,
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

/// Memory for what is read, or an error that names the file.
fn no_less<T>(source: &dyn Source, memory: std::io::Result<T>) -> Result<T> {
    memory.map_err(Error::io("read", source.file(0).1))
}

#[cfg(test)]
mod tests;
