//! The bytes of a tensor that the program made.

use candle_core::{Device, Storage, Tensor};

use super::window;
use crate::error::{Error, Result};
use crate::io::bytes;

/// Calls `read` with the elements of a tensor of any device and layout, in row-major order.
///
/// # Errors
/// If candle cannot copy the tensor to main memory.
pub(crate) fn with_plain<R>(name: &str, tensor: &Tensor, read: impl FnOnce(&[u8]) -> R) -> Result<R> {
    let plain = tensor
        .to_device(&Device::Cpu)
        .and_then(|plain| plain.force_contiguous());
    let plain = plain.map_err(Error::candle(name))?;
    let (storage, layout) = plain.storage_and_layout();
    let elements = match &*storage {
        Storage::Cpu(own) => window(layout, plain.dtype().into()).and_then(|run| bytes::of(own).get(run)),
        _ => None,
    };
    let elements =
        elements.ok_or_else(|| Error::Internal(format!("a copy of `{name}` in main memory is no run of bytes")))?;
    Ok(read(elements))
}
