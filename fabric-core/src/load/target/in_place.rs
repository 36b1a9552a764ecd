//! Runs this library's operations on the memory of a tensor, under candle's lock.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor};

use super::window;
use crate::entry::DType;
use crate::error::{Error, Result};
use crate::io::bytes;

/// Calls `write` with the tensor's bytes: its own range if it is contiguous, otherwise its whole storage.
pub(crate) fn in_place(
    name: &str,
    tensor: &Tensor,
    write: impl FnOnce(&mut [u8], &Layout) -> Result<()>,
) -> Result<()> {
    let op = OnCpu {
        write: Once::new(write),
        dtype: tensor.dtype().into(),
    };
    let outcome = tensor.inplace_op1(&op);
    op.write.outcome(name, outcome)
}

/// A closure that runs once, with its error, which candle's error type cannot carry.
struct Once<F> {
    write: RefCell<Option<F>>,
    error: RefCell<Option<Error>>,
}

impl<F> Once<F> {
    fn new(write: F) -> Self {
        Self {
            write: RefCell::new(Some(write)),
            error: RefCell::new(None),
        }
    }

    fn run(&self, with: impl FnOnce(F) -> Result<()>) -> candle_core::Result<()> {
        let Some(write) = self.write.borrow_mut().take() else {
            candle_core::bail!("an operation that runs once was run again");
        };
        with(write).map_err(|error| {
            *self.error.borrow_mut() = Some(error);
            candle_core::Error::Msg("the load stopped".into())
        })
    }

    fn outcome(self, name: &str, outcome: candle_core::Result<()>) -> Result<()> {
        match self.error.into_inner() {
            Some(error) => Err(error),
            None => outcome.map_err(Error::candle(name)),
        }
    }
}

struct OnCpu<F> {
    write: Once<F>,
    dtype: DType,
}

impl<F: FnOnce(&mut [u8], &Layout) -> Result<()>> InplaceOp1 for OnCpu<F> {
    fn name(&self) -> &'static str {
        "checkpoint-load"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let bytes = bytes::of_mut(storage);
        let bytes = match window(layout, self.dtype) {
            Some(window) => bytes.get_mut(window),
            None => Some(bytes),
        };
        let Some(bytes) = bytes else {
            candle_core::bail!("the tensor's storage does not hold its elements");
        };
        self.write.run(|write| write(bytes, layout))
    }
}

/// Calls `write` with the tensor's storage on the device.
#[cfg(feature = "cuda")]
pub(super) fn on_cuda(
    name: &str,
    tensor: &Tensor,
    write: impl FnOnce(&mut candle_core::CudaStorage) -> Result<()>,
) -> Result<()> {
    let op = OnCuda(Once::new(write));
    let outcome = tensor.inplace_op1(&op);
    op.0.outcome(name, outcome)
}

#[cfg(feature = "cuda")]
struct OnCuda<F>(Once<F>);

#[cfg(feature = "cuda")]
impl<F: FnOnce(&mut candle_core::CudaStorage) -> Result<()>> InplaceOp1 for OnCuda<F> {
    fn name(&self) -> &'static str {
        "checkpoint-load"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        candle_core::bail!("the tensor is in main memory, and was taken for one of CUDA");
    }

    fn cuda_fwd(&self, storage: &mut candle_core::CudaStorage, _: &Layout) -> candle_core::Result<()> {
        self.0.run(|write| write(storage))
    }
}
