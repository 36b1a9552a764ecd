//! Reads tensors into new memory.

use std::borrow::Cow;
use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::RawCheckpoint;
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::load::target::new_tensor;
use crate::load::transfer::{Transfer, transfer_all};
use crate::source::read::PartialSums;
use crate::source::{Sought, Source, StoredTensor, check_tensors};

/// Reads a stored tensor into new memory, as the type and shape `info`.
///
/// # Errors
/// As [`RawCheckpoint::tensor`].
pub(crate) fn read_tensor(
    source: &dyn Source,
    name: &str,
    (stored, info): (&StoredTensor, &TensorInfo),
    device: &Device,
) -> Result<Tensor> {
    let located = source.locate(name, stored, None)?;
    check_tensors(source, [&*located])?;
    let tensor = new_tensor(source, name, info, device)?;
    let sums = PartialSums::default();
    transfer_all(source, &mut [Transfer::new(name, &tensor, &located)], &sums, None)?;
    sums.finish(source)?;
    tensor.to_device(device).map_err(Error::candle(name))
}

impl RawCheckpoint {
    /// Reads a tensor into new memory on `device`, with its stored element type and shape.
    ///
    /// [`tensors`](Self::tensors) reads all tensors faster than one call for each.
    ///
    /// # Errors
    /// If there is no such entry, it is a value, candle does not have its element type, or its bytes are damaged.
    /// [`Error::Limit`](crate::Error::Limit) if the tensor is a view that shows far more bytes than the file has: see
    /// [`Builder::read_limit`](crate::Builder::read_limit).
    pub fn tensor(&self, name: &str, device: &Device) -> Result<Tensor> {
        let stored = self.stored(name)?;
        let info = self.info(name).unwrap_or(&stored.info);
        read_tensor(&*self.source, name, (stored, info), device)
    }

    /// Reads all tensors into new memory on `device`, by name, with several threads. It does for every supported format
    /// what `candle_core::safetensors::load` does for safetensors files. Values are skipped. To read some of the
    /// tensors, take a [`subtree`](Self::subtree) first.
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
    /// A tensor that the file stores once under several names is read once; the results share their memory, as the tied
    /// tensors of a model do. For a device other than the CPU and CUDA, all tensors are in main memory before they are
    /// copied.
    ///
    /// # Errors
    /// If candle does not have the element type of a tensor, or the bytes of a tensor are damaged;
    /// [`tensor`](Self::tensor) reads the others. [`Error::Limit`](crate::Error::Limit) if views of the same bytes take
    /// far more memory together than the file has: see [`Builder::read_limit`](crate::Builder::read_limit).
    pub fn tensors(&self, device: &Device) -> Result<HashMap<String, Tensor>> {
        let stored: Vec<(&String, &StoredTensor)> = self.index.tensors.iter().collect();
        let source = &*self.source;
        let located = self.locate(&stored)?;
        let info = |at: usize| self.info(stored[at].0).unwrap_or(&stored[at].1.info);
        let numbers = distinct((0..stored.len()).map(|at| (info(at), &*located[at])));
        // The first name of each distinct tensor, in the order of names.
        let mut firsts: Vec<usize> = Vec::new();
        for (at, number) in numbers.iter().enumerate() {
            if *number == firsts.len() {
                firsts.push(at);
            }
        }
        check_tensors(source, firsts.iter().map(|at| &*located[*at]))?;
        let new = |at: &usize| new_tensor(source, stored[*at].0, info(*at), device);
        let tensors: Vec<Tensor> = firsts.iter().map(new).collect::<Result<_>>()?;
        let places = firsts.iter().zip(&tensors);
        let transfers = places.map(|(at, tensor)| Transfer::new(stored[*at].0, tensor, &located[*at]));
        let sums = PartialSums::default();
        transfer_all(source, &mut transfers.collect::<Vec<_>>(), &sums, None)?;
        sums.finish(source)?;
        let named = firsts.iter().zip(tensors);
        let made = named.map(|(at, tensor)| tensor.to_device(device).map_err(Error::candle(stored[*at].0)));
        let made: Vec<Tensor> = made.collect::<Result<_>>()?;
        let all = stored.iter().zip(numbers);
        Ok(all
            .map(|((name, _), number)| ((*name).clone(), made[number].clone()))
            .collect())
    }

    /// The tensors of the file, with the places of their bytes.
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

/// A number for each tensor, counted from 0. Tied tensors have the same number. Tensors without elements are distinct,
/// although they may lie in one place.
fn distinct<'t>(tensors: impl Iterator<Item = (&'t TensorInfo, &'t StoredTensor)>) -> Vec<usize> {
    let mut by_place = HashMap::new();
    let mut count = 0;
    let number = |(info, stored): (&TensorInfo, &StoredTensor)| {
        let next = count;
        let number = match info.byte_len() {
            Some(0) => next,
            _ => *by_place.entry((info.clone(), stored.extents())).or_insert(next),
        };
        count += usize::from(number == next);
        number
    };
    tensors.map(number).collect()
}
