//! Writes a checkpoint in the format of `torch.save`, so that `torch.load(path, weights_only=True)` opens it.
//!
//! The zip archive has the members of PyTorch 2.10's `torch.save`, in its order: `data.pkl` with the objects, small
//! members that describe the format, and `data/0`, `data/1`, ... with the bytes of the storages.

use super::object::Storage;
use super::pickle::pickle;
use super::state_dict::{Choices, StateDict, arrange};
use super::zip::{ALIGNMENT, Archive};
use super::{Copier, ExportReport};
use crate::error::{Error, Result};
use crate::source::Index;
use crate::storage::WriteFile;

/// The folder in front of every member's name. `torch.save` uses the file's name; a constant folder makes the files of
/// equal checkpoints equal.
const FOLDER: &str = "archive";

/// A `torch.save` archive before the bytes of its tensors are written.
pub(super) struct TorchImage<'a> {
    index: &'a Index,
    state: StateDict<'a>,
    pickle: Vec<u8>,
}

impl<'a> TorchImage<'a> {
    /// The archive of the entries of `index`, which were those of `source` before a conversion of their elements.
    ///
    /// # Errors
    /// If an entry has no form in PyTorch.
    pub(crate) fn new(index: &'a Index, source: &'a Index, choices: Choices) -> Result<Self> {
        let state = arrange(index, source, choices)?;
        let pickle = pickle(&state.object)?;
        Ok(Self { index, state, pickle })
    }

    pub(crate) fn report(&self, bytes: u64) -> ExportReport {
        ExportReport {
            tensors: self.index.tensors.len(),
            values: self.index.values.len() - self.state.left_out.len(),
            bytes,
            left_out: self.state.left_out.clone(),
            added: self.state.added.clone(),
            overflowed: Vec::new(),
            not_read: self.index.not_read(),
        }
    }

    /// The number of tensor bytes, which is nearly the length of the file.
    pub(crate) fn tensor_bytes(&self) -> u64 {
        self.state.storages.list.iter().map(Storage::len).sum()
    }

    /// The entries whose bytes the file has; of tied tensors the first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.state.storages.list.iter().filter_map(|storage| match storage {
            Storage::Stored(entry, _) => Some(*entry),
            Storage::Inline(_) => None,
        })
    }

    /// The length of the file in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        let mut sink = |_: &[u8]| Ok(());
        self.assemble(&mut Archive::new(&mut sink), |archive, member, storage| {
            archive.unwritten_member(member, storage.len())
        })
    }

    /// Writes the file, and returns its length in bytes.
    pub(super) fn write(&self, copier: &Copier<'_>, file: &mut dyn WriteFile, path: &std::path::Path) -> Result<u64> {
        let mut sink = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
        self.assemble(&mut Archive::new(&mut sink), |archive, member, storage| {
            archive.member(member, storage.len(), |put| match storage {
                Storage::Stored(entry, stored) => copier.copy(entry, stored.info.dtype(), put),
                Storage::Inline(bytes) => put(bytes),
            })
        })
    }

    /// Adds all members, those of storages with `add`, and returns the length of the archive in bytes.
    fn assemble<'s>(
        &self,
        archive: &mut Archive<'s>,
        mut add: impl FnMut(&mut Archive<'s>, &str, &Storage<'a>) -> Result<()>,
    ) -> Result<u64> {
        let name = |member: &str| format!("{FOLDER}/{member}");
        archive.small_member(&name("data.pkl"), &self.pickle)?;
        archive.small_member(&name(".format_version"), b"1")?;
        archive.small_member(&name(".storage_alignment"), ALIGNMENT.to_string().as_bytes())?;
        archive.small_member(&name("byteorder"), b"little")?;
        for (number, storage) in self.state.storages.list.iter().enumerate() {
            add(archive, &name(&format!("data/{number}")), storage)?;
        }
        archive.small_member(&name("version"), b"3\n")?;
        archive.finish()
    }
}
