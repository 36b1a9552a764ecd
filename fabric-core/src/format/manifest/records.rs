//! The records of a manifest.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::entry::{DType, Dims, Region, TensorInfo};
use crate::format::wire;
use crate::io::checksum;

/// One thing that a run says of a checkpoint.
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
    /// The name of the entry that it is, or that its fields lie below; empty for the state itself.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) path: String,
    /// For messages.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// As its author counts.
    pub(crate) version: u32,
}

/// A value of the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValueRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// The ranks that it belongs to: axes of the mesh, counted from 0, each with an index along it. Empty if all ranks share it.
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
    /// By its name in safetensors headers.
    #[serde(with = "wire::dtype")]
    pub(crate) dtype: DType,
    /// The shape of the whole tensor.
    #[serde(with = "wire::few")]
    pub(crate) shape: Dims,
    /// How a directory has it cut; empty in a file.
    pub(crate) cuts: Vec<CutRecord>,
    /// The part of it that a file holds; none in a directory.
    pub(crate) part: Option<PartRecord>,
    /// A digest of the whole tensor: none in this version.
    #[serde(deserialize_with = "wire::bytes")]
    pub(crate) digest: Vec<u8>,
}

/// The part of a tensor that a file holds, and the place of its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    /// The box of the tensor; none if it is all of it.
    pub(crate) region: Option<RegionRecord>,
    /// 0 for the file that the manifest is in; otherwise one of the other files, counted from 1.
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

/// Checksums as bytes; that of a small tensor needs no allocation.
pub(crate) type Sums = SmallVec<[u8; 16]>;

/// The file that a manifest is in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// Where its tensors begin.
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

/// A further name of a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TieRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// Which of the manifest's tensors, counted from 0.
    pub(crate) target: u32,
}

/// A dimension that is cut over axes of the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CutRecord {
    pub(crate) dim: u32,
    /// Axes of the mesh, counted from 0, the outermost first.
    pub(crate) axes: Vec<u32>,
    pub(crate) cells: CellsRecord,
}

/// How long the pieces are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum CellsRecord {
    /// As equal as can be, longer ones first.
    Balanced,
    /// All of this length but for those at the end.
    Chunked(u64),
    /// One by one.
    Listed(Vec<u64>),
}

impl TensorRecord {
    /// A tensor, or the box of one, that a file holds; its place and its checksums are still to come.
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

/// Room for the checksums of `len` bytes.
fn blank_sums(len: u64) -> Sums {
    let blocks = usize::try_from(checksum::blocks(len)).unwrap_or(usize::MAX);
    Sums::from_elem(0, blocks.saturating_mul(checksum::LEN))
}
