//! Everything entries can be read from, behind one trait: own checkpoints and foreign files become an index of named
//! tensors and values, with the places of their bytes.

mod fabric;
mod hub;
mod plain;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::PathBuf;

use crate::entry::{Region, TensorInfo};
use crate::error::Result;
use crate::storage::ReadFile;
use crate::value::Value;

/// A checkpoint or a file of weights, opened: its index is known, its tensors have not been read.
pub(crate) trait Source: Send + Sync + Debug {
    /// The entries and where they lie.
    fn index(&self) -> &Index;

    /// One of the files that [`Place::file`] counts.
    fn file(&self, number: usize) -> (&dyn ReadFile, &std::path::Path);
}

/// What a source holds.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// How messages call the source: its path.
    pub(crate) origin: String,
    /// Bare weights hold no components: every name belongs to one module.
    pub(crate) bare: bool,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
    pub(crate) values: BTreeMap<String, Value>,
    /// Entries that a filter kept out when the checkpoint was saved.
    pub(crate) filtered: BTreeSet<String>,
}

/// A tensor in a source.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    pub(crate) info: TensorInfo,
    /// Parts that cover the tensor, without overlap.
    pub(crate) parts: Vec<Part>,
}

/// A box of a tensor, and the place of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) region: Region,
    pub(crate) place: Place,
    /// One checksum for each block of [`checksum::BLOCK`](crate::checksum::BLOCK) bytes; empty if the format has none.
    pub(crate) sums: Vec<u64>,
}

/// A run of bytes in a file: row-major elements, little-endian, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// A source whose parts lie in plain files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) index: Index,
    pub(crate) files: Vec<(Box<dyn ReadFile>, PathBuf)>,
}
