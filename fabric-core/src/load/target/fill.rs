//! Fills many tensors at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use candle_core::Tensor;

use super::new::{NewTensor, Room};
use super::watched::Watched;
use super::{write, write_bytes};
use crate::device;
use crate::error::Result;
use crate::io::checksum::BLOCK;
use crate::io::streaming::{self, Unsummed};
use crate::progress::Meter;
use crate::source::read::{Block, THREADS, in_parallel, neighbours, read_into, read_together, verify_around};
use crate::source::{Check, Source, StoredTensor};

/// Tensors from this size on have all threads to themselves, if they are a good part of what is moved: otherwise it is
/// quicker if each thread has a tensor.
const LARGE: u64 = 16 << 20;

/// What is a good part: one of so many.
const PARTS: u64 = 8;

/// Smaller tensors that lie together are read with one call.
const SMALL: u64 = 64 << 10;

/// What is filled.
#[derive(Clone, Copy)]
enum Target<'f> {
    Live(&'f Tensor),
    Room(&'f Room),
}

/// One tensor to fill. Shapes are equal; element types are, unless it is cast.
pub(crate) struct Fill<'f> {
    pub(crate) name: &'f str,
    target: Target<'f>,
    stored: &'f StoredTensor,
    cast: bool,
    begun: AtomicBool,
}

impl<'f> Fill<'f> {
    /// Of a tensor that is there.
    pub(crate) fn live(name: &'f str, tensor: &'f Tensor, stored: &'f StoredTensor, cast: bool) -> Self {
        Self::of(name, Target::Live(tensor), stored, cast)
    }

    /// Of one that is not there yet.
    pub(crate) fn new(name: &'f str, tensor: &'f NewTensor, stored: &'f StoredTensor) -> Self {
        let target = match tensor {
            NewTensor::Room(room) => Target::Room(room),
            NewTensor::Zeros(tensor) => Target::Live(tensor),
        };
        Self::of(name, target, stored, false)
    }

    fn of(name: &'f str, target: Target<'f>, stored: &'f StoredTensor, cast: bool) -> Self {
        Self {
            name,
            target,
            stored,
            cast,
            begun: AtomicBool::new(false),
        }
    }

    /// Whether the tensor is not as it was before, or may not be.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    fn place(&self) -> (usize, u64) {
        self.stored
            .parts
            .first()
            .map_or((0, 0), |part| (part.place.file, part.place.start))
    }

    fn bytes(&self) -> u64 {
        self.stored.info.byte_len().unwrap_or_default() as u64
    }

    fn write(&self, source: &dyn Source, threads: usize) -> Result<()> {
        match self.target {
            Target::Live(tensor) => write(source, self.name, tensor, self.stored, self.cast, threads),
            Target::Room(room) => room.write(source, self.name, |into| {
                read_into(source, self.name, self.stored, into, threads)
            }),
        }
    }

    fn write_bytes(&self, source: &dyn Source, bytes: &[u8]) -> Result<()> {
        match self.target {
            Target::Live(tensor) => write_bytes(self.name, tensor, bytes),
            Target::Room(room) => room.write(source, self.name, |into| {
                if into.len() == bytes.len() {
                    streaming::copy(bytes, into, &mut Unsummed);
                }
                Ok(())
            }),
        }
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

/// Fills them all, in the order of the file.
///
/// # Errors
/// The first one met. Some are begun then.
pub(crate) fn fill_all(source: &dyn Source, fills: &mut [Fill<'_>], meter: Option<&Meter>) -> Result<()> {
    fills.sort_by_key(Fill::place);
    device::settle(fills.iter().filter_map(|fill| match fill.target {
        Target::Live(tensor) => Some((fill.name, tensor)),
        Target::Room(_) => None,
    }))?;
    for fill in &*fills {
        // Here, where one thread after the other verifies a run, and not where several come upon it at once.
        let parts = &fill.stored.parts;
        parts
            .iter()
            .try_for_each(|part| verify_around(source, fill.name, part))?;
    }
    let total: u64 = fills.iter().map(Fill::bytes).sum();
    let large = LARGE.max(total / PARTS);
    let (large, rest): (Vec<&Fill<'_>>, Vec<&Fill<'_>>) = fills.iter().partition(|fill| fill.bytes() >= large);
    for large in large {
        fill_one(source, large, THREADS, meter)?;
    }
    let total: u64 = rest.iter().map(|fill| fill.bytes()).sum();
    let batches = neighbours(&rest, BLOCK as u64, |fill| fill.single_block().map(Block::place));
    let next = AtomicUsize::new(0);
    in_parallel(if total < LARGE / 4 { 1 } else { THREADS }, || {
        let batch = batches.get(next.fetch_add(1, Ordering::Relaxed))?;
        Some(match &rest[batch.clone()] {
            [one] => fill_one(source, one, 1, meter),
            many => fill_batch(source, many, meter),
        })
    })
}

fn fill_one(source: &dyn Source, fill: &Fill<'_>, threads: usize, meter: Option<&Meter>) -> Result<()> {
    fill.begin();
    let Some(meter) = meter else {
        return fill.write(source, threads);
    };
    let watched = Watched::new(source, meter, fill.name, fill.bytes());
    fill.write(&watched, threads)?;
    watched.finish()
}

/// Takes neighbours from the file at once, and verifies all of them before it writes the first.
fn fill_batch(source: &dyn Source, batch: &[&Fill<'_>], meter: Option<&Meter>) -> Result<()> {
    let blocks = batch.iter().filter_map(|fill| Some((fill.name, fill.single_block()?)));
    let blocks: Vec<(&str, Block)> = blocks.collect();
    let packed = read_together(source, &blocks)?;
    let mut rest = &packed[..];
    for (fill, (_, block)) in batch.iter().zip(&blocks) {
        let (bytes, later) = rest.split_at(block.len);
        fill.begin();
        fill.write_bytes(source, bytes)?;
        if let Some(meter) = meter {
            meter.add(fill.name, bytes.len() as u64)?;
        }
        rest = later;
    }
    Ok(())
}
