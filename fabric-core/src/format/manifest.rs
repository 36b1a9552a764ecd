//! The manifest: what a checkpoint holds, where, and the checksum of every block.
//!
//! A complete file, the file of a rank and a directory have the same manifest, in one [envelope](super::envelope); its
//! [`Kind`] says which of them it is. Checksums and places in files have a fixed width, so the length of a manifest follows
//! from names, shapes and values alone: the header can be written first, with the manifest's length in it, and the manifest
//! last, when the checksums are known.

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

/// What a checkpoint, or one file of it, holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

/// What the manifest is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A checkpoint in one file.
    #[default]
    File,
    /// The file of one rank in a directory.
    Shard,
    /// A checkpoint in a directory.
    Directory,
}

/// The block that can be read alone, and can grow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The library that wrote it, and its version. For people; nothing depends on it.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) writer: String,
    /// The name of the strategy that the checkpoint was saved under.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) strategy: String,
    /// The axes of the strategy's mesh and their sizes.
    #[serde(deserialize_with = "wire::axes")]
    pub(crate) mesh: Vec<(String, u64)>,
    /// The save that the files of a directory belong to, and the folder that they are in; empty in a complete file.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) generation: String,
    /// The rank that wrote the file of a rank; otherwise 0.
    pub(crate) rank: u32,
    /// What a run says of the checkpoint: its step, metrics, time. Sorted by their keys; a reader passes over keys that it does
    /// not know.
    pub(crate) facts: Vec<Fact>,
}

/// All else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Body {
    /// The structs of the state, by their paths.
    pub(crate) structs: Vec<StructRecord>,
    pub(crate) values: Vec<ValueRecord>,
    /// In the order of their bytes in a file; in a directory, in the order in which they are dealt out to ranks, which is the same.
    pub(crate) tensors: Vec<TensorRecord>,
    pub(crate) ties: Vec<TieRecord>,
    /// Entries that a filter kept out of this checkpoint.
    #[serde(deserialize_with = "wire::texts")]
    pub(crate) filtered: Vec<String>,
    /// The file that the manifest is in; none in a directory.
    pub(crate) file: Option<FileRecord>,
    /// Other files that hold tensors: none in this version.
    pub(crate) others: Vec<OtherFile>,
}

impl Manifest {
    /// The manifest as bytes, ready to be stored; one that [`decode`](Self::decode) would refuse is refused here.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        check::check(self)?;
        let (head, body) = (envelope::encode(&self.head)?, envelope::encode(&self.body)?);
        envelope::seal(envelope::VERSION, &head, &body)
    }

    /// The number of bytes that [`encode`](Self::encode) gives; no checksum and no place in a file changes it.
    pub(crate) fn encoded_len(&self) -> Result<u64, ManifestError> {
        let payloads = envelope::encoded_len(&self.head)? + envelope::encoded_len(&self.body)?;
        Ok(payloads + envelope::AROUND as u64)
    }

    /// Reads a manifest, and believes nothing: the manifest that this returns has been checked in itself.
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

impl Head {
    /// How many bytes of a manifest, from its first one on, hold the head. `first` are the first
    /// [`PREFIX`](envelope::PREFIX) bytes.
    pub(crate) fn len(first: &[u8]) -> Result<u64, ManifestError> {
        envelope::head_len(first)
    }

    /// Reads the head alone, of as many bytes as [`len`](Self::len) says.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let head: Self = envelope::open_head(bytes)?.head()?;
        check::head(&head).map_err(ManifestError::Invalid)?;
        Ok(head)
    }
}
