//! The phases of a load that change the state: copying bytes, and assigning decoded values.

use super::entries::{EntryTarget, StateEntry};
use super::matching::LoadPlan;
use super::stage::Staged;
use super::target::write_bytes;
use super::transfer::{Transfer, transfer_all};
use super::{Loaded, Watch, new_rows};
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::io::pages;
use crate::load::raw::RawCheckpoint;
use crate::phases::Phase;
use crate::source::names::Renamed;
use crate::source::read::PartialSums;
use crate::source::{Index, Source};
use crate::state::{NamedOptimizer, OptimizerState};

/// A load with an accepted match. Only storage and devices can still fail.
pub(crate) struct Accepted<'a, 'l> {
    /// The entries under the file's names.
    pub(super) file: &'a RawCheckpoint,
    /// The entries of the file that the load does not see, beside those of a migration.
    pub(super) beside: Option<&'a Index>,
    /// The entries under the names of the plan.
    pub(super) named: &'a RawCheckpoint,
    /// The entries under the state's names; `None` if these equal the file's.
    pub(super) renamed: Option<&'a Renamed>,
    pub(super) entries: Vec<StateEntry<'a>>,
    pub(super) optimizers: &'a mut [NamedOptimizer<&'l mut dyn OptimizerState>],
    pub(super) plan: LoadPlan<'a>,
    pub(super) staged: Staged,
    /// The length of all tensors in bytes; 0 for a load without listeners.
    pub(super) bytes: u64,
    pub(super) watch: Watch<'a>,
}

impl Accepted<'_, '_> {
    pub(crate) fn source(&self) -> &dyn Source {
        &*self.file.source
    }

    /// Fills every tensor. Blocks that are read in part are recorded in `sums`, whose `finish` verifies them.
    ///
    /// # Errors
    /// The first error. It names the entries that may have been overwritten.
    pub(crate) fn read(&mut self, sums: &PartialSums) -> Result<()> {
        let reading = self.watch.phases.begin(Phase::Read);
        reading.bytes(self.bytes);
        let transfers = &mut self.plan.transfers;
        transfer_all(&*self.file.source, transfers, sums, self.watch.meter).map_err(|source| {
            let begun = transfers.iter().filter(|transfer| transfer.is_begun());
            interrupted(begun, source)
        })?;
        self.fill_new_rows()?;
        self.begin_at_zero()
    }

    /// Fills the optimizer's state of rows that the file lacks.
    fn fill_new_rows(&self) -> Result<()> {
        let mut resized = self.plan.resized.iter();
        resized.try_for_each(|resized| new_rows::fill(self.named, &self.entries[resized.at], resized))
    }

    /// Fills optimizer state that PyTorch had not created yet with zeros.
    fn begin_at_zero(&self) -> Result<()> {
        for at in &self.plan.zero_init {
            let StateEntry { name, held, .. } = &self.entries[*at];
            if let EntryTarget::Tensor { tensor, .. } = held {
                let len = TensorInfo::from(*tensor).byte_len().unwrap_or_default();
                let zeros = pages::zeroed(len).map_err(|source| Error::Memory {
                    purpose: format!("clear `{name}`"),
                    source,
                })?;
                write_bytes(name, tensor, &zeros)?;
            }
        }
        Ok(())
    }

    /// Wraps an error after the copy with the names of all entries that were overwritten.
    pub(crate) fn interrupted(&self, source: Error) -> Error {
        match source {
            Error::Interrupted { .. } => source,
            _ => interrupted(self.plan.transfers.iter(), source),
        }
    }

    /// Assigns the values, and gives the optimizers their step counts and hyper-parameters. This cannot fail.
    pub(crate) fn commit(self) -> Loaded {
        self.staged.commit(self.entries, self.optimizers);
        self.watch.phases.loaded(self.bytes);
        let consumed = &self.plan.consumed;
        let remainder = match self.renamed {
            Some(renamed) => self.file.left(renamed, consumed),
            None => self.file.without(consumed),
        };
        let remainder = match self.beside {
            Some(beside) => remainder.with(beside),
            None => remainder,
        };
        Loaded {
            remainder,
            report: self.plan.report,
        }
    }
}

fn interrupted<'t>(written: impl Iterator<Item = &'t Transfer<'t>>, source: Error) -> Error {
    let mut written: Vec<String> = written.map(|transfer| transfer.name.to_owned()).collect();
    if written.is_empty() {
        return source;
    }
    written.sort();
    Error::Interrupted {
        written,
        source: Box::new(source),
    }
}
