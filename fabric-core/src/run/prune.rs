//! Removing the checkpoints that no rule keeps, without a save.

use std::path::PathBuf;

use super::Run;
use super::decision::{Decision, decide};
use super::found::{Found, Kept, is_damage};
use crate::error::{Error, Result};

/// The outcome of [`Run::prune`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// The checkpoints that were removed, in the order in which they were saved.
    pub removed: Vec<Kept>,
    /// The newest checkpoints that turned out to be damaged, each with the error of reading it. They are still there.
    pub damaged: Vec<(PathBuf, Error)>,
}

impl Run {
    /// The decisions of the run's rules about its checkpoints, in the order of their steps: the next save, or
    /// [`prune`](Self::prune), removes those that no rule keeps. Damaged checkpoints are not among them.
    ///
    /// # Errors
    /// As [`checkpoints`](Self::checkpoints).
    pub fn decisions(&self) -> Result<Vec<Decision>> {
        let mut decisions = decide(&self.held.keep, &self.held.found()?.whole);
        decisions.sort_by_key(|one| one.checkpoint.step);
        Ok(decisions)
    }

    /// Removes the checkpoints that no rule of the run keeps, without a save. The newest checkpoint is read and verified before
    /// another one is removed; if it is damaged, it counts for no rule, and the next one is verified. So a whole one is there
    /// afterwards if there was one before. Waits for a save in the
    /// background. Where several ranks save, rank 0 removes, and all ranks get the same answer but for
    /// [`Pruned::damaged`], which rank 0 has.
    ///
    /// ```
    /// use fabric_core::Fabric;
    /// use fabric_core::run::{Keep, Run};
    /// # use candle_core::{DType, Device, Var};
    /// # use fabric_core::Checkpoint;
    /// # #[derive(Checkpoint)]
    /// # struct State { weight: Var }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let directory = directory.path().join("gpt");
    /// # let mut run = Run::at(&directory).open(&Fabric::new())?;
    /// # let state = State { weight: Var::zeros(3, DType::F32, &Device::Cpu)? };
    /// # for step in [500, 1000, 1500] {
    /// #     run.save(step, &state, &[])?;
    /// # }
    /// # drop(run);
    /// let mut run = Run::at(&directory).keep(Keep::last(1)).open(&Fabric::new())?;
    /// let pruned = run.prune()?;
    /// let steps: Vec<u64> = pruned.removed.iter().map(|kept| kept.step).collect();
    /// assert_eq!(steps, [500, 1000]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the storage fails, or a checkpoint was written by a newer version of this library.
    pub fn prune(&mut self) -> Result<Pruned> {
        self.fabric.wait()?;
        let Some(ranks) = self.fabric.loading_ranks() else {
            return self.prune_here();
        };
        // The other ranks list the checkpoints before rank 0 removes any.
        let found = ranks.together("run: list", || self.held.found())?.whole;
        let mut damaged = Vec::new();
        let removed = ranks.on_rank_zero("run: prune", || {
            let pruned = self.prune_here()?;
            damaged = pruned.damaged;
            let steps = pruned.removed.iter().flat_map(|one| one.step.to_le_bytes());
            Ok(steps.collect())
        })?;
        let (steps, _) = removed.as_chunks::<8>();
        let is_removed = |one: &Kept| steps.iter().any(|step| u64::from_le_bytes(*step) == one.step);
        Ok(Pruned {
            removed: found.into_iter().filter(is_removed).collect(),
            damaged,
        })
    }

    fn prune_here(&self) -> Result<Pruned> {
        let mut damaged = Vec::new();
        loop {
            let Found { whole, .. } = self.held.found()?;
            let due: Vec<Kept> = self.held.due_to_go(&whole).into_iter().cloned().collect();
            let Some(newest) = whole.last().filter(|_| !due.is_empty()) else {
                return Ok(Pruned { removed: due, damaged });
            };
            match self.verify(newest) {
                Ok(()) => {
                    let mut removed = Vec::new();
                    for one in due {
                        if self.held.remove(&one)? {
                            removed.push(one);
                        }
                    }
                    return Ok(Pruned { removed, damaged });
                }
                Err(error) if is_damage(&error) => {
                    self.held.note_damaged(newest);
                    damaged.push((newest.path.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads every byte of a checkpoint.
    fn verify(&self, one: &Kept) -> Result<()> {
        let damaged = self.fabric.verify(&one.path)?.damaged;
        match damaged.into_iter().next() {
            None => Ok(()),
            Some(damage) => Err(Error::corrupt(&damage.path, damage.what)),
        }
    }
}
