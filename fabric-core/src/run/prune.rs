//! Removing the checkpoints that no rule keeps, without a save.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Run;
use super::decision::{Decision, decide};
use super::found::{Found, Kept, is_damage};
use crate::error::{Error, Result};
use crate::format::facts::Marks;

/// The outcome of [`Run::prune`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// The checkpoints that were removed, in the order in which they were saved.
    pub removed: Vec<Kept>,
    /// The checkpoints that a rule kept and that turned out to be damaged, each with the error of reading it. They are still
    /// there.
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

    /// Removes the checkpoints that no rule of the run keeps, without a save. Every checkpoint that stays is read and verified
    /// before another one is removed; a damaged one counts for no rule, the rules decide anew, and the ones that stay in its
    /// place are verified too. So each rule keeps whole checkpoints afterwards, if there were any. Of a checkpoint that goes,
    /// only the head is read. If nothing goes, nothing is verified.
    ///
    /// Waits for a save in the background. Where several ranks save, rank 0 removes, and all ranks get the same answer but for
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
        let mut read = Marks::new();
        loop {
            let Found { whole, .. } = self.held.found()?;
            let due = self.held.due_to_go(&whole);
            let goes: BTreeSet<u64> = due.iter().map(|one| one.step).collect();
            let stays = whole.iter().filter(|one| !goes.contains(&one.step));
            let found = if due.is_empty() {
                Vec::new()
            } else {
                self.damaged_among(stays, &mut read)?
            };
            if found.is_empty() {
                let mut removed = Vec::new();
                for one in due {
                    if self.held.remove(one)? {
                        removed.push(one.clone());
                    }
                }
                return Ok(Pruned { removed, damaged });
            }
            damaged.extend(found);
        }
    }

    /// Verifies the checkpoints that are not among those that were `read`, the newest first, and notes the damaged ones.
    fn damaged_among<'k>(
        &self,
        stays: impl DoubleEndedIterator<Item = &'k Kept>,
        read: &mut Marks,
    ) -> Result<Vec<(PathBuf, Error)>> {
        let mut damaged = Vec::new();
        for one in stays.rev() {
            if !read.insert((one.step, one.order)) {
                continue;
            }
            match self.verify(one) {
                Ok(()) => {}
                Err(error) if is_damage(&error) => {
                    self.held.note_damaged(one);
                    damaged.push((one.path.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
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
