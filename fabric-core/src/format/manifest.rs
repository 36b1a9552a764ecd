//! The manifest: the entries of a checkpoint, their places, and the checksum of every block.
//!
//! A complete file, the file of a rank and a directory have the same manifest, in one [envelope](super::envelope), with
//! another [`ManifestKind`]. Checksums and places in files have a fixed width, so the length of a manifest follows from names,
//! shapes and values alone: the header is written first, with the manifest's length in it, and the manifest last, with
//! the checksums.

mod check;
mod records;
#[cfg(test)]
pub(super) mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use self::records::{
    CBOR, CellsRecord, Coordinate, CutRecord, Fact, FileRecord, OtherFile, PartRecord, StructRecord, Sums,
    TensorRecord, TieRecord, ValueRecord,
};
use super::error::ManifestError;
use super::{envelope, wire};

/// The contents of a checkpoint, or of one file of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) head: ManifestHead,
    pub(crate) body: Body,
}

/// The kind of a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ManifestKind {
    /// A checkpoint in one file.
    #[default]
    File,
    /// The file of one rank in a directory.
    Shard,
    /// A checkpoint in a directory.
    Directory,
}

/// The first block, which can be read alone, and to which later versions append fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ManifestHead {
    pub(crate) kind: ManifestKind,
    /// The library that wrote the manifest, and its version, for people: no code depends on it.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) writer: String,
    /// The name of the strategy that the checkpoint was saved under.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) strategy: String,
    /// The axes of the strategy's mesh and their sizes.
    #[serde(deserialize_with = "wire::axes")]
    pub(crate) mesh: Vec<(String, u64)>,
    /// The name of the save that wrote the files of a directory, and of their folder; empty in a complete file.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) generation: String,
    /// The rank that wrote the file of a rank; otherwise 0.
    pub(crate) rank: u32,
    /// The facts of a run about the checkpoint: step, metrics, time. Sorted by their keys; a reader ignores unknown
    /// keys.
    pub(crate) facts: Vec<Fact>,
}

/// Everything that is not in the head.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Body {
    /// The structs of the state, each before those inside of it. Several may have one path: a newtype and its contents.
    pub(crate) structs: Vec<StructRecord>,
    pub(crate) values: Vec<ValueRecord>,
    /// In the order of their bytes in a file; in a directory, in the order in which they are assigned to ranks, which
    /// is the same.
    pub(crate) tensors: Vec<TensorRecord>,
    pub(crate) ties: Vec<TieRecord>,
    /// The entries that filters excluded from this checkpoint.
    #[serde(deserialize_with = "wire::texts")]
    pub(crate) filtered: Vec<String>,
    /// The file that the manifest is in; none in a directory.
    pub(crate) file: Option<FileRecord>,
    /// Other files that hold tensors: none in this version.
    pub(crate) others: Vec<OtherFile>,
}

impl Manifest {
    /// Encodes the manifest. A manifest that [`decode`](Self::decode) would refuse is refused here.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        check::check(self)?;
        let (head, body) = (envelope::encode(&self.head)?, envelope::encode(&self.body)?);
        envelope::seal(envelope::VERSION, &head, &body)
    }

    /// The number of bytes that [`encode`](Self::encode) gives. It does not depend on checksums and places.
    pub(crate) fn encoded_len(&self) -> Result<u64, ManifestError> {
        let payloads = envelope::encoded_len(&self.head)? + envelope::encoded_len(&self.body)?;
        Ok(payloads + envelope::AROUND as u64)
    }

    /// Decodes a manifest, and checks that its numbers do not contradict each other.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let opened = envelope::open(bytes)?;
        let manifest = Self {
            head: opened.head()?,
            body: opened.body()?,
        };
        check::check(&manifest)?;
        Ok(manifest)
    }
}

impl ManifestHead {
    /// The length of a manifest up to the end of its head. `first` are the first [`PREFIX`](envelope::PREFIX) bytes.
    pub(crate) fn len(first: &[u8]) -> Result<u64, ManifestError> {
        envelope::head_len(first)
    }

    /// Decodes the head alone, from as many bytes as [`len`](Self::len) gives.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let head: Self = envelope::open_head(bytes)?.head()?;
        check::head(&head).map_err(ManifestError::Invalid)?;
        Ok(head)
    }
}
