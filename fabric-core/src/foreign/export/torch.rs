//! Writes a checkpoint in the format of `torch.save`, so that `torch.load(path, weights_only=True)` opens it.
//!
//! The zip archive has the members of PyTorch 2.10's `torch.save`, in its order: `data.pkl` with the objects, small
//! members that describe the format, and `data/0`, `data/1`, ... with the bytes of the storages.

use super::object::Storage;
use super::pickle::pickle;
use super::state_dict::{Choices, StateDict, arrange};
use super::zip::{ALIGNMENT, Archive};
use super::{ExportReport, copy};
use crate::error::{Error, Result};
use crate::load::raw::RawCheckpoint;
use crate::storage::WriteFile;

/// The folder in front of every member's name. `torch.save` uses the file's name; a constant folder makes the files of
/// equal checkpoints equal.
const FOLDER: &str = "archive";

/// A `torch.save` archive before the bytes of its tensors are written.
pub(super) struct TorchImage<'a> {
    raw: &'a RawCheckpoint,
    state: StateDict<'a>,
    pickle: Vec<u8>,
}

impl<'a> TorchImage<'a> {
    /// # Errors
    /// If an entry has no form in PyTorch.
    pub(crate) fn new(raw: &'a RawCheckpoint, choices: Choices) -> Result<Self> {
        let state = arrange(&raw.index, choices)?;
        let pickle = pickle(&state.object)?;
        Ok(Self { raw, state, pickle })
    }

    pub(crate) fn report(&self, bytes: u64) -> ExportReport {
        let index = &self.raw.index;
        ExportReport {
            tensors: index.tensors.len(),
            values: index.values.len() - self.state.left_out.len(),
            bytes,
            left_out: self.state.left_out.clone(),
            added: self.state.added.clone(),
        }
    }

    /// The number of tensor bytes, which is nearly the length of the file.
    pub(crate) fn tensor_bytes(&self) -> u64 {
        self.state.storages.list.iter().map(Storage::len).sum()
    }

    /// Writes the file, and returns its length in bytes.
    pub(crate) fn write(&self, file: &mut dyn WriteFile, path: &std::path::Path) -> Result<u64> {
        let mut sink = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
        let mut archive = Archive::new(&mut sink);
        let name = |member: &str| format!("{FOLDER}/{member}");
        archive.small_member(&name("data.pkl"), &self.pickle)?;
        archive.small_member(&name(".format_version"), b"1")?;
        archive.small_member(&name(".storage_alignment"), ALIGNMENT.to_string().as_bytes())?;
        archive.small_member(&name("byteorder"), b"little")?;
        for (number, storage) in self.state.storages.list.iter().enumerate() {
            let member = name(&format!("data/{number}"));
            archive.member(&member, storage.len(), |put| match storage {
                Storage::Stored(entry, stored) => copy(self.raw, entry, stored, put),
                Storage::Inline(bytes) => put(bytes),
            })?;
        }
        archive.small_member(&name("version"), b"3\n")?;
        archive.finish()
    }
}
