//! The bytes of a live state: read where they are, however they are strided.

use candle_core::{Device, Storage as CandleStorage, Tensor};

use super::file::{Contents, Run};
use crate::entry::{DType, Region, Row};
use crate::error::{Error, Result};
use crate::io::bytes;
use crate::io::checksum::BLOCK;
use crate::load::target::{Elements, window};
use crate::state::Shards;

/// The place of a row's bytes in a tensor of the state, and the attributes above it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) tensor: Tensor,
    /// The box of `tensor` that the row is about; `None`: all of it.
    pub(crate) within: Option<Region>,
    pub(crate) shards: Shards,
    /// Kept and not learned: replicas may differ.
    pub(crate) buffer: bool,
}

impl Contents for Vec<Row<Live>> {
    fn read(&self, row: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
        let take = &mut |bytes: &[u8]| take(Run::of(bytes));
        let Row { name, bytes, .. } = &self[row];
        let Live { tensor, within, .. } = bytes;
        let Some(region) = within else {
            return read_out(name, tensor, take);
        };
        let mut shown = tensor.clone();
        for (dim, (&from, &len)) in region.offset.iter().zip(&region.size).enumerate() {
            if len != shown.dims()[dim] {
                shown = shown.narrow(dim, from, len).map_err(Error::candle(name))?;
            }
        }
        read_out(name, &shown, take)
    }
}

/// Hands every byte of a tensor to `take`, in row-major order, in runs of whole blocks: each but the last is a multiple of
/// [`BLOCK`] long.
pub(crate) fn read_out(name: &str, tensor: &Tensor, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let dtype = DType::from(tensor.dtype());
    #[cfg(feature = "cuda")]
    if let (guard, layout) = tensor.storage_and_layout()
        && let CandleStorage::Cuda(storage) = &*guard
        && let Some(window) = window(layout, dtype)
    {
        return crate::device::cuda::read(name, storage, window, take);
    }
    if !tensor.device().is_cpu() {
        return device_blocks(name, tensor, take);
    }
    let (guard, layout) = tensor.storage_and_layout();
    let CandleStorage::Cpu(storage) = &*guard else {
        return Err(Error::Internal(format!(
            "tensor `{name}` says it is in main memory and is not"
        )));
    };
    let storage = bytes::of(storage);
    if let Some(bytes) = window(layout, dtype).and_then(|window| storage.get(window)) {
        return take(bytes);
    }
    let item = dtype.bits() / 8;
    let mut elements = Elements::new(layout);
    let mut left = layout.shape().elem_count();
    let mut block = Vec::with_capacity(BLOCK.min(left * item));
    while left > 0 {
        block.clear();
        let now = left.min(BLOCK / item);
        for _ in 0..now {
            let at = elements.next() * item;
            block.extend_from_slice(&storage[at..at + item]);
        }
        take(&block)?;
        left -= now;
    }
    Ok(())
}

/// The same for a tensor on an accelerator: each block is copied out by itself, never the whole storage.
fn device_blocks(name: &str, tensor: &Tensor, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let item = (DType::from(tensor.dtype()).bits() / 8).max(1);
    let flat = tensor.flatten_all().map_err(Error::candle(name))?;
    let (mut from, total) = (0, flat.elem_count());
    while from < total {
        let now = (total - from).min(BLOCK / item);
        let copy = || flat.narrow(0, from, now)?.force_contiguous()?.to_device(&Device::Cpu);
        read_out(name, &copy().map_err(Error::candle(name))?, take)?;
        from += now;
    }
    Ok(())
}
