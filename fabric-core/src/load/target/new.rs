//! Tensors that are not there yet.

use std::sync::{Mutex, PoisonError};

use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, Device, Storage, Tensor};

use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::io::blank::Blank;
use crate::io::bytes;
use crate::source::Source;

/// A tensor to be.
pub(crate) enum NewTensor {
    /// Room for its elements in memory of the host.
    Room(Room),
    /// Zeros on a device into whose memory bytes are written straight from the file.
    Zeros(Tensor),
}

/// Room for the elements of a tensor, and none of them.
#[derive(Debug)]
pub(crate) struct Room {
    shape: Vec<usize>,
    len: usize,
    elements: Mutex<CpuStorage>,
}

impl NewTensor {
    /// # Errors
    /// If candle has no such element type, or there is not as much memory.
    pub(crate) fn new(source: &dyn Source, name: &str, info: &TensorInfo, device: &Device) -> Result<Self> {
        let dtype = info.dtype();
        let unknown = || Error::WrongType {
            name: name.to_owned(),
            what: format!("has element type {dtype}, which candle's tensors do not have"),
        };
        let candle = dtype.to_candle().ok_or_else(unknown)?;
        if cfg!(feature = "cuda") && device.is_cuda() {
            let zeros = Tensor::zeros(info.shape(), candle, device);
            return zeros.map(Self::Zeros).map_err(Error::candle(name));
        }
        let len = info.byte_len().unwrap_or_default();
        let elements = bytes::reserve(candle, len).map_err(Error::io("read", source.file(0).1))?;
        let elements = elements.ok_or_else(unknown)?;
        Ok(Self::Room(Room {
            shape: info.shape().to_vec(),
            len,
            elements: Mutex::new(elements),
        }))
    }

    /// The tensor, once it is filled, on the device for which it was made.
    ///
    /// # Errors
    /// If it was not filled; if the device refuses.
    pub(crate) fn into_tensor(self, name: &str, device: &Device) -> Result<Tensor> {
        match self {
            Self::Room(room) => {
                let elements = room.elements.into_inner().unwrap_or_else(PoisonError::into_inner);
                let filled = bytes::of(&elements).len();
                if filled != room.len {
                    let what = format!("entry `{name}` has {filled} of {} bytes, and became a tensor", room.len);
                    return Err(Error::Internal(what));
                }
                // The tensor takes the memory over.
                let tensor = Tensor::from_storage(Storage::Cpu(elements), room.shape, BackpropOp::none(), false);
                tensor.to_device(device).map_err(Error::candle(name))
            }
            Self::Zeros(tensor) => Ok(tensor),
        }
    }
}

impl Room {
    /// Has the elements written.
    pub(crate) fn write(
        &self,
        source: &dyn Source,
        name: &str,
        write: impl FnOnce(Blank<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut elements = self.elements.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes::fill(&mut elements, self.len, write)? {
            return Ok(());
        }
        Err(Error::corrupt(
            source.file(0).1,
            format!("the parts of entry `{name}` leave some of it out"),
        ))
    }
}
