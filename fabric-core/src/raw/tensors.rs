//! Tensors read into new memory.

use std::borrow::Cow;
use std::collections::HashMap;

use candle_core::op::BackpropOp;
use candle_core::{Device, Storage, Tensor};

use super::RawCheckpoint;
use crate::bytes;
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::source::{Sought, StoredTensor};
use crate::target::{Fill, fill_all};

impl RawCheckpoint {
    /// Reads a tensor into new memory on `device`.
    ///
    /// For all of them, [`tensors`](Self::tensors) is quicker.
    ///
    /// # Errors
    /// If there is no such entry, it is a value, candle has no such element type, or its bytes are damaged.
    pub fn tensor(&self, name: &str, device: &Device) -> Result<Tensor> {
        let stored = self.stored(name)?;
        let tensor = new(name, &stored.info, device)?;
        fill_all(&*self.source, &mut [Fill::new(name, &tensor, stored, false)], None)?;
        arrive(name, tensor, device)
    }

    /// Reads all tensors into new memory on `device`, each under its name: as `candle_core::safetensors::load` does, for
    /// every kind of file that can be opened, and by several threads. Values are left out. For some of the tensors, ask a
    /// [`subtree`](Self::subtree).
    ///
    /// ```no_run
    /// # use candle_core::Device;
    /// # use fabric_core::Fabric;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tensors = Fabric::new().open("run/last.ckpt")?.subtree("model").tensors(&Device::Cpu)?;
    /// println!("{}", tensors["fc1.weight"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Tensors that the file has once under several names are read once for each.
    ///
    /// # Errors
    /// If candle does not have the element type of one of them, or the bytes of one are damaged.
    pub fn tensors(&self, device: &Device) -> Result<HashMap<String, Tensor>> {
        let stored: Vec<(&String, &StoredTensor)> = self.index.tensors.iter().collect();
        // All of the memory before the first byte of it is touched: what lies together shares large pages.
        let new = |(name, stored): &(&String, &StoredTensor)| new(name, &stored.info, device);
        let tensors: Vec<Tensor> = stored.iter().map(new).collect::<Result<_>>()?;
        let located = self.locate(&stored)?;
        let places = stored.iter().zip(&tensors).zip(&located);
        let fills = places.map(|(((name, _), tensor), located)| Fill::new(name, tensor, located, false));
        fill_all(&*self.source, &mut fills.collect::<Vec<_>>(), None)?;
        let named = stored.into_iter().zip(tensors);
        named
            .map(|((name, _), tensor)| Ok((name.clone(), arrive(name, tensor, device)?)))
            .collect()
    }

    /// The same tensors, with the places of their bytes.
    fn locate<'t>(&self, tensors: &[(&'t String, &'t StoredTensor)]) -> Result<Vec<Cow<'t, StoredTensor>>> {
        if !tensors.iter().any(|(_, stored)| stored.is_framed()) {
            return Ok(tensors.iter().map(|(_, stored)| Cow::Borrowed(*stored)).collect());
        }
        let sought = tensors.iter().map(|(entry, stored)| Sought {
            entry,
            stored,
            wanted: None,
        });
        self.source.locate_all(&sought.collect::<Vec<_>>())
    }
}

/// Whether bytes are written into the memory of the device itself, not by way of as much memory of the host.
fn is_filled_there(device: &Device) -> bool {
    device.is_cpu() || cfg!(feature = "cuda") && device.is_cuda()
}

/// A tensor of zeros, on the device or on the host.
fn new(name: &str, info: &TensorInfo, device: &Device) -> Result<Tensor> {
    let dtype = info.dtype();
    let unknown = || Error::WrongType {
        name: name.to_owned(),
        what: format!("has element type {dtype}, which candle's tensors do not have"),
    };
    let candle = dtype.to_candle().ok_or_else(unknown)?;
    if is_filled_there(device) && !device.is_cpu() {
        return Tensor::zeros(info.shape(), candle, device).map_err(Error::candle(name));
    }
    let memory = bytes::new(candle, info.byte_len().unwrap_or_default()).ok_or_else(unknown)?;
    // The tensor takes the memory over.
    Ok(Tensor::from_storage(
        Storage::Cpu(memory),
        info.shape(),
        BackpropOp::none(),
        false,
    ))
}

/// Brings a filled tensor to the device, if it is not there.
fn arrive(name: &str, tensor: Tensor, device: &Device) -> Result<Tensor> {
    if is_filled_there(device) {
        return Ok(tensor);
    }
    tensor.to_device(device).map_err(Error::candle(name))
}
