//! The end of each save of a run: the checkpoints that no rule keeps are removed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::found::{Found, Kept, LookedAt, is_damage, look};
use super::keep::Keep;
use super::lock::RunLock;
use super::log;
use crate::error::{Error, Result};
use crate::format::facts::Marks;
use crate::save::removal;
use crate::storage::Storage;

/// The directory of an open run, which the training's thread shares with the thread that saves.
#[derive(Debug)]
pub(super) struct RunDirectory {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) directory: PathBuf,
    pub(super) keep: Keep,
    pub(super) logs: bool,
    /// Checkpoints that a resume of this process found damaged. They count for no rule, and are not removed.
    damaged: Mutex<Marks>,
    /// The checkpoints that this run has seen, by their steps. A list of names shows which of them are still there.
    known: Mutex<BTreeMap<u64, Kept>>,
    /// Only rank 0 holds it.
    _lock: Option<RunLock>,
}

impl RunDirectory {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        directory: PathBuf,
        keep: Keep,
        logs: bool,
        lock: Option<RunLock>,
    ) -> Self {
        Self {
            storage,
            directory,
            keep,
            logs,
            damaged: Mutex::default(),
            known: Mutex::default(),
            _lock: lock,
        }
    }

    /// The checkpoints in the directory, without those that a resume found damaged. Every head is read.
    ///
    /// # Errors
    /// As [`Found::within`].
    pub(super) fn found(&self) -> Result<Found> {
        self.known().clear();
        self.found_by_name()
    }

    /// The checkpoints in the directory, as this run has seen them: the heads of new names are read.
    ///
    /// # Errors
    /// As [`Found::within`].
    pub(super) fn found_by_name(&self) -> Result<Found> {
        let mut known = self.known();
        let mut found = Found::within(&*self.storage, &self.directory, &known)?;
        *known = found.whole.iter().map(|one| (one.step, one.clone())).collect();
        found.take_out(&self.damaged());
        Ok(found)
    }

    pub(super) fn note_damaged(&self, one: &Kept) {
        self.damaged().insert((one.step, one.order));
    }

    /// Forgets the checkpoint of a step, which a save replaces.
    pub(super) fn forget(&self, step: u64) {
        self.known().remove(&step);
    }

    /// Removes the checkpoints that no rule keeps, and logs the metrics, now that the checkpoint of `step` is durable.
    ///
    /// # Errors
    /// [`Error::Retention`]: the checkpoint itself is saved.
    pub(super) fn saved(&self, step: u64) -> Result<()> {
        let outcome = self.log_and_remove(step);
        outcome.map_err(|source| Error::Retention {
            step,
            source: Box::new(source),
        })
    }

    fn log_and_remove(&self, step: u64) -> Result<()> {
        self.forget(step);
        let found = self.found_by_name()?;
        if self.logs
            && let Some(saved) = found.whole.iter().find(|one| one.step == step)
        {
            log::append(&*self.storage, &self.directory, saved)?;
        }
        for one in self.due_to_go(&found.whole) {
            self.remove(one)?;
        }
        Ok(())
    }

    /// Removes a checkpoint, unless another program has replaced it since this run has seen it. Returns true if it is gone.
    pub(super) fn remove(&self, one: &Kept) -> Result<bool> {
        match look(&*self.storage, one.step, &one.path) {
            Ok(LookedAt::Kept(now)) if now.order == one.order => removal::remove(&*self.storage, &one.path),
            Err(error) if !is_damage(&error) => Err(error),
            _ => {
                self.forget(one.step);
                Ok(false)
            }
        }
    }

    /// The checkpoints that no rule keeps, the oldest first.
    pub(super) fn due_to_go<'k>(&self, kept: &'k [Kept]) -> Vec<&'k Kept> {
        let reasons = self.keep.reasons(kept, SystemTime::now());
        kept.iter().filter(|one| !reasons.contains_key(&one.step)).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Kept>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread that panicked with the lock left nothing half done.
    fn damaged(&self) -> MutexGuard<'_, Marks> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
