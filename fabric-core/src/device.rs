//! The memory of accelerators.

use candle_core::{DeviceLocation, Tensor};

use crate::error::{Error, Result};

#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(any(test, feature = "cuda"))]
mod double_buffer;

/// Waits until the devices of these tensors have finished all work that any thread has given them. A device works
/// asynchronously, and the work of one thread does not wait for that of another: a copy by several threads waits here
/// first.
///
/// Without the feature `cuda`, this waits for the work of the calling thread alone.
pub(crate) fn synchronize<'t>(tensors: impl Iterator<Item = (&'t str, &'t Tensor)>) -> Result<()> {
    let mut synchronized: Vec<DeviceLocation> = Vec::new();
    for (name, tensor) in tensors {
        let device = tensor.device();
        if !device.is_cpu() && !synchronized.contains(&device.location()) {
            wait(device).map_err(Error::candle(name))?;
            synchronized.push(device.location());
        }
    }
    Ok(())
}

fn wait(device: &candle_core::Device) -> candle_core::Result<()> {
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(device) = device {
        return cuda::wait(device);
    }
    device.synchronize()
}
