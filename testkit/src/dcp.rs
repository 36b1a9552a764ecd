//! Makes directories as PyTorch would, and as it never would.

use std::collections::BTreeMap;
use std::path::Path;

use fabric_core::testing::Memory;
use fabric_core::{Error, RawCheckpoint};

use crate::files::{holding, on};
use crate::payload::Stored;
use crate::pickle::{Bytes, attributes, call, dict, global, instance, int, list, none, pickle, text, tuple};

/// Where the classes of `.metadata` live, and what else changed with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Modules below `_shard`, before 2.0.
    V1,
    /// Element types described in `_shard.sharded_tensor`, properties of five; before 2.3.
    V2,
    /// Properties of five, `storage_meta`.
    V2_3,
    /// Properties of six, `version`.
    V2_10,
}

/// A run of bytes in a file, as `.metadata` says.
#[derive(Clone, Debug)]
pub struct Place {
    pub file: String,
    pub start: i128,
    pub len: i128,
}

#[derive(Clone, Debug)]
pub struct Chunk {
    pub offset: Vec<usize>,
    pub size: Vec<usize>,
    pub place: Place,
}

/// A checkpoint whose every part a test can make wrong.
#[derive(Clone, Debug)]
pub struct Made {
    pub version: Version,
    pub tensors: Vec<(String, Vec<usize>, Vec<Chunk>)>,
    pub objects: Vec<(String, Place)>,
    /// `planner_data`; left out if there is none.
    pub paths: Vec<(String, Vec<Bytes>)>,
    pub transforms: Vec<String>,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Made {
    pub fn new() -> Self {
        Self {
            version: Version::V2_10,
            tensors: Vec::new(),
            objects: Vec::new(),
            paths: Vec::new(),
            transforms: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// Two ranks: a grid of 3 + 2 rows, and a number.
    pub fn small() -> Self {
        let mut made = Self::new();
        made.tensor(
            "w",
            &[5, 2],
            &[
                (&[0, 0], Stored::counting(0, &[3, 2])),
                (&[3, 0], Stored::counting(6, &[2, 2])),
            ],
        );
        made.object("iteration", &int(41), &[text("iteration")]);
        made
    }

    fn append(&mut self, file: &str, bytes: &[u8]) -> Place {
        let contents = self.files.entry(file.to_owned()).or_default();
        let start = contents.len();
        contents.extend(bytes);
        Place {
            file: file.to_owned(),
            start: i128::try_from(start).unwrap(),
            len: i128::try_from(bytes.len()).unwrap(),
        }
    }

    /// A tensor whose chunks are on as many ranks.
    pub fn tensor(&mut self, name: &str, shape: &[usize], chunks: &[(&[usize], Stored)]) {
        let chunk = |(rank, (offset, stored)): (usize, &(&[usize], Stored))| Chunk {
            offset: offset.to_vec(),
            size: stored.size.clone(),
            place: self.append(&format!("__{rank}_0.distcp"), &stored.archive()),
        };
        let chunks = chunks.iter().enumerate().map(chunk).collect();
        self.tensors.push((name.to_owned(), shape.to_vec(), chunks));
    }

    pub fn object(&mut self, name: &str, object: &[u8], path: &[Bytes]) {
        let place = self.append("__0_0.distcp", &crate::payload::object(object));
        self.objects.push((name.to_owned(), place));
        self.paths.push((name.to_owned(), path.to_vec()));
    }

    fn class(&self, name: &str) -> Bytes {
        let old = self.version == Version::V1;
        let module = match name {
            "TensorProperties" if old || self.version == Version::V2 => {
                "torch.distributed._shard.sharded_tensor.metadata"
            }
            "_StorageInfo" if old => "torch.distributed._shard.checkpoint.filesystem",
            "_StorageInfo" => "torch.distributed.checkpoint.filesystem",
            _ if old => "torch.distributed._shard.checkpoint.metadata",
            _ => "torch.distributed.checkpoint.metadata",
        };
        global(module, name)
    }

    pub fn make(&self, class: &str, state: &[(&str, Bytes)]) -> Bytes {
        instance(&self.class(class), Some(&attributes(state)))
    }

    fn properties(&self, dims: usize) -> Bytes {
        let mut properties = vec![
            global("torch", "float32"),
            call(&global("torch.serialization", "_get_layout"), &[text("torch.strided")]),
            b"\x89".to_vec(),
            none(),
            b"\x89".to_vec(),
        ];
        if self.version == Version::V2_10 {
            properties.push(size(&vec![1; dims]));
        }
        instance(&self.class("TensorProperties"), Some(&tuple(&properties)))
    }

    fn storage_info(&self, place: &Place) -> Bytes {
        let mut state = vec![
            ("relative_path", text(&place.file)),
            ("offset", int(place.start)),
            ("length", int(place.len)),
        ];
        if !self.transforms.is_empty() {
            let names: Vec<_> = self.transforms.iter().map(|name| text(name)).collect();
            state.push(("transform_descriptors", list(&names)));
        }
        self.make("_StorageInfo", &state)
    }

    /// The `.metadata` of all this.
    pub fn metadata(&self) -> Vec<u8> {
        pickle(&self.make("Metadata", &self.fields()))
    }

    pub fn fields(&self) -> Vec<(&'static str, Bytes)> {
        let (mut entries, mut places) = (Vec::new(), Vec::new());
        for (name, place) in &self.objects {
            entries.push((text(name), instance(&self.class("BytesStorageMetadata"), None)));
            let index = self.make("MetadataIndex", &[("fqn", text(name)), ("index", none())]);
            places.push((index, self.storage_info(place)));
        }
        for (name, shape, chunks) in &self.tensors {
            let mut list_of_chunks = Vec::new();
            for (at, chunk) in chunks.iter().enumerate() {
                let state = [("offsets", size(&chunk.offset)), ("sizes", size(&chunk.size))];
                list_of_chunks.push(self.make("ChunkStorageMetadata", &state));
                let hint = int(i128::try_from(at).unwrap());
                let index = [("fqn", text(name)), ("offset", size(&chunk.offset)), ("index", hint)];
                places.push((self.make("MetadataIndex", &index), self.storage_info(&chunk.place)));
            }
            let state = [
                ("properties", self.properties(shape.len())),
                ("size", size(shape)),
                ("chunks", list(&list_of_chunks)),
            ];
            entries.push((text(name), self.make("TensorStorageMetadata", &state)));
        }
        let paths: Vec<_> = self
            .paths
            .iter()
            .map(|(name, path)| (text(name), tuple(path)))
            .collect();
        let mut fields = vec![
            ("state_dict_metadata", dict(&entries)),
            ("planner_data", if paths.is_empty() { none() } else { dict(&paths) }),
            ("storage_data", dict(&places)),
        ];
        match self.version {
            Version::V1 | Version::V2 => {}
            Version::V2_3 => fields.push(("storage_meta", none())),
            Version::V2_10 => {
                let path = call(&global("pathlib", "PosixPath"), &[text("/"), text("runs")]);
                fields.push(("storage_meta", self.make("StorageMeta", &[("checkpoint_id", path)])));
                fields.push(("version", text("1.0.0")));
            }
        }
        fields
    }

    pub fn storage(&self) -> Memory {
        self.storage_with(&self.metadata())
    }

    pub fn storage_with(&self, metadata: &[u8]) -> Memory {
        let mut files: Vec<(&str, &[u8])> = self
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), &bytes[..]))
            .collect();
        files.push((".metadata", metadata));
        directory(&files)
    }

    pub fn open(&self) -> Result<RawCheckpoint, Error> {
        open(&self.storage())
    }
}

/// A `torch.Size`.
pub fn size(sizes: &[usize]) -> Bytes {
    let sizes: Vec<_> = sizes.iter().map(|n| int(i128::try_from(*n).unwrap())).collect();
    call(&global("torch", "Size"), &[tuple(&sizes)])
}

/// A directory `run` of these files, in memory.
pub fn directory(files: &[(&str, &[u8])]) -> Memory {
    holding(files.iter().map(|(name, bytes)| (Path::new("run").join(name), bytes)))
}

pub fn open(memory: &Memory) -> Result<RawCheckpoint, Error> {
    on(memory.clone()).open("run")
}

/// The elements of a tensor of a checkpoint, row by row.
pub fn elements(raw: &RawCheckpoint, name: &str) -> Vec<f32> {
    let tensor = raw.tensor(name, &candle_core::Device::Cpu).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}
