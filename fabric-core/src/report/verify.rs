//! The report of a verification: what was read, and every place that is damaged.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::entry::{shown, shown_path};
use crate::error::{Error, Result};

/// The findings of [`Fabric::verify`](crate::Fabric::verify).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The number of entries, tensors and values; 0 if the index of the checkpoint is damaged.
    pub entries: usize,
    /// The number of blocks of at most 1 MiB that were read. Tensors that share their bytes are read once.
    pub blocks: u64,
    /// The number of bytes in these blocks.
    pub bytes: u64,
    /// The number of bytes of tensors without a checksum. They were read, and may have changed since they were written: bare
    /// safetensors files have no checksums, and neither have the oldest files of PyTorch.
    pub unchecked: u64,
    /// The number of bytes of an index without a checksum: `.metadata` of a distributed checkpoint of PyTorch, an `*.index.json`
    /// of a model hub, the pickle of the oldest files of PyTorch. A flipped bit in it may rename an entry, or change its shape.
    pub unchecked_index: u64,
    /// The damaged places, in the order of files and bytes. Empty if none was found.
    pub damaged: Vec<Damage>,
}

/// A damaged place of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The entry that has the bytes, if they are those of a tensor; of tied tensors the first name.
    pub entry: Option<String>,
    /// The number of the block in the entry, counted from 0; in the part of the entry that the file holds, for a checkpoint of
    /// several files.
    pub block: Option<usize>,
    /// The offsets of the block's bytes in the file.
    pub bytes: Option<Range<u64>>,
    /// The finding, as a clause about the file: `"it is missing: ..."`.
    pub what: String,
}

impl VerifyReport {
    /// Returns true if no damage was found.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Lists the damage of these errors. Many entries may have met one damaged file.
    pub(crate) fn set_damaged(&mut self, damaged: impl IntoIterator<Item = Damage>) {
        let mut seen = HashSet::new();
        let is_new =
            |damage: &Damage| damage.bytes.is_some() || seen.insert((damage.path.clone(), damage.what.clone()));
        self.damaged = damaged.into_iter().filter(is_new).collect();
        let start = |damage: &Damage| damage.bytes.as_ref().map_or(0, |bytes| bytes.start);
        self.damaged
            .sort_by(|a, b| a.path.cmp(&b.path).then(start(a).cmp(&start(b))));
    }
}

impl Damage {
    /// The damage that an error of reading tells of.
    ///
    /// # Errors
    /// The error, if the file may be whole: a missing permission, a failing device, a newer format.
    pub(crate) fn of(error: Error) -> Result<Self> {
        let (path, what) = match error {
            Error::Checksum {
                path,
                entry,
                block,
                start,
                end,
            } => {
                let what = format!(
                    "entry `{}`, block {block} (bytes {start}..{end} of the file) does not match its checksum",
                    shown(&entry)
                );
                return Ok(Self {
                    path,
                    entry: Some(entry),
                    block: Some(block),
                    bytes: Some(start..end),
                    what,
                });
            }
            Error::Corrupt { path, what } | Error::UnknownFormat { path, what } => (path, what),
            Error::NotFound { path, hint } => (path, format!("it is missing: {hint}")),
            other => return Err(other),
        };
        Ok(Self {
            path,
            entry: None,
            block: None,
            bytes: None,
            what,
        })
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged: {}", shown_path(&self.path), self.what)
    }
}
