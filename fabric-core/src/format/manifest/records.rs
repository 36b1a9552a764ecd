//! The records of a manifest.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::entry::{DType, Dims, Region, TensorInfo};
use crate::format::wire;
use crate::io::checksum;

/// One fact of a run about a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fact {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) key: String,
    /// CBOR, RFC 8949.
    #[serde(deserialize_with = "wire::bytes")]
    pub(crate) value: Vec<u8>,
}

/// A struct of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StructRecord {
    /// The path below which its fields are; empty for the state itself.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) path: String,
    /// The name of the type, for messages.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// The version of the schema, as its author counts.
    pub(crate) version: u32,
}

/// A value of the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValueRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// The ranks to which the value belongs: axes of the mesh, counted from 0, each with an index along it. Empty if
    /// all ranks share it.
    #[serde(with = "wire::few")]
    pub(crate) coordinate: Coordinate,
    /// The encoding of the bytes; see [`CBOR`].
    pub(crate) form: u8,
    #[serde(deserialize_with = "wire::bytes")]
    pub(crate) bytes: Vec<u8>,
}

/// Axes of the mesh, counted from 0, each with an index along it.
pub(crate) type Coordinate = SmallVec<[(u32, u32); 2]>;

/// The only form of a value so far: CBOR, RFC 8949.
pub(crate) const CBOR: u8 = 0;

/// A tensor of the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TensorRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// Encoded as its name in safetensors headers.
    #[serde(with = "wire::dtype")]
    pub(crate) dtype: DType,
    /// The shape of the whole tensor.
    #[serde(with = "wire::few")]
    pub(crate) shape: Dims,
    /// The sharded dimensions in a directory; empty in a file.
    pub(crate) cuts: Vec<CutRecord>,
    /// The part of the tensor that a file holds; `None` in a directory.
    pub(crate) part: Option<PartRecord>,
    /// A digest of the whole tensor: none in this version.
    #[serde(deserialize_with = "wire::bytes")]
    pub(crate) digest: Vec<u8>,
}

/// The part of a tensor that a file holds, and the place of its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    /// The box of the tensor; `None` for the whole tensor.
    pub(crate) region: Option<RegionRecord>,
    /// 0 for the file with the manifest; otherwise the number of one of the other files, counted from 1.
    pub(crate) file: u32,
    /// The first byte, counted from the start of the file.
    #[serde(with = "wire::fixed")]
    pub(crate) start: u64,
    /// The number of bytes.
    pub(crate) len: u64,
    /// The checksums of its blocks, 8 bytes each, little-endian.
    #[serde(with = "wire::short")]
    pub(crate) sums: Sums,
}

/// A box of a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RegionRecord {
    /// The first index along each dimension of the tensor.
    #[serde(with = "wire::few")]
    pub(crate) offset: Dims,
    /// The number of indices along each dimension.
    #[serde(with = "wire::few")]
    pub(crate) size: Dims,
}

/// Checksums as bytes; the checksum of a small tensor needs no allocation.
pub(crate) type Sums = SmallVec<[u8; 16]>;

/// The file with the manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// The offset of the tensors in bytes.
    #[serde(with = "wire::fixed")]
    pub(crate) header_len: u64,
    /// The checksum of the bytes before that, little-endian.
    pub(crate) header_sum: [u8; checksum::LEN],
    /// The length of the whole file.
    #[serde(with = "wire::fixed")]
    pub(crate) len: u64,
}

/// Another file that holds tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OtherFile {
    /// Its path relative to the checkpoint, with `/`.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    #[serde(deserialize_with = "wire::bytes")]
    pub(crate) digest: Vec<u8>,
}

/// Another name of a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TieRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// The number of the tensor in the manifest, counted from 0.
    pub(crate) target: u32,
}

/// A dimension that is sharded over axes of the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CutRecord {
    pub(crate) dim: u32,
    /// Axes of the mesh, counted from 0, the outermost first.
    pub(crate) axes: Vec<u32>,
    pub(crate) cells: CellsRecord,
}

/// The lengths of the chunks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum CellsRecord {
    /// Lengths that differ by at most one index, longer chunks first.
    Balanced,
    /// Chunks of this length, shorter or empty at the end.
    Chunked(u64),
    /// The length of each chunk.
    Listed(Vec<u64>),
}

impl TensorRecord {
    /// The record of a tensor, or of a box of one, in a file, before its place and its checksums are known.
    pub(crate) fn in_file(name: &str, whole: &TensorInfo, region: Option<&Region>, len: u64) -> Self {
        let region = region.map(|region| RegionRecord {
            offset: Dims::from_slice(&region.offset),
            size: Dims::from_slice(&region.size),
        });
        Self {
            name: name.to_owned(),
            dtype: whole.dtype(),
            shape: Dims::from_slice(whole.shape()),
            cuts: Vec::new(),
            part: Some(PartRecord {
                region,
                file: 0,
                start: 0,
                len,
                sums: blank_sums(len),
            }),
            digest: Vec::new(),
        }
    }

    /// The element type and the shape of the whole tensor.
    pub(crate) fn info(&self) -> TensorInfo {
        TensorInfo::of(self.dtype, &self.shape)
    }

    /// The shape of the part that a file holds.
    pub(crate) fn part_shape(&self) -> &[usize] {
        let region = self.part.as_ref().and_then(|part| part.region.as_ref());
        region.map_or(&self.shape, |region| &region.size)
    }

    /// The box that a file holds.
    pub(crate) fn region(&self) -> Region {
        match self.part.as_ref().and_then(|part| part.region.as_ref()) {
            Some(region) => Region {
                offset: region.offset.to_vec(),
                size: region.size.to_vec(),
            },
            None => Region::whole(&self.shape),
        }
    }
}

impl PartRecord {
    /// The checksums of its blocks.
    pub(crate) fn sums(&self) -> Vec<u64> {
        checksum::from_bytes(&self.sums)
    }
}

/// A buffer for the checksums of `len` bytes.
fn blank_sums(len: u64) -> Sums {
    let blocks = usize::try_from(checksum::blocks(len)).unwrap_or(usize::MAX);
    Sums::from_elem(0, blocks.saturating_mul(checksum::LEN))
}
