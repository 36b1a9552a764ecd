//! Reads `.metadata`, the index of a distributed checkpoint: a pickle of PyTorch's `Metadata`.
//!
//! The reader accepts files of PyTorch 1.13 and later. Its releases have moved the classes between modules and have
//! added attributes.

mod paths;
mod places;

use smallvec::SmallVec;

use super::graph::{Graph, allowed};
use crate::entry::{DType, Dims, Region, TensorInfo, covers};
use crate::foreign::pickle::{Id, Object, load};
use crate::foreign::torch;
use crate::hash::{HashMap, set_of};
use crate::source::limit::{Budget, OverLimit};
use crate::source::refused::Refused;
use crate::source::{Part, ReadLimit, StoredTensor};

/// The longest path of keys that is read.
const MAX_PATH: usize = 64;

/// The longest name of an entry that is read, in bytes.
const MAX_NAME: usize = 4096;

/// The entries of a checkpoint and the places of their bytes.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) tensors: Vec<Tensor>,
    /// The values, each pickled by itself.
    pub(crate) objects: Vec<Stored>,
    /// The names of the files that [`Payload::file`] counts.
    pub(crate) files: Vec<String>,
}

/// A tensor as boxes that cover it.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) info: TensorInfo,
    /// The boxes, and the bytes of each. A save by one rank has one box.
    pub(crate) regions: SmallVec<[Region; 1]>,
    pub(crate) payloads: SmallVec<[Payload; 1]>,
}

/// A pickled object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) name: String,
    /// The keys that lead to the object; `None` if the file does not store them.
    pub(crate) path: Option<Vec<Key>>,
    pub(crate) payload: Payload,
}

/// A step on the path to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Name(String),
    Index(usize),
}

/// A run of bytes in one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) file: usize,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// The key of a chunk: the entry, and for tensors the first index of the chunk.
type ChunkKey<'p> = (&'p str, Option<Dims>);

/// The boxes of a tensor, and their places.
type Chunks = (SmallVec<[Region; 1]>, SmallVec<[Payload; 1]>);

/// Reads the pickle, and checks that every entry has stored bytes.
///
/// # Errors
/// If the index is damaged, is not supported, or needs too much memory. The text names the entry if one is concerned.
pub(crate) fn read(bytes: &[u8], limit: ReadLimit) -> Result<Metadata, Refused> {
    let pickle = load(bytes, allowed, limit)?;
    let graph = Graph(&pickle);
    let root = graph.instance(pickle.root, "Metadata").map_err(Refused::Unknown)?;
    let mut reader = MetadataReader {
        graph,
        metadata: Metadata::default(),
        places: HashMap::default(),
        visits: pickle.count(),
        chunks: 0,
        memory: limit.budget(bytes.len()),
    };
    reader.storage(root.required("storage_data")?)?;
    reader.entries(root.required("state_dict_metadata")?)?;
    if let Some(paths) = root.get("planner_data")? {
        reader.planner_data(paths);
    }
    Ok(reader.metadata)
}

struct MetadataReader<'p> {
    graph: Graph<'p>,
    metadata: Metadata,
    places: HashMap<ChunkKey<'p>, Payload>,
    /// The number of chunks that may still be visited. Each chunk of an honest pickle is an object, so more visits mean
    /// that the pickle repeats references.
    visits: usize,
    /// The number of chunks that hold elements.
    chunks: usize,
    /// The memory that the index may still take.
    memory: Budget,
}

impl<'p> MetadataReader<'p> {
    /// Reads `state_dict_metadata`, which describes each entry.
    fn entries(&mut self, id: Id) -> Result<(), Refused> {
        let entries = self.graph.dict(id, "`state_dict_metadata`")?;
        self.memory
            .spend_each(entries.len(), size_of::<(&str, Tensor, StoredTensor)>())?;
        let mut seen = set_of(entries.len());
        self.metadata.tensors.reserve(entries.len().min(self.places.len()));
        for (name, what) in entries {
            let name = self.graph.text(*name, "the name of an entry")?;
            if name.is_empty() || name.len() > MAX_NAME {
                let len = name.len();
                let what = format!("an entry has a name of {len} bytes; 1 to {MAX_NAME} are expected");
                return Err(Refused::Unknown(what));
            }
            if !seen.insert(name) {
                return Err(format!("entry `{name}` is there twice").into());
            }
            self.entry(name, *what)
                .map_err(|refused| refused.said(|what| format!("entry `{name}`: {what}")))?;
        }
        Ok(())
    }

    fn entry(&mut self, name: &'p str, id: Id) -> Result<(), Refused> {
        if self.graph.is(id, "BytesStorageMetadata") {
            let payload = self.places.get(&(name, None)).copied();
            self.metadata.objects.push(Stored {
                name: name.to_owned(),
                path: None,
                payload: payload.ok_or("the index gives no place for its bytes")?,
            });
            return Ok(());
        }
        let tensor = self.tensor(name, id)?;
        self.metadata.tensors.push(tensor);
        Ok(())
    }

    fn tensor(&mut self, name: &'p str, id: Id) -> Result<Tensor, Refused> {
        let tensor = self.graph.instance(id, "TensorStorageMetadata")?;
        let shape = self.graph.size(tensor.required("size")?, "its size")?;
        let info = TensorInfo::of(self.dtype(tensor.required("properties")?)?, &shape);
        if info.byte_len().is_none() {
            return Err(format!("a tensor of shape {:?} fits no memory", info.shape()).into());
        }
        let (regions, payloads) = self.chunks(name, tensor.required("chunks")?)?;
        covers(info.shape(), &regions)?;
        for (region, payload) in regions.iter().zip(&payloads) {
            enough(&info, region, payload)?;
        }
        Ok(Tensor {
            name: name.to_owned(),
            info,
            regions,
            payloads,
        })
    }

    /// The chunks that hold elements, and their places.
    fn chunks(&mut self, name: &'p str, id: Id) -> Result<Chunks, Refused> {
        let chunks = self.graph.items(id, "the list of its chunks")?;
        let most = chunks.len().min(self.places.len());
        self.memory.spend_each(most, size_of::<(Region, Payload, Part)>())?;
        let (mut regions, mut payloads) = (SmallVec::with_capacity(most), SmallVec::with_capacity(most));
        for chunk in chunks {
            self.visits = self.visits.checked_sub(1).ok_or(OverLimit::Again)?;
            let region = self.region(*chunk)?;
            // A rank beyond the end of a tensor has an empty chunk.
            if region.size.contains(&0) {
                continue;
            }
            let place = (name, Some(Dims::from_slice(&region.offset)));
            let payload = self.places.get(&place).copied();
            let payload = payload.ok_or_else(|| format!("its chunk at {:?} is stored nowhere", region.offset))?;
            self.chunks += 1;
            if self.chunks > self.places.len() {
                return Err("it has more chunks than there are places".into());
            }
            regions.push(region);
            payloads.push(payload);
        }
        Ok((regions, payloads))
    }

    fn region(&self, id: Id) -> Result<Region, String> {
        let chunk = self.graph.instance(id, "ChunkStorageMetadata")?;
        Ok(Region {
            offset: self
                .graph
                .size(chunk.required("offsets")?, "the offset of a chunk")?
                .to_vec(),
            size: self
                .graph
                .size(chunk.required("sizes")?, "the size of a chunk")?
                .to_vec(),
        })
    }

    /// The element type: the first item of the properties, a tuple of five or six.
    fn dtype(&self, id: Id) -> Result<DType, Refused> {
        let state = self.graph.state(id, "TensorProperties")?;
        let dtype = match self.graph.0.get(state) {
            Object::Dict(_) => self.graph.instance(id, "TensorProperties")?.required("dtype")?,
            _ => {
                let properties = self.graph.items(state, "the list of its properties")?;
                *properties.first().ok_or("its element type is missing")?
            }
        };
        let name = self.graph.0.global(dtype);
        let name = name.ok_or_else(|| format!("its element type is {}", self.graph.describe(dtype)))?;
        torch::dtype(name).ok_or_else(|| Refused::Unknown(format!("its element type `{name}` is not supported")))
    }
}

/// Checks that a payload is at least as long as the elements of its chunk. A false size is found before memory is
/// allocated.
fn enough(info: &TensorInfo, region: &Region, payload: &Payload) -> Result<(), String> {
    let needed = TensorInfo::of(info.dtype(), &region.size).byte_len();
    let needed = needed.and_then(|needed| u64::try_from(needed).ok());
    if needed.is_some_and(|needed| needed <= payload.len) {
        return Ok(());
    }
    Err(format!(
        "its chunk {region} of {} is stored in {} bytes",
        info.dtype(),
        payload.len
    ))
}
