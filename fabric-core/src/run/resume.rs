//! Resuming a run from the newest checkpoint that is whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::Run;
use super::every::Last;
use super::found::{Damaged, Found, Kept, is_damage};
use crate::error::{Error, Result};
use crate::load::Loaded;
use crate::load::migrated::may_keep;
use crate::load::raw::RawCheckpoint;
use crate::options::{LoadOptions, OnMismatch};
use crate::report::LoadReport;
use crate::state::Checkpoint;

/// The checkpoint that a run was resumed from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resumed {
    /// The step that it was saved at.
    pub step: u64,
    /// Its path.
    pub path: PathBuf,
    /// The metrics that it was saved with.
    pub metrics: BTreeMap<String, f64>,
    /// The findings of the load.
    pub report: LoadReport,
    /// The entries that the state has no component for.
    pub remainder: RawCheckpoint,
    /// The newer checkpoints that are damaged, the newest first, each with the error of reading it.
    pub skipped: Vec<(PathBuf, Error)>,
}

/// Damaged checkpoints, each with the error of reading it.
type Skipped = Vec<(PathBuf, Error)>;

/// The outcome of a rank's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Restored = 0,
    /// Another rank has failed.
    Elsewhere = 1,
    Damaged = 2,
    Failed = 3,
}

impl Run {
    /// Restores a state from the newest checkpoint that is whole; `None` if the run has no checkpoint yet.
    ///
    /// Each byte is read once. If the newest checkpoint turns out to be damaged while it is read, the next one is read over it.
    /// A checkpoint with no other one behind it is verified before the state is touched.
    ///
    /// # Errors
    /// [`Error::NoneWhole`] if there are checkpoints and all are damaged; [`Error::Mismatch`] with the findings of the newest one
    /// if it does not match the state; as [`Fabric::load`](crate::Fabric::load) for all that is no damage: a missing permission,
    /// a newer format, a failing device.
    pub fn resume<S: Checkpoint + ?Sized>(&mut self, state: &mut S) -> Result<Option<Resumed>> {
        self.resume_with(state, LoadOptions::new())
    }

    /// Restores a state as [`resume`](Self::resume) does, with the options of a load. With options or recipes that may leave entries
    /// as they are (`strict(false)`, [`OnMismatch::Skip`], [`OnMismatch::Overlap`], [`keep`](crate::Migrations::keep)), each checkpoint is verified before the state is touched.
    ///
    /// # Errors
    /// As [`resume`](Self::resume); if an option names a component that the state does not have.
    #[expect(clippy::needless_pass_by_value, reason = "every call takes its options by value")]
    pub fn resume_with<S: Checkpoint + ?Sized>(
        &mut self,
        state: &mut S,
        options: LoadOptions,
    ) -> Result<Option<Resumed>> {
        let (candidates, damaged) = self.candidates()?;
        let mut skipped: Skipped = Vec::new();
        let is_partial =
            !options.strict || options.on_mismatch != OnMismatch::Refuse || may_keep(state, &options.recipe);
        let count = candidates.len();
        for (at, kept) in candidates.into_iter().enumerate() {
            let verifies = options.verify_first || is_partial || at + 1 == count;
            let options = options.clone().verify_first(verifies);
            let loaded = self.fabric.load_with(&kept.path, state, options);
            // A damaged checkpoint may have left entries in the state; a later refusal does not leave the state unchanged then.
            let is_touched = skipped
                .iter()
                .any(|(_, error)| matches!(error, Error::Interrupted { .. }));
            let agreed = match self.agree(loaded) {
                Err(error) if is_touched => {
                    skipped.push((kept.path, error));
                    break;
                }
                agreed => agreed?,
            };
            match agreed {
                Ok(Loaded { report, remainder, .. }) => {
                    self.last = Last {
                        step: kept.step,
                        at: Instant::now(),
                    };
                    let newer = damaged
                        .into_iter()
                        .filter(|one| one.order.is_none_or(|order| order > kept.order));
                    skipped.extend(newer.map(|one| (one.path, one.error)));
                    return Ok(Some(Resumed {
                        step: kept.step,
                        path: kept.path,
                        metrics: kept.metrics,
                        report,
                        remainder,
                        skipped,
                    }));
                }
                Err(error) => {
                    self.held.note_damaged(&kept);
                    skipped.push((kept.path, error));
                }
            }
        }
        skipped.extend(damaged.into_iter().map(|one| (one.path, one.error)));
        if skipped.is_empty() {
            return Ok(None);
        }
        Err(Error::NoneWhole {
            directory: self.held.directory.clone(),
            damaged: skipped,
        })
    }

    /// The checkpoints that may be whole, the newest first, and those that are known to be damaged. All ranks take the order of
    /// rank 0.
    fn candidates(&self) -> Result<(Vec<Kept>, Vec<Damaged>)> {
        let find = || {
            self.fabric.wait()?;
            self.held.found()
        };
        let Found { mut whole, damaged, .. } = match self.fabric.loading_ranks() {
            None => find()?,
            Some(ranks) => {
                let find = || {
                    let found = find()?;
                    let steps = found.whole.iter().flat_map(|kept| kept.step.to_le_bytes()).collect();
                    Ok((found, steps))
                };
                let (mut found, said) = ranks.step("run: list", find)?;
                let (steps, _) = said[0].as_chunks::<8>();
                let place = |kept: &Kept| steps.iter().position(|step| u64::from_le_bytes(*step) == kept.step);
                found.whole.retain(|kept| place(kept).is_some());
                found.whole.sort_by_key(place);
                found
            }
        };
        whole.reverse();
        Ok((whole, damaged.into_iter().rev().collect()))
    }

    /// Agrees about the loads of all ranks: restored, damaged on one of them, or an error that is no damage.
    fn agree(&self, loaded: Result<Loaded>) -> Result<Result<Loaded>> {
        let outcome = match &loaded {
            Ok(_) => Outcome::Restored,
            Err(Error::Rank { .. }) => Outcome::Elsewhere,
            Err(error) if is_damage(error) => Outcome::Damaged,
            Err(_) => Outcome::Failed,
        };
        let worst = match self.fabric.loading_ranks() {
            None => outcome as u8,
            // A group that does not come together has failed already.
            Some(_) if matches!(loaded, Err(Error::Group(_))) => Outcome::Failed as u8,
            Some(ranks) => {
                let ((), said) = ranks.step("run: resume", || Ok(((), vec![outcome as u8])))?;
                said.iter()
                    .filter_map(|said| said.first().copied())
                    .max()
                    .unwrap_or_default()
            }
        };
        let is_damaged = worst == Outcome::Damaged as u8;
        match loaded {
            Err(error) if !is_damaged => Err(error),
            Ok(_) if is_damaged => Ok(Err(Error::Internal("ranks disagree about a load".to_owned()))),
            loaded => Ok(loaded),
        }
    }
}
