//! Copies the rows of a save out of the tensors, under read guards and in the order of the file.

use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};

use candle_core::{Layout, Storage};

use super::device;
use super::read_guards::{ReadGuards, StorageLocks};
use super::staging::Staging;
use super::staging_writer::{FilledChunk, StagingWriter, Stop};
use crate::entry::DType;
use crate::entry::Row;
use crate::error::{Error, Result};
use crate::io::bytes;
use crate::io::checksum::BLOCK;
use crate::load::target::{Elements, window};
use crate::save::contents::LiveTensor;

/// Elements that are not contiguous are gathered into runs of this many bytes.
const GATHERED: usize = BLOCK / 16;

/// The work of the thread that copies a state.
pub(super) struct StateCopy {
    /// In the order of their bytes in the file.
    pub(super) rows: Vec<Row<LiveTensor>>,
    pub(super) locks: StorageLocks,
    pub(super) staging: Arc<Staging>,
}

impl StateCopy {
    /// Takes the guards and sends a message on `held`; then copies the rows, and releases each guard after its last
    /// row. Ends early if the receiver of `filled` is gone.
    pub(super) fn run(self, held: &SyncSender<()>, filled: &Sender<Result<FilledChunk>>) {
        let mut guards = ReadGuards::take(&self.rows, self.locks);
        // If the caller has stopped listening, it has returned already.
        let _ = held.send(());
        // Work that devices were given before the guards were taken belongs to the state.
        if let Err(error) = crate::save::synchronize_devices(&self.rows) {
            return Stop::Failed(error).tell(filled);
        }
        let mut writer = StagingWriter::new(&self.staging, filled);
        for (at, row) in self.rows.iter().enumerate() {
            writer.start_row(at, row.len());
            let copied = match guards.storage(at) {
                Some(storage) => copy(row, storage, &mut writer),
                None => Err(Stop::Failed(Error::Internal(format!(
                    "the guard on `{}` was dropped before its row was copied",
                    row.name
                )))),
            };
            if let Err(stop) = copied {
                return stop.tell(filled);
            }
            guards.release(at);
        }
        if let Err(stop) = writer.finish() {
            stop.tell(filled);
        }
    }
}

/// Copies a row in row-major order. Reads only the layout of the tensor: its lock is held already and must not be taken
/// again.
fn copy(row: &Row<LiveTensor>, storage: &Storage, writer: &mut StagingWriter<'_>) -> Result<(), Stop> {
    let layout = layout_of(row)?;
    let dtype = DType::from(row.bytes.tensor.dtype());
    let failed = |source| Stop::Failed(Error::candle(&row.name)(source));
    #[cfg(feature = "cuda")]
    if let (Storage::Cuda(storage), Some(window)) = (storage, window(&layout, dtype)) {
        return crate::device::cuda::read(&row.name, storage, window, |bytes| writer.write(bytes));
    }
    match storage {
        Storage::Cpu(storage) => gather(bytes::of(storage), &layout, dtype, writer),
        Storage::Cuda(storage) => device::copy(storage, &layout, dtype, &failed, writer),
        Storage::Metal(storage) => device::copy(storage, &layout, dtype, &failed, writer),
    }
}

fn layout_of(row: &Row<LiveTensor>) -> Result<Layout, Stop> {
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

fn gather(storage: &[u8], layout: &Layout, dtype: DType, writer: &mut StagingWriter<'_>) -> Result<(), Stop> {
    if let Some(bytes) = window(layout, dtype).and_then(|window| storage.get(window)) {
        return writer.write(bytes);
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
        writer.write(&run)?;
        left -= now;
    }
    Ok(())
}
