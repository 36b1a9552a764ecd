//! The manifest: what a checkpoint holds, where, and the checksum of every block.
//!
//! In an [envelope](super::envelope), a [`Manifest`], its fields in the order in which they are declared. Checksums and
//! places in files have a fixed width, so the length of a manifest follows from the plan alone: the header can be written
//! first, with the manifest's length in it, and the manifest last, when the checksums are known.
//!
//! A file that is one of several has a [`ShardManifest`] in its place.

pub(super) mod check;
#[cfg(test)]
pub(super) mod tests;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{envelope, wire};
use crate::entry::{DType, Dims, Region, TensorInfo};
use crate::io::checksum;

/// The first bytes of a manifest. The first is no ASCII, and the last is one that text conversions change.
pub(crate) const MAGIC: [u8; 8] = *b"\x89FABRIC\n";

/// The version that this library writes, and the newest that it reads in full.
pub(crate) const VERSION: (u16, u16) = (1, 0);

/// The first bytes of the manifest of a file that is one of several.
pub(crate) const SHARD_MAGIC: [u8; 8] = *b"\x89FABSHD\n";

/// The version of those.
const SHARD_VERSION: (u16, u16) = (1, 0);

/// What a checkpoint holds, where, and its checksums.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Who wrote it: the library's name and version. For people; nothing depends on it.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) writer: String,
    /// The name of the strategy that the checkpoint was saved under.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) strategy: String,
    /// The axes of the strategy's mesh and their sizes.
    #[serde(deserialize_with = "wire::axes")]
    pub(crate) mesh: Vec<(String, u64)>,
    /// The version of the state's schema, as its author counts.
    pub(crate) state_version: u32,
    pub(crate) files: Vec<FileRecord>,
    pub(crate) tensors: Vec<TensorRecord>,
    pub(crate) ties: Vec<TieRecord>,
    pub(crate) values: Vec<ValueRecord>,
    /// Entries that a filter kept out of this checkpoint.
    #[serde(deserialize_with = "wire::texts")]
    pub(crate) filtered: Vec<String>,
}

/// A safetensors file of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// Its path relative to the manifest's, with `/`; empty where the manifest is inside the file.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// Where its tensors begin.
    #[serde(with = "wire::fixed")]
    pub(crate) header_len: u64,
    /// The checksum of the bytes before that, little-endian.
    pub(crate) header_sum: [u8; checksum::LEN],
    /// The length of the whole file.
    #[serde(with = "wire::fixed")]
    pub(crate) len: u64,
}

/// A tensor of the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TensorRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// By its name in safetensors headers.
    #[serde(with = "wire::dtype")]
    pub(crate) dtype: DType,
    /// The shape of the whole tensor, of which each part holds a box.
    #[serde(with = "wire::few")]
    pub(crate) shape: Dims,
    pub(crate) parts: Vec<PartRecord>,
}

/// A box of a tensor, and the place of its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    /// The first index along each dimension of the tensor.
    #[serde(with = "wire::few")]
    pub(crate) offset: Dims,
    /// The number of indices along each dimension.
    #[serde(with = "wire::few")]
    pub(crate) size: Dims,
    /// Which of the manifest's files, counted from 0.
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

/// Checksums as bytes; that of a small tensor needs no allocation.
pub(crate) type Sums = SmallVec<[u8; 16]>;

/// What one file of a directory holds, where, and its checksums.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardManifest {
    /// The save that the file belongs to: a shard of another one is no part of this checkpoint.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) generation: String,
    /// The rank that wrote it.
    pub(crate) rank: u32,
    pub(crate) file: FileRecord,
    /// Tensors by their shape as a whole, each with the one part that is here.
    pub(crate) tensors: Vec<TensorRecord>,
}

/// A further name of a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TieRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// Which of the manifest's tensors, counted from 0.
    pub(crate) target: u32,
}

/// A value of the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValueRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    /// The rank that it belongs to, if each has its own.
    pub(crate) rank: Option<u32>,
    /// What the bytes are; see [`CBOR`].
    pub(crate) form: u8,
    #[serde(deserialize_with = "wire::bytes")]
    pub(crate) bytes: Vec<u8>,
}

/// The only form of a value so far: CBOR, RFC 8949.
pub(crate) const CBOR: u8 = 0;

/// Why bytes are not a manifest, or a manifest cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("the manifest has {len} bytes, and the shortest has {}", envelope::PREFIX + checksum::LEN)]
    TooShort { len: usize },
    #[error("the manifest begins with {found:02x?} instead of {magic:02x?}")]
    Magic { found: [u8; 8], magic: [u8; 8] },
    #[error("the manifest gives its payload {claimed} bytes, and has {found} for it")]
    Length { claimed: u64, found: u64 },
    #[error("the manifest has {len} bytes, and more than {} are refused", envelope::MAX_LEN)]
    TooLong { len: u64 },
    #[error("the manifest does not match its checksum")]
    Checksum,
    #[error("the manifest is of format version {found}, and this library reads up to {supported}")]
    Newer { found: u16, supported: u16 },
    #[error("the manifest is of format version {found}, which never was")]
    Version { found: u16 },
    #[error("the manifest's payload cannot be read: {0}")]
    Payload(String),
    #[error("the manifest's payload is followed by {0} stray bytes")]
    Stray(usize),
    #[error("the manifest contradicts itself: {0}")]
    Invalid(String),
}

impl TensorRecord {
    /// The element type and the shape of the whole tensor.
    pub(crate) fn info(&self) -> TensorInfo {
        TensorInfo::of(self.dtype, &self.shape)
    }
}

impl PartRecord {
    /// A part whose `len` bytes begin at `start`, with the checksums still to come.
    pub(crate) fn new(region: Region, file: u32, start: u64, len: u64) -> Self {
        Self {
            offset: Dims::from_vec(region.offset),
            size: Dims::from_vec(region.size),
            file,
            start,
            len,
            sums: blank_sums(len),
        }
    }

    /// The same of a part that is all of a tensor.
    pub(crate) fn whole(info: &TensorInfo, start: u64, len: u64) -> Self {
        let size = Dims::from_slice(info.shape());
        Self {
            offset: Dims::from_elem(0, size.len()),
            size,
            file: 0,
            start,
            len,
            sums: blank_sums(len),
        }
    }

    /// The box of the tensor that this part holds.
    pub(crate) fn region(&self) -> Region {
        Region {
            offset: self.offset.to_vec(),
            size: self.size.to_vec(),
        }
    }

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

impl Manifest {
    /// The manifest as bytes, ready to be stored; one that [`decode`](Self::decode) would refuse is refused here.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        check::check(self).map_err(ManifestError::Invalid)?;
        envelope::encode(MAGIC, VERSION, self)
    }

    /// The number of bytes that [`encode`](Self::encode) gives; no checksum and no place in a file changes it.
    pub(crate) fn encoded_len(&self) -> Result<u64, ManifestError> {
        envelope::encoded_len(self)
    }

    /// Reads a manifest, and believes nothing: what this returns has been checked in itself.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let opened = envelope::open(MAGIC, VERSION.0, bytes)?;
        let manifest = envelope::decode_all(&opened, VERSION.1)?;
        check::check(&manifest).map_err(ManifestError::Invalid)?;
        Ok(manifest)
    }
}

impl ShardManifest {
    /// The manifest as bytes; one that [`decode`](Self::decode) would refuse is refused here.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        check::check_shard(self).map_err(ManifestError::Invalid)?;
        envelope::encode(SHARD_MAGIC, SHARD_VERSION, self)
    }

    /// The number of bytes that [`encode`](Self::encode) gives; no checksum and no place in a file changes it.
    pub(crate) fn encoded_len(&self) -> Result<u64, ManifestError> {
        envelope::encoded_len(self)
    }

    /// Reads a manifest and checks it in itself.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let opened = envelope::open(SHARD_MAGIC, SHARD_VERSION.0, bytes)?;
        let manifest = envelope::decode_all(&opened, SHARD_VERSION.1)?;
        check::check_shard(&manifest).map_err(ManifestError::Invalid)?;
        Ok(manifest)
    }
}
