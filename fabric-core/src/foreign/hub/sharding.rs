//! Reads the shards of PyTorch's `HuggingFaceStorageWriter(save_distributed=True)`, in which tensors are split into
//! boxes.
//!
//! Each file's `__metadata__` has a text `DCP_SHARDING_INFO` that contains JSON: `{"fc1.weight": {"saved_offsets": [4,
//! 0]}}`. The shape in the header is the shape of the box. No file stores the shape of the whole tensor, so the reader
//! ends the tensor at the farthest box. The boxes must tile that shape. This check misses a lost file whose boxes all
//! lay at the ends of their tensors; a load into a state finds it by the shapes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::entry::{Region, TensorInfo, covers};
use crate::error::{Error, Result};
use crate::foreign::pairs::Pairs;
use crate::format::safetensors::{Header, Placed};
use crate::source::StoredTensor;
use crate::source::single::bare_tensor;

/// The key under `__metadata__`.
const SHARDING: &str = "DCP_SHARDING_INFO";

#[derive(Deserialize)]
struct Shard {
    saved_offsets: Vec<usize>,
}

/// The tensors found so far. Their shapes grow with every file.
#[derive(Default)]
pub(crate) struct Boxes {
    tensors: BTreeMap<String, StoredTensor>,
}

impl Boxes {
    /// Adds the boxes of one file.
    pub(crate) fn add(&mut self, header: &Header, number: usize, path: &Path) -> Result<()> {
        let Some(text) = header.metadata.get(SHARDING) else {
            let what = format!("its `__metadata__` has no {SHARDING}, which says where its shards belong");
            return Err(Error::corrupt(path, what));
        };
        let pairs: Pairs<'_, Shard> = serde_json::from_str(text)
            .map_err(|error| Error::corrupt(path, format!("its {SHARDING} is not understood: {error}")))?;
        let mut shards = BTreeMap::new();
        for (name, shard) in pairs.0 {
            if shards.insert(name.0.clone(), shard).is_some() {
                return Err(Error::corrupt(
                    path,
                    format!("its {SHARDING} speaks of entry `{}` twice", name.0),
                ));
            }
        }
        for placed in &header.tensors {
            let Some(shard) = shards.remove(placed.name.as_str()) else {
                let what = format!("{SHARDING} does not say where entry `{}` belongs", placed.name);
                return Err(Error::corrupt(path, what));
            };
            self.add_box(placed, &shard.saved_offsets, number)
                .map_err(|what| Error::corrupt(path, format!("entry `{}` {what}", placed.name)))?;
        }
        match shards.into_keys().next() {
            Some(lost) => Err(Error::corrupt(
                path,
                format!("it lacks entry `{lost}`, which its {SHARDING} speaks of"),
            )),
            None => Ok(()),
        }
    }

    fn add_box(&mut self, placed: &Placed, offset: &[usize], number: usize) -> Result<(), String> {
        let size = placed.info.shape();
        if offset.len() != size.len() {
            return Err(format!("is {} and has the offsets {offset:?}", placed.info));
        }
        let ends = offset.iter().zip(size).map(|(&o, &s)| o.checked_add(s));
        let Some(ends) = ends.collect::<Option<Vec<usize>>>() else {
            return Err(format!(
                "has the offsets {offset:?}, past the largest tensor there can be"
            ));
        };
        let dtype = placed.info.dtype();
        if !dtype.bits().is_multiple_of(8) {
            return Err(format!(
                "is {}; elements smaller than a byte cannot be split",
                placed.info
            ));
        }
        let mut stored = bare_tensor(placed, number);
        for part in &mut stored.parts {
            part.region = Region {
                offset: offset.to_vec(),
                size: size.to_vec(),
            };
        }
        stored.info = TensorInfo::new(dtype, ends);
        let Some(known) = self.tensors.get_mut(&placed.name) else {
            self.tensors.insert(placed.name.clone(), stored);
            return Ok(());
        };
        if known.info.dtype() != dtype || known.info.shape().len() != size.len() {
            let other = &known.info;
            return Err(format!(
                "is {} here, and a part of {other} in another file",
                placed.info
            ));
        }
        let farthest = known.info.shape().iter().zip(stored.info.shape());
        known.info = TensorInfo::new(dtype, farthest.map(|(a, b)| *a.max(b)).collect());
        known.parts.append(&mut stored.parts);
        Ok(())
    }

    /// The tensors, checked to be complete. `files` are the paths of the files of their parts.
    pub(crate) fn finish(self, files: &[PathBuf], directory: &Path) -> Result<BTreeMap<String, StoredTensor>> {
        for (name, stored) in &self.tensors {
            let regions: Vec<Region> = stored.parts.iter().map(|part| part.region.clone()).collect();
            covers(stored.info.shape(), &regions).map_err(|what| {
                let held: Vec<String> = stored
                    .parts
                    .iter()
                    .take(8)
                    .filter_map(|part| Some(format!("{} in {}", part.region, name_of(files.get(part.place.file)?))))
                    .collect();
                let more = if stored.parts.len() > held.len() { ", …" } else { "" };
                let held = held.join(", ");
                Error::corrupt(
                    directory,
                    format!("entry `{name}`, {}: {what}; its shards are {held}{more}", stored.info),
                )
            })?;
            if stored.info.byte_len().is_none() {
                let what = format!(
                    "entry `{name}` is {}, larger than the machine's memory can be",
                    stored.info
                );
                return Err(Error::corrupt(directory, what));
            }
        }
        Ok(self.tensors)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
