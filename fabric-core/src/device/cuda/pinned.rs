//! Pinned memory of the host, which a device copies from and to by itself.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice};

use super::super::double_buffer::Buffer;
use crate::io::checksum::BLOCK;

/// The length of a buffer in bytes: long enough that beginning a copy takes no time beside it.
pub(super) const LEN: usize = 4 * BLOCK;

/// The free buffers. Pinning memory takes longer than copying it, so buffers are kept: as many as were ever in use at
/// the same time, two for each thread that reads or saves.
static FREE: Mutex<Vec<PinnedMemory>> = Mutex::new(Vec::new());

struct PinnedMemory {
    bytes: PinnedHostSlice<u8>,
    /// The event at the end of the last copy. The event of `bytes` is recorded only if cudarc counts more than one
    /// stream, and it does not count the streams that each thread has by itself.
    copied: CudaEvent,
}

impl PinnedMemory {
    #[expect(unsafe_code, reason = "pinned memory has no contents at first")]
    fn new(context: &Arc<CudaContext>) -> Result<Self, DriverError> {
        // Not write-combined, as would be the default: what a save receives is read by the host.
        let flags = 0;
        // SAFETY: the caller must not read the memory before it was written. All `LEN` bytes of it are written here,
        // and no other code has access to it yet.
        let bytes = unsafe {
            let mut bytes = context.alloc_pinned_with_flags::<u8>(LEN, flags)?;
            bytes.as_mut_ptr()?.write_bytes(0, LEN);
            bytes
        };
        let copied = context.new_event(Some(CUevent_flags::CU_EVENT_BLOCKING_SYNC))?;
        Ok(Self { bytes, copied })
    }
}

/// A buffer, which is free again when this is dropped.
pub(super) struct Pinned {
    /// `None` only while this is dropped.
    memory: Option<PinnedMemory>,
}

impl Pinned {
    /// Two buffers for copies by the streams of a context.
    pub(super) fn two(context: &Arc<CudaContext>) -> candle_core::Result<[Self; 2]> {
        Ok([Self::take(context)?, Self::take(context)?])
    }

    fn take(context: &Arc<CudaContext>) -> candle_core::Result<Self> {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = free.iter().position(|memory| memory.bytes.context() == context);
        let kept = kept.map(|at| free.swap_remove(at));
        drop(free);
        let memory = match kept {
            Some(memory) => memory,
            None => PinnedMemory::new(context).w()?,
        };
        Ok(Self { memory: Some(memory) })
    }

    /// Lets `begin` give a copy of the first `len` bytes to the stream.
    pub(super) fn copy_by(
        &mut self,
        stream: &CudaStream,
        len: usize,
        begin: impl FnOnce(&mut [u8]) -> candle_core::Result<()>,
    ) -> candle_core::Result<()> {
        let memory = self.memory()?;
        let Some(bytes) = memory.bytes.as_mut_slice().w()?.get_mut(..len) else {
            candle_core::bail!("{len} bytes do not fit in a buffer of {LEN}");
        };
        begin(bytes)?;
        // If the event cannot be recorded, the copy is waited for now.
        memory.copied.record(stream).or_else(|_| stream.synchronize()).w()
    }

    fn memory(&mut self) -> candle_core::Result<&mut PinnedMemory> {
        let gone = || candle_core::Error::Msg("a buffer was used after it was given back".into());
        self.memory.as_mut().ok_or_else(gone)
    }
}

impl Buffer for Pinned {
    fn wait(&mut self) -> candle_core::Result<&mut [u8]> {
        let memory = self.memory()?;
        memory.copied.synchronize().w()?;
        memory.bytes.as_mut_slice().w()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
    }
}
