//! The manifest: what a checkpoint holds, where, and the checksum of every block.
//!
//! ```text
//! 0        8        10       12                20               20 + n        28 + n
//! | magic  | major  | minor  | n: payload's    | payload        | CRC-64 of   |
//! |        | u16 LE | u16 LE | length, u64 LE  | bincode        | all before  |
//! ```
//!
//! The payload is a [`Manifest`], its fields in the order in which they are declared. Checksums and places in files have a
//! fixed width, so the length of a manifest follows from the plan alone: the header can be written first, with the
//! manifest's length in it, and the manifest last, when the checksums are known.
//!
//! Versions: a reader refuses a newer *major*. A newer *minor* may only append fields to the payload, which an older
//! reader passes over. The checksum is looked at before the version, so that a flipped bit in the version is damage and
//! not news from the future; for that, the envelope around the payload is the same in every version there will be.

mod check;
#[cfg(test)]
mod tests;
mod wire;

use bincode::config;
use serde::{Deserialize, Serialize};

use crate::checksum;
use crate::entry::{DType, Region, TensorInfo};

/// The first bytes of a manifest. The first is no ASCII, and the last is one that text conversions change.
pub(crate) const MAGIC: [u8; 8] = *b"\x89FABRIC\n";

/// The version that this library writes, and the newest that it reads in full.
pub(crate) const VERSION: (u16, u16) = (1, 0);

/// Longer manifests are neither written nor read; a reader checks it before it allocates.
pub(crate) const MAX_LEN: u64 = LARGEST as u64 / CLAIM as u64;

/// The bytes before the payload.
const PREFIX: usize = 20;

/// What bincode may count while it decodes, in the largest tier: 4 GiB, less one for 32-bit machines.
const LARGEST: usize = u32::MAX as usize;

/// One encoded byte counts as this many at most: a small number is one byte long and counts as the 8 that it may have.
const CLAIM: usize = 8;

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
    pub(crate) shape: Vec<usize>,
    pub(crate) parts: Vec<PartRecord>,
}

/// A box of a tensor, and the place of its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    /// The first index along each dimension of the tensor.
    pub(crate) offset: Vec<usize>,
    /// The number of indices along each dimension.
    pub(crate) size: Vec<usize>,
    /// Which of the manifest's files, counted from 0.
    pub(crate) file: u32,
    /// The first byte, counted from the start of the file.
    #[serde(with = "wire::fixed")]
    pub(crate) start: u64,
    /// The number of bytes.
    pub(crate) len: u64,
    /// The checksums of its blocks, 8 bytes each, little-endian.
    #[serde(deserialize_with = "wire::bytes")]
    pub(crate) sums: Vec<u8>,
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
    #[error("the manifest has {len} bytes, and the shortest has {}", PREFIX + checksum::LEN)]
    TooShort { len: usize },
    #[error("the manifest begins with {found:02x?} instead of {MAGIC:02x?}")]
    Magic { found: [u8; 8] },
    #[error("the manifest gives its payload {claimed} bytes, and has {found} for it")]
    Length { claimed: u64, found: u64 },
    #[error("the manifest has {len} bytes, and more than {MAX_LEN} are refused")]
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
        TensorInfo::new(self.dtype, self.shape.clone())
    }
}

impl PartRecord {
    /// A part whose `len` bytes begin at `start`, with the checksums still to come.
    pub(crate) fn new(region: Region, file: u32, start: u64, len: u64) -> Self {
        let blank = usize::try_from(checksum::blocks(len)).unwrap_or(usize::MAX);
        Self {
            offset: region.offset,
            size: region.size,
            file,
            start,
            len,
            sums: vec![0; blank.saturating_mul(checksum::LEN)],
        }
    }

    /// The box of the tensor that this part holds.
    pub(crate) fn region(&self) -> Region {
        Region {
            offset: self.offset.clone(),
            size: self.size.clone(),
        }
    }

    /// The checksums of its blocks.
    pub(crate) fn sums(&self) -> Vec<u64> {
        checksum::from_bytes(&self.sums)
    }
}

impl Manifest {
    /// The manifest as bytes, ready to be stored; one that [`decode`](Self::decode) would refuse is refused here.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        check::check(self).map_err(ManifestError::Invalid)?;
        let payload = bincode::serde::encode_to_vec(self, config::standard())
            .map_err(|error| ManifestError::Payload(error.to_string()))?;
        let len = (PREFIX + payload.len() + checksum::LEN) as u64;
        if len > MAX_LEN {
            return Err(ManifestError::TooLong { len });
        }
        Ok(envelope(VERSION, &payload))
    }

    /// The number of bytes that [`encode`](Self::encode) gives; no checksum and no place in a file changes it.
    pub(crate) fn encoded_len(&self) -> Result<u64, ManifestError> {
        let mut size = bincode::enc::write::SizeWriter::default();
        bincode::serde::encode_into_writer(self, &mut size, config::standard())
            .map_err(|error| ManifestError::Payload(error.to_string()))?;
        Ok((PREFIX + size.bytes_written + checksum::LEN) as u64)
    }

    /// Reads a manifest, and believes nothing: what this returns has been checked in itself.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (minor, payload) = open(bytes)?;
        let (manifest, used): (Self, usize) = match payload.len().saturating_mul(CLAIM) {
            0..=0x1_0000 => decode_within::<0x1_0000>(payload),
            0x1_0001..=0x10_0000 => decode_within::<0x10_0000>(payload),
            0x10_0001..=0x100_0000 => decode_within::<0x100_0000>(payload),
            0x100_0001..=0x1000_0000 => decode_within::<0x1000_0000>(payload),
            _ => decode_within::<LARGEST>(payload),
        }?;
        let stray = payload.len() - used;
        if stray > 0 && minor <= VERSION.1 {
            return Err(ManifestError::Stray(stray));
        }
        check::check(&manifest).map_err(ManifestError::Invalid)?;
        Ok(manifest)
    }
}

/// A payload with its envelope.
fn envelope((major, minor): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX + payload.len() + checksum::LEN);
    bytes.extend(MAGIC);
    bytes.extend(major.to_le_bytes());
    bytes.extend(minor.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(payload);
    let sum = checksum::of(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Opens the envelope: the minor version and the payload.
fn open(bytes: &[u8]) -> Result<(u16, &[u8]), ManifestError> {
    let len = bytes.len();
    if len as u64 > MAX_LEN {
        return Err(ManifestError::TooLong { len: len as u64 });
    }
    let short = || ManifestError::TooShort { len };
    let (body, sum) = bytes.split_last_chunk::<{ checksum::LEN }>().ok_or_else(short)?;
    let (magic, rest) = body.split_first_chunk::<8>().ok_or_else(short)?;
    let (major, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (minor, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (claimed, payload) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    if *magic != MAGIC {
        return Err(ManifestError::Magic { found: *magic });
    }
    let (claimed, found) = (u64::from_le_bytes(*claimed), payload.len() as u64);
    if claimed != found {
        return Err(ManifestError::Length { claimed, found });
    }
    if checksum::of(body) != u64::from_le_bytes(*sum) {
        return Err(ManifestError::Checksum);
    }
    match u16::from_le_bytes(*major) {
        0 => Err(ManifestError::Version { found: 0 }),
        found if found > VERSION.0 => Err(ManifestError::Newer {
            found,
            supported: VERSION.0,
        }),
        _ => Ok((u16::from_le_bytes(*minor), payload)),
    }
}

/// Decodes with a limit on what bincode counts, and so on what a claimed length can make it allocate.
fn decode_within<const LIMIT: usize>(payload: &[u8]) -> Result<(Manifest, usize), ManifestError> {
    bincode::serde::decode_from_slice(payload, config::standard().with_limit::<LIMIT>())
        .map_err(|error| ManifestError::Payload(error.to_string()))
}
