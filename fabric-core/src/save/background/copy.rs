//! Copies parts of a state out of the memory that guards keep still, in the order in which a file has them.

use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};

use candle_core::{Layout, Storage};

use super::device;
use super::hold::{Held, Locks};
use super::pack::{Filled, Packer, Stop};
use super::staging::Staging;
use crate::entry::DType;
use crate::entry::Row;
use crate::error::{Error, Result};
use crate::io::bytes;
use crate::io::checksum::BLOCK;
use crate::load::target::{Elements, window};
use crate::save::contents::Live;

/// Elements that are no run are gathered in runs of this many bytes.
const GATHERED: usize = BLOCK / 16;

/// What a thread needs that copies a state.
pub(crate) struct Copy {
    /// In the order of their bytes in the file.
    pub(crate) rows: Vec<Row<Live>>,
    pub(crate) locks: Locks,
    pub(crate) staging: Arc<Staging>,
}

impl Copy {
    /// Takes the guards and says so; then copies, and releases them as it goes. Ends early if nobody takes what is copied.
    pub(crate) fn run(self, held: &SyncSender<()>, filled: &Sender<Result<Filled>>) {
        let mut guards = Held::take(&self.rows, self.locks);
        // Who does not listen any more has been told that this thread could not be had.
        let _ = held.send(());
        // What was given to a device before the guards were held belongs to the state.
        if let Err(error) = crate::save::settle(&self.rows) {
            return Stop::Failed(error).tell(filled);
        }
        let mut packer = Packer::new(&self.staging, filled);
        for (at, row) in self.rows.iter().enumerate() {
            packer.begin(at, row.len());
            let copied = match guards.storage(at) {
                Some(storage) => copy(row, storage, &mut packer),
                None => Err(Stop::Failed(Error::Internal(format!(
                    "the memory of `{}` was let go before it was copied",
                    row.name
                )))),
            };
            if let Err(stop) = copied {
                return stop.tell(filled);
            }
            guards.release(at);
        }
        if let Err(stop) = packer.finish() {
            stop.tell(filled);
        }
    }
}

/// Copies a row in row-major order. Of the tensor only the layout is looked at: its lock must not be taken again.
fn copy(row: &Row<Live>, storage: &Storage, packer: &mut Packer<'_>) -> Result<(), Stop> {
    let layout = layout_of(row)?;
    let dtype = DType::from(row.bytes.tensor.dtype());
    let failed = |source| Stop::Failed(Error::candle(&row.name)(source));
    #[cfg(feature = "cuda")]
    if let (Storage::Cuda(storage), Some(window)) = (storage, window(&layout, dtype)) {
        return crate::device::cuda::read(&row.name, storage, window, |bytes| packer.put(bytes));
    }
    match storage {
        Storage::Cpu(storage) => gather(bytes::of(storage), &layout, dtype, packer),
        Storage::Cuda(storage) => device::copy(storage, &layout, dtype, &failed, packer),
        Storage::Metal(storage) => device::copy(storage, &layout, dtype, &failed, packer),
    }
}

fn layout_of(row: &Row<Live>) -> Result<Layout, Stop> {
    let mut layout = row.bytes.tensor.layout().clone();
    let Some(region) = &row.bytes.within else {
        return Ok(layout);
    };
    for (dim, (&from, &len)) in region.offset.iter().zip(&region.size).enumerate() {
        if len != layout.dims()[dim] {
            let narrowed = layout.narrow(dim, from, len);
            layout = narrowed.map_err(|source| Stop::Failed(Error::candle(&row.name)(source)))?;
        }
    }
    Ok(layout)
}

fn gather(storage: &[u8], layout: &Layout, dtype: DType, packer: &mut Packer<'_>) -> Result<(), Stop> {
    if let Some(bytes) = window(layout, dtype).and_then(|window| storage.get(window)) {
        return packer.put(bytes);
    }
    let item = dtype.bits() / 8;
    let mut elements = Elements::new(layout);
    let mut left = layout.shape().elem_count();
    let mut run = Vec::with_capacity(GATHERED.min(left * item));
    while left > 0 {
        run.clear();
        let now = left.min(GATHERED / item);
        for _ in 0..now {
            let at = elements.next() * item;
            run.extend_from_slice(&storage[at..at + item]);
        }
        packer.put(&run)?;
        left -= now;
    }
    Ok(())
}
