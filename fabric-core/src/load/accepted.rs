//! The phases of a load that change the state: bytes are moved, and what was staged is assigned.

use super::entries::{Held, StateEntry};
use super::matching::LoadPlan;
use super::stage::Staged;
use super::target::write_bytes;
use super::transfer::{Transfer, transfer_all};
use super::{Loaded, Watch};
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::io::pages;
use crate::load::raw::RawCheckpoint;
use crate::phases::Phase;
use crate::source::Source;
use crate::source::names::Renamed;
use crate::source::read::PartialSums;
use crate::state::{NamedOptimizer, OptimizerState};

/// A load that was found acceptable: only storage can still fail.
pub(crate) struct Accepted<'a, 'l> {
    /// The entries of the file, as the file calls them.
    pub(super) file: &'a RawCheckpoint,
    /// The entries under the state's names, where those differ from the file's.
    pub(super) renamed: Option<&'a Renamed>,
    pub(super) entries: Vec<StateEntry<'a>>,
    pub(super) optimizers: &'a mut [NamedOptimizer<&'l mut dyn OptimizerState>],
    pub(super) plan: LoadPlan<'a>,
    pub(super) staged: Staged,
    /// The length of all tensors; 0 if nobody wants to know.
    pub(super) bytes: u64,
    pub(super) watch: Watch<'a>,
}

impl Accepted<'_, '_> {
    pub(crate) fn source(&self) -> &dyn Source {
        &*self.file.source
    }

    /// Fills every tensor. Blocks that are read in part are noted in `sums`, and not verified before that is finished.
    ///
    /// # Errors
    /// The first one met; entries that were begun by then are named in it.
    pub(crate) fn read(&mut self, sums: &PartialSums) -> Result<()> {
        let reading = self.watch.phases.begin(Phase::Read);
        reading.bytes(self.bytes);
        let transfers = &mut self.plan.transfers;
        transfer_all(&*self.file.source, transfers, sums, self.watch.meter).map_err(|source| {
            let begun = transfers.iter().filter(|transfer| transfer.is_begun());
            interrupted(begun, source)
        })?;
        self.begin_at_zero()
    }

    /// Clears the state that the file does not have because there is none yet.
    fn begin_at_zero(&self) -> Result<()> {
        for at in &self.plan.zero_init {
            let StateEntry { name, held, .. } = &self.entries[*at];
            if let Held::Tensor { tensor, .. } = held {
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

    /// Names the entries that were written before the load was found to have failed.
    pub(crate) fn interrupted(&self, source: Error) -> Error {
        match source {
            Error::Interrupted { .. } => source,
            _ => interrupted(self.plan.transfers.iter(), source),
        }
    }

    /// Assigns the values, and hands the optimizers their steps and hyper-parameters; nothing can fail any more.
    pub(crate) fn commit(self) -> Loaded {
        self.staged.commit(self.entries, self.optimizers);
        self.watch.phases.loaded(self.bytes);
        let consumed = &self.plan.consumed;
        let remainder = match self.renamed {
            Some(renamed) => self.file.left(renamed, consumed),
            None => self.file.without(consumed),
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
