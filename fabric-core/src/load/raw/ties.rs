//! Names that share one stored tensor.

use super::RawCheckpoint;
use crate::entry::TensorInfo;
use crate::hash::HashMap;
use crate::source::{Extent, PartPlace, StoredTensor};

/// The identity of a stored tensor: its shape and type, and the places of its parts.
type Stored<'i> = (&'i TensorInfo, Vec<PartPlace>);

impl RawCheckpoint {
    /// The names of each tensor that the checkpoint stores once under several names: two or more in each list, sorted. The lists
    /// are in the order of their first names.
    ///
    /// Tensors with equal elements that are stored twice are not tied. A safetensors file of another program stores every tensor
    /// by itself.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use fabric_core::Fabric;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let embedding = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
    /// let state = std::collections::BTreeMap::from([("embed".to_owned(), embedding.clone()), ("head".to_owned(), embedding)]);
    /// Fabric::new().save(&path, &state)?;
    /// assert_eq!(Fabric::new().open(&path)?.ties(), [["embed", "head"]]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn ties(&self) -> Vec<Vec<&str>> {
        // Tensors without elements may lie in one place, and are not tied.
        let has_elements = |(_, tensor): &(_, &StoredTensor)| tensor.info.byte_len() != Some(0);
        // Most tensors have one name, and the place of their first part is that of no other tensor.
        let mut at: HashMap<Option<Extent>, usize> = HashMap::default();
        for (_, tensor) in self.index.tensors.iter().filter(has_elements) {
            *at.entry(first_place(tensor)).or_default() += 1;
        }
        if at.values().all(|tensors| *tensors == 1) {
            return Vec::new();
        }
        let mut numbers: HashMap<Stored<'_>, usize> = HashMap::default();
        let mut names: Vec<Vec<&str>> = Vec::new();
        let shared = |tensor: &StoredTensor| at.get(&first_place(tensor)).is_some_and(|tensors| *tensors > 1);
        let stored = self.index.tensors.iter().filter(has_elements);
        for (name, tensor) in stored.filter(|(_, tensor)| shared(tensor)) {
            let number = *numbers.entry(identity(tensor)).or_insert(names.len());
            match names.get_mut(number) {
                Some(tied) => tied.push(name),
                None => names.push(vec![name]),
            }
        }
        names.retain(|tied| tied.len() > 1);
        names
    }
}

fn first_place(tensor: &StoredTensor) -> Option<Extent> {
    tensor.parts.first().map(|part| part.place)
}

fn identity(tensor: &StoredTensor) -> Stored<'_> {
    (&tensor.info, tensor.extents())
}
