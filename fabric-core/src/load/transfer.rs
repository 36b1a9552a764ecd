//! Fills many tensors from a source.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use candle_core::Tensor;

use super::counted::Counted;
use super::entries::{EntryTarget, StateEntry};
use super::target::{prefer_large_pages, write, write_bytes};
use crate::device;
use crate::entry::Selection;
use crate::error::Result;
use crate::io::checksum::BLOCK;
use crate::progress::Meter;
use crate::source::read::{PartialSums, THREADS, in_parallel, neighbours, read_together, verify_around};
use crate::source::{Block, Check, Sought, Source, StoredTensor};

/// The smallest tensor, in bytes, that all threads fill together if it is a large part of the load. Each thread fills
/// other tensors alone, which is faster.
const LARGE: u64 = 16 << 20;

/// A tensor counts as a large part of the load if it has at least one of this many equal parts of all bytes.
const PARTS: u64 = 8;

/// The largest tensor, in bytes, that is read together with its neighbours in the file.
const SMALL: u64 = 64 << 10;

/// A tensor to fill and its stored counterpart, from the match to the last byte.
#[derive(Debug)]
pub(super) struct Transfer<'t> {
    /// The name of the entry in the state.
    pub(crate) name: &'t str,
    /// The name of the entry in the file.
    pub(crate) stored_name: &'t str,
    /// The tensor's bytes in the file. After [`locate`] the place contains only the elements.
    pub(crate) stored: Cow<'t, StoredTensor>,
    pub(crate) tensor: Cow<'t, Tensor>,
    /// The box of the stored tensor that `tensor` holds; `None` for the whole tensor.
    pub(crate) selection: Option<Cow<'t, Selection>>,
    /// Elements are converted to the tensor's type.
    pub(crate) cast: bool,
    begun: AtomicBool,
}

impl<'t> Transfer<'t> {
    /// A transfer into an entry of a state. The shapes are equal; the element types are equal unless elements are
    /// converted. `None` if the entry is not a tensor.
    pub(crate) fn of(entry: &StateEntry<'t>, stored_name: &'t str, stored: &'t StoredTensor) -> Option<Self> {
        let EntryTarget::Tensor {
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
            tensor: Cow::Borrowed(tensor),
            selection: selection.map(Cow::Borrowed),
            cast: stored.info.dtype() != info.dtype(),
            begun: AtomicBool::new(false),
        })
    }

    /// A transfer into a new tensor of the stored shape. Elements are converted if its type is another one.
    pub(crate) fn new(name: &'t str, tensor: &'t Tensor, stored: &'t StoredTensor) -> Self {
        Self {
            name,
            stored_name: name,
            stored: Cow::Borrowed(stored),
            tensor: Cow::Borrowed(tensor),
            selection: None,
            cast: stored.info.dtype() != tensor.dtype(),
            begun: AtomicBool::new(false),
        }
    }

    /// Returns true if the tensor may have changed.
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
        write(source, self.name, &self.tensor, &self.stored, self.cast, threads, sums)
    }

    /// The block of a small tensor that is stored contiguously and unconverted; `None` for other tensors.
    fn single_block(&self) -> Option<Block> {
        let [part] = &self.stored.parts[..] else { return None };
        let small = part.place.len <= SMALL && !self.cast;
        let itself = part.arrangement.is_none()
            && part.cut.is_none()
            && (part.is_whole_run() || !matches!(part.check, Check::Run(_)));
        part.blocks().next().filter(|_| small && itself)
    }
}

/// Finds the bytes of every tensor; for a tensor with a selection, those of the parts that overlap it. Most formats
/// give these places in their index.
///
/// # Errors
/// If the framing around the bytes is damaged, or contradicts the index.
pub(crate) fn locate(source: &dyn Source, transfers: &mut [Transfer<'_>]) -> Result<()> {
    let is_known = |transfer: &Transfer<'_>| !transfer.stored.is_framed() && transfer.selection.is_none();
    if transfers.iter().all(is_known) {
        return Ok(());
    }
    let sought = transfers.iter().map(|transfer| Sought {
        entry: transfer.stored_name,
        stored: &transfer.stored,
        wanted: transfer.selection.as_ref().map(|selection| selection.region.clone()),
    });
    let located = source.locate_all(&sought.collect::<Vec<_>>())?;
    let located: Vec<Option<StoredTensor>> = transfers
        .iter()
        .zip(located)
        .map(|(transfer, located)| match (&transfer.selection, located) {
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

/// Fills all tensors, in the order of the file. Blocks that are read in part are recorded in `sums`, whose `finish`
/// verifies them.
///
/// # Errors
/// The first error. Some tensors may have changed by then.
pub(super) fn transfer_all(
    source: &dyn Source,
    transfers: &mut [Transfer<'_>],
    sums: &PartialSums,
    meter: Option<&Meter>,
) -> Result<()> {
    transfers.sort_by_key(Transfer::place);
    device::synchronize(transfers.iter().map(|transfer| (transfer.name, &*transfer.tensor)))?;
    for transfer in &*transfers {
        // The runs are verified here, one after the other, because several threads would otherwise verify one run at
        // once.
        let parts = &transfer.stored.parts;
        parts
            .iter()
            .try_for_each(|part| verify_around(source, transfer.name, part))?;
    }
    let total: u64 = transfers.iter().map(Transfer::bytes).sum();
    prefer_large_pages(transfers.iter().map(|transfer| &*transfer.tensor), total);
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

/// Reads neighbouring tensors with one call, and verifies all of them before it fills the first.
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
        write_bytes(transfer.name, &transfer.tensor, bytes)?;
        if let Some(meter) = meter {
            meter.add(transfer.name, bytes.len() as u64)?;
        }
        rest = later;
    }
    Ok(())
}
