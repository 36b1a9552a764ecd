//! Moves the bytes of many stored tensors at once, each into its tensor.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use candle_core::Tensor;

use super::counted::Counted;
use super::entries::{Held, StateEntry};
use super::target::{write, write_bytes};
use crate::device;
use crate::entry::Selection;
use crate::error::Result;
use crate::io::checksum::BLOCK;
use crate::progress::Meter;
use crate::source::read::{PartialSums, THREADS, in_parallel, neighbours, read_together, verify_around};
use crate::source::{Block, Check, Sought, Source, StoredTensor};

/// All threads together fill a tensor of at least this many bytes, if it is a large part of the load. Otherwise each thread
/// fills a tensor of its own, which is quicker.
const LARGE: u64 = 16 << 20;

/// A large tensor holds at least one of this many equal parts of all bytes that are moved.
const PARTS: u64 = 8;

/// Smaller tensors that lie together are read with one call.
const SMALL: u64 = 64 << 10;

/// A tensor that is filled, and the stored one that fills it: one row from the match to the last byte.
#[derive(Debug)]
pub(crate) struct Transfer<'t> {
    /// The name of the entry in the state.
    pub(crate) name: &'t str,
    /// The name of the entry in the file.
    pub(crate) stored_name: &'t str,
    /// The bytes of the file. After [`locate`] they are the tensor's elements and nothing else.
    pub(crate) stored: Cow<'t, StoredTensor>,
    pub(crate) tensor: &'t Tensor,
    /// The box of the stored tensor that `tensor` holds; `None`: all of it.
    pub(crate) selection: Option<&'t Selection>,
    /// Elements are converted.
    pub(crate) cast: bool,
    begun: AtomicBool,
}

impl<'t> Transfer<'t> {
    /// Into an entry of a state. Shapes are equal; element types are, unless elements are converted. `None` if the entry is
    /// no tensor.
    pub(crate) fn of(entry: &StateEntry<'t>, stored_name: &'t str, stored: &'t StoredTensor) -> Option<Self> {
        let Held::Tensor {
            tensor,
            ref info,
            selection,
            ..
        } = entry.held
        else {
            return None;
        };
        Some(Self {
            name: entry.name,
            stored_name,
            stored: Cow::Borrowed(stored),
            tensor,
            selection,
            cast: stored.info.dtype() != info.dtype(),
            begun: AtomicBool::new(false),
        })
    }

    /// Into a tensor that was made like the stored one.
    pub(crate) fn new(name: &'t str, tensor: &'t Tensor, stored: &'t StoredTensor) -> Self {
        Self {
            name,
            stored_name: name,
            stored: Cow::Borrowed(stored),
            tensor,
            selection: None,
            cast: false,
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

    pub(crate) fn bytes(&self) -> u64 {
        self.stored.info.byte_len().unwrap_or_default() as u64
    }

    fn write(&self, source: &dyn Source, threads: usize, sums: &PartialSums) -> Result<()> {
        write(source, self.name, self.tensor, &self.stored, self.cast, threads, sums)
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

/// Finds the bytes of every tensor; of those of which a box is held, the parts of that box. Most indexes know where they are.
///
/// # Errors
/// If what lies around them is damaged, or is not what the index says.
pub(crate) fn locate(source: &dyn Source, transfers: &mut [Transfer<'_>]) -> Result<()> {
    let is_known = |transfer: &Transfer<'_>| !transfer.stored.is_framed() && transfer.selection.is_none();
    if transfers.iter().all(is_known) {
        return Ok(());
    }
    let sought = transfers.iter().map(|transfer| Sought {
        entry: transfer.stored_name,
        stored: &transfer.stored,
        wanted: transfer.selection.map(|selection| selection.region.clone()),
    });
    let located = source.locate_all(&sought.collect::<Vec<_>>())?;
    let located: Vec<Option<StoredTensor>> = transfers
        .iter()
        .zip(located)
        .map(|(transfer, located)| match (transfer.selection, located) {
            (None, Cow::Borrowed(_)) => None,
            (None, Cow::Owned(located)) => Some(located),
            (Some(selection), located) => Some(located.cut_out(&selection.region)),
        })
        .collect();
    for (transfer, located) in transfers.iter_mut().zip(located) {
        if let Some(located) = located {
            transfer.stored = Cow::Owned(located);
        }
    }
    Ok(())
}

/// Fills all tensors, in the order of the file. Blocks that are read in part are noted in `sums`, and not verified before that
/// is finished.
///
/// # Errors
/// The first one met. Some are begun then.
pub(crate) fn transfer_all(
    source: &dyn Source,
    transfers: &mut [Transfer<'_>],
    sums: &PartialSums,
    meter: Option<&Meter>,
) -> Result<()> {
    transfers.sort_by_key(Transfer::place);
    device::synchronize(transfers.iter().map(|transfer| (transfer.name, transfer.tensor)))?;
    for transfer in &*transfers {
        // Here, where one thread after the other verifies a run, and not where several come upon it at once.
        let parts = &transfer.stored.parts;
        parts
            .iter()
            .try_for_each(|part| verify_around(source, transfer.name, part))?;
    }
    let total: u64 = transfers.iter().map(Transfer::bytes).sum();
    let large = LARGE.max(total / PARTS);
    let (large, rest): (Vec<&Transfer<'_>>, Vec<&Transfer<'_>>) =
        transfers.iter().partition(|transfer| transfer.bytes() >= large);
    for large in large {
        transfer_one(source, large, THREADS, sums, meter)?;
    }
    let total: u64 = rest.iter().map(|transfer| transfer.bytes()).sum();
    let batches = neighbours(&rest, BLOCK as u64, |transfer| {
        transfer.single_block().map(Block::place)
    });
    let next = AtomicUsize::new(0);
    in_parallel(if total < LARGE / 4 { 1 } else { THREADS }, || {
        let batch = batches.get(next.fetch_add(1, Ordering::Relaxed))?;
        Some(match &rest[batch.clone()] {
            [one] => transfer_one(source, one, 1, sums, meter),
            many => transfer_batch(source, many, meter),
        })
    })
}

fn transfer_one(
    source: &dyn Source,
    transfer: &Transfer<'_>,
    threads: usize,
    sums: &PartialSums,
    meter: Option<&Meter>,
) -> Result<()> {
    transfer.begin();
    let Some(meter) = meter else {
        return transfer.write(source, threads, sums);
    };
    let counted = Counted::new(source, meter, transfer.name, transfer.bytes());
    transfer.write(&counted, threads, sums)?;
    counted.finish()
}

/// Takes neighbours from the file at once, and verifies all of them before it writes the first.
fn transfer_batch(source: &dyn Source, batch: &[&Transfer<'_>], meter: Option<&Meter>) -> Result<()> {
    let blocks = batch
        .iter()
        .filter_map(|transfer| Some((transfer.name, transfer.single_block()?)));
    let blocks: Vec<(&str, Block)> = blocks.collect();
    let packed = read_together(source, &blocks)?;
    let mut rest = &packed[..];
    for (transfer, (_, block)) in batch.iter().zip(&blocks) {
        let (bytes, later) = rest.split_at(block.len);
        transfer.begin();
        write_bytes(transfer.name, transfer.tensor, bytes)?;
        if let Some(meter) = meter {
            meter.add(transfer.name, bytes.len() as u64)?;
        }
        rest = later;
    }
    Ok(())
}
