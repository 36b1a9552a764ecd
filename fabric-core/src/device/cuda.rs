//! Copies between pinned memory of the host and the memory of a CUDA tensor, without other allocations on the device.

mod pinned;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::Pod;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaStream, DeviceRepr};
use candle_core::cuda_backend::{CudaDevice, CudaStorage, CudaStorageSlice, WrapErr};

use self::pinned::Pinned;
use super::double_buffer::{self, DoubleBuffer};
use crate::error::{Error, Result};

/// The length of one copy in bytes.
pub(crate) const LEN: usize = pinned::LEN;

/// Waits until the device has finished the work of all threads. Each thread has its own stream, and streams do not wait
/// for each other.
pub(super) fn wait(device: &CudaDevice) -> candle_core::Result<()> {
    device.cuda_stream().context().synchronize().w()
}

/// Calls a function on the memory of any element type. Candle stores types smaller than a byte as bytes.
macro_rules! elements {
    ($slice:expr, $elements:ident => $call:expr) => {
        match $slice {
            CudaStorageSlice::U8($elements)
            | CudaStorageSlice::F6E2M3($elements)
            | CudaStorageSlice::F6E3M2($elements)
            | CudaStorageSlice::F4($elements)
            | CudaStorageSlice::F8E8M0($elements) => $call,
            CudaStorageSlice::U32($elements) => $call,
            CudaStorageSlice::I16($elements) => $call,
            CudaStorageSlice::I32($elements) => $call,
            CudaStorageSlice::I64($elements) => $call,
            CudaStorageSlice::BF16($elements) => $call,
            CudaStorageSlice::F16($elements) => $call,
            CudaStorageSlice::F32($elements) => $call,
            CudaStorageSlice::F64($elements) => $call,
            CudaStorageSlice::F8E4M3($elements) => $call,
        }
    };
}

/// The memory of a tensor that one or more threads fill.
pub(crate) struct DeviceFill<'s> {
    name: &'s str,
    stream: Arc<CudaStream>,
    /// Locked while a copy begins, not while it runs.
    slice: Mutex<&'s mut CudaStorageSlice>,
    /// The bytes of the storage that the tensor shows.
    window: Range<usize>,
}

impl<'s> DeviceFill<'s> {
    pub(crate) fn new(name: &'s str, storage: &'s mut CudaStorage, window: Range<usize>) -> Self {
        Self {
            name,
            stream: storage.device.cuda_stream(),
            slice: Mutex::new(&mut storage.slice),
            window,
        }
    }

    /// The windows to fill, in order, as byte ranges of the tensor.
    pub(crate) fn windows(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        double_buffer::windows(0..self.window.len(), LEN)
    }

    /// A copy lane with its own buffers.
    pub(crate) fn lane(&self) -> Result<CopyLane<'_, 's>> {
        let buffers = Pinned::two(self.stream.context()).map_err(Error::candle(self.name))?;
        Ok(CopyLane {
            fill: self,
            buffer: DoubleBuffer::new(self.name, buffers),
        })
    }

    fn begin_copy(&self, buffer: &mut Pinned, window: &Range<usize>) -> candle_core::Result<()> {
        let at = self.window.start + window.start;
        let mut slice = self.slice.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.copy_by(
            &self.stream,
            window.len(),
            |bytes| elements!(&mut **slice, elements => to_device(elements, &self.stream, at, bytes)),
        )
    }
}

/// Fills one window after the other through two buffers.
pub(crate) struct CopyLane<'f, 's> {
    fill: &'f DeviceFill<'s>,
    buffer: DoubleBuffer<'f, Pinned>,
}

impl CopyLane<'_, '_> {
    /// Fills a window of at most [`LEN`] bytes, whose copy may still run when this returns.
    pub(crate) fn fill_window(
        &mut self,
        window: &Range<usize>,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        if window.end > self.fill.window.len() {
            return Err(Error::candle(self.fill.name)(outside()));
        }
        self.buffer
            .send(window.len(), fill, |buffer| self.fill.begin_copy(buffer, window))
    }

    /// Copies bytes of any length to the tensor, from its byte `at` on.
    pub(crate) fn fill_bytes(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        for window in double_buffer::windows(0..bytes.len(), LEN) {
            self.fill_window(&(at + window.start..at + window.end), |into| {
                into.copy_from_slice(&bytes[window]);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Waits until all copies have ended.
    pub(crate) fn finish(self) -> Result<()> {
        self.buffer.finish()
    }
}

/// Hands the bytes of `window` to `take`, in runs of [`LEN`] bytes, the last of which may be shorter. The next run is
/// copied while one is taken.
pub(crate) fn read<E: From<Error>>(
    name: &str,
    storage: &CudaStorage,
    window: Range<usize>,
    take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let stream = storage.device.cuda_stream();
    let buffers = Pinned::two(stream.context()).map_err(Error::candle(name))?;
    let begin = |buffer: &mut Pinned, window: Range<usize>| {
        buffer.copy_by(
            &stream,
            window.len(),
            |bytes| elements!(&storage.slice, elements => from_device(elements, &stream, window.start, bytes)),
        )
    };
    DoubleBuffer::new(name, buffers).receive(double_buffer::windows(window, LEN), begin, take)
}

/// Begins a copy to the elements that begin at byte `at`.
fn to_device<T: DeviceRepr + Pod>(
    elements: &mut CudaSlice<T>,
    stream: &Arc<CudaStream>,
    at: usize,
    bytes: &mut [u8],
) -> candle_core::Result<()> {
    let from: &[T] = bytemuck::try_cast_slice(bytes).map_err(candle_core::Error::wrap)?;
    let at = at / size_of::<T>();
    let mut to = elements.try_slice_mut(at..at + from.len()).ok_or_else(outside)?;
    stream.memcpy_htod(from, &mut to).w()
}

/// Begins a copy from the elements that begin at byte `at`.
fn from_device<T: DeviceRepr + Pod>(
    elements: &CudaSlice<T>,
    stream: &Arc<CudaStream>,
    at: usize,
    bytes: &mut [u8],
) -> candle_core::Result<()> {
    let to: &mut [T] = bytemuck::try_cast_slice_mut(bytes).map_err(candle_core::Error::wrap)?;
    let at = at / size_of::<T>();
    let from = elements.try_slice(at..at + to.len()).ok_or_else(outside)?;
    stream.memcpy_dtoh(&from, to).w()
}

fn outside() -> candle_core::Error {
    candle_core::Error::Msg("the tensor's storage does not hold its elements".into())
}
