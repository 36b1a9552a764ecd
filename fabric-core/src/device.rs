//! The memory of accelerators.

use candle_core::{DeviceLocation, Tensor};

use crate::error::{Error, Result};

#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(any(test, feature = "cuda"))]
mod turns;

/// Waits for the work that was given to the devices of these tensors. A device does what it is told later, and what a
/// thread tells it does not wait for what another thread told it before: so whoever is about to copy from several threads
/// waits first.
///
/// Without the feature `cuda`, this is the work of the calling thread.
pub(crate) fn settle<'t>(tensors: impl Iterator<Item = (&'t str, &'t Tensor)>) -> Result<()> {
    let mut settled: Vec<DeviceLocation> = Vec::new();
    for (name, tensor) in tensors {
        let device = tensor.device();
        if !device.is_cpu() && !settled.contains(&device.location()) {
            wait(device).map_err(Error::candle(name))?;
            settled.push(device.location());
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
