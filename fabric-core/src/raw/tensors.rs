//! Tensors read into new memory.

use std::borrow::Cow;
use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::RawCheckpoint;
use crate::error::Result;
use crate::source::{Sought, StoredTensor};
use crate::target::{Fill, NewTensor, fill_all};

impl RawCheckpoint {
    /// Reads a tensor into new memory on `device`.
    ///
    /// For all of them, [`tensors`](Self::tensors) is quicker.
    ///
    /// # Errors
    /// If there is no such entry, it is a value, candle has no such element type, or its bytes are damaged.
    pub fn tensor(&self, name: &str, device: &Device) -> Result<Tensor> {
        let stored = self.stored(name)?;
        let tensor = NewTensor::new(&*self.source, name, &stored.info, device)?;
        fill_all(&*self.source, &mut [Fill::new(name, &tensor, stored)], None)?;
        tensor.into_tensor(name, device)
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
    /// Tensors that the file has once under several names are read once for each. On their way to a device that is neither the
    /// CPU nor one of CUDA all of them are in main memory.
    ///
    /// # Errors
    /// If candle does not have the element type of one of them, or the bytes of one are damaged: the others can still be had
    /// with [`tensor`](Self::tensor).
    pub fn tensors(&self, device: &Device) -> Result<HashMap<String, Tensor>> {
        let stored: Vec<(&String, &StoredTensor)> = self.index.tensors.iter().collect();
        let source = &*self.source;
        let new = |(name, stored): &(&String, &StoredTensor)| NewTensor::new(source, name, &stored.info, device);
        let tensors: Vec<NewTensor> = stored.iter().map(new).collect::<Result<_>>()?;
        let located = self.locate(&stored)?;
        let places = stored.iter().zip(&tensors).zip(&located);
        let fills = places.map(|(((name, _), tensor), located)| Fill::new(name, tensor, located));
        fill_all(source, &mut fills.collect::<Vec<_>>(), None)?;
        let named = stored.into_iter().zip(tensors);
        named
            .map(|((name, _), tensor)| Ok((name.clone(), tensor.into_tensor(name, device)?)))
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
