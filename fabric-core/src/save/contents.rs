//! The bytes of pieces of a live state: read where they are, however they are strided.

use candle_core::{Device, Storage as CandleStorage, Tensor};

use super::Prepared;
use super::image::Contents;
use crate::bytes;
use crate::checksum::BLOCK;
use crate::entry::{DType, Region};
use crate::error::{Error, Result};
use crate::target::{Elements, window};

/// Boxes of the tensors of a state.
pub(super) struct Live<'a> {
    pub(super) prepared: &'a Prepared,
    /// For each piece, the tensor of the plan, and the box of it as this rank holds it; `None`: all of that.
    pub(super) pieces: Vec<(usize, Option<Region>)>,
}

impl Contents for Live<'_> {
    fn read(&self, piece: usize, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (tensor, region) = &self.pieces[piece];
        let planned = &self.prepared.plan.tensors[*tensor];
        let tensor = &self.prepared.tensors[*tensor];
        let Some(region) = region else {
            return read_out(&planned.name, tensor, take);
        };
        let mut shown = tensor.clone();
        for (dim, (&from, &len)) in region.offset.iter().zip(&region.size).enumerate() {
            if len != shown.dims()[dim] {
                shown = shown.narrow(dim, from, len).map_err(Error::candle(&planned.name))?;
            }
        }
        read_out(&planned.name, &shown, take)
    }
}

/// Hands every byte of a tensor to `take`, in row-major order, in runs of whole blocks: each but the last is a multiple of
/// [`BLOCK`] long.
fn read_out(name: &str, tensor: &Tensor, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if !tensor.device().is_cpu() {
        return device_blocks(name, tensor, take);
    }
    let dtype = DType::from(tensor.dtype());
    let (guard, layout) = tensor.storage_and_layout();
    let CandleStorage::Cpu(storage) = &*guard else {
        return Err(Error::Options(format!(
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
