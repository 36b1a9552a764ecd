//! Creates tensors for a load to fill.

use candle_core::op::BackpropOp;
use candle_core::{Device, Storage, Tensor};

use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::io::bytes;
use crate::source::Source;

/// A tensor of zeros. It lies on `device` if that is a CUDA device, whose memory the load fills directly, and otherwise
/// in main memory.
///
/// # Errors
/// If candle does not have the element type, or the memory cannot be allocated.
pub(crate) fn new_tensor(source: &dyn Source, name: &str, info: &TensorInfo, device: &Device) -> Result<Tensor> {
    let dtype = info.dtype();
    let unknown = || Error::WrongType {
        name: name.to_owned(),
        what: format!("has element type {dtype}, which candle's tensors do not have"),
    };
    let candle = dtype.to_candle().ok_or_else(unknown)?;
    if cfg!(feature = "cuda") && device.is_cuda() {
        return Tensor::zeros(info.shape(), candle, device).map_err(Error::candle(name));
    }
    let len = info.byte_len().unwrap_or_default();
    let elements = bytes::zeroed(candle, len).map_err(Error::io("read", source.file(0).1))?;
    let storage = Storage::Cpu(elements.ok_or_else(unknown)?);
    Ok(Tensor::from_storage(storage, info.shape(), BackpropOp::none(), false))
}
