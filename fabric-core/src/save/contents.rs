//! The bytes of a live state, read from its tensors, whatever their strides.

use candle_core::{Device, Storage as CandleStorage, Tensor};

use super::file::{ByteRun, Contents};
use crate::entry::{DType, Region, Row};
use crate::error::{Error, Result};
use crate::io::bytes;
use crate::io::checksum::BLOCK;
use crate::load::target::{Elements, window};
use crate::state::Shards;

/// The tensor of the state that holds the bytes of a row, and the attributes above it.
#[derive(Clone, Debug)]
pub(crate) struct LiveTensor {
    pub(crate) tensor: Tensor,
    /// The box of `tensor` that holds the bytes; `None`: the whole tensor.
    pub(crate) within: Option<Region>,
    pub(crate) shards: Shards,
    /// True for a buffer, which is not learned: its replicas may differ.
    pub(crate) buffer: bool,
}

impl Contents for Vec<Row<LiveTensor>> {
    fn read(&self, row: usize, take: &mut dyn FnMut(ByteRun<'_>) -> Result<()>) -> Result<()> {
        let take = &mut |bytes: &[u8]| take(ByteRun::of(bytes));
        let Row { name, bytes, .. } = &self[row];
        let LiveTensor { tensor, within, .. } = bytes;
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

/// Hands every byte of a tensor to `take`, in row-major order. The length of every run but the last is a multiple of
/// [`BLOCK`].
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
            "tensor `{name}` is on the CPU, and its storage is not"
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

/// Hands every byte of a tensor on an accelerator to `take`: each block is copied to the host by itself, never the
/// whole storage.
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
