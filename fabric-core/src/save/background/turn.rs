//! Who may start a save: one at a time, from before it waits for the earlier save until its own is on its way.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::{Agree, lock};
use crate::error::Result;
use crate::options::WhenBusy;

/// The turn of all saves of one Fabric and its clones. A call that asks whether the turn is free does not wait for the thread
/// that has it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Held while a save starts.
    starting: Mutex<()>,
    /// Where the thread that has the turn saves to. The lock is held for moments.
    path: Mutex<Option<PathBuf>>,
}

/// The turn, until this is dropped.
pub(crate) struct Taken<'t> {
    turn: &'t Turn,
    _starting: MutexGuard<'t, ()>,
}

impl Turn {
    /// Takes the turn to save to `path`; waits for it if `asked` says so. `None` if a save is starting or `on_its_way`, and the
    /// call is not to wait; with `agree`, if that holds on any process.
    pub(crate) fn take(
        &self,
        asked: WhenBusy,
        path: &Path,
        on_its_way: impl FnOnce() -> bool,
        agree: Option<&Agree<'_>>,
    ) -> Result<Option<Taken<'_>>> {
        if asked == WhenBusy::Wait {
            return Ok(Some(self.taken(lock(&self.starting), path)));
        }
        let taken = match self.starting.try_lock() {
            Ok(starting) => Some(self.taken(starting, path)),
            Err(TryLockError::Poisoned(poisoned)) => Some(self.taken(PoisonError::into_inner(poisoned), path)),
            Err(TryLockError::WouldBlock) => None,
        };
        let mut busy = taken.is_none() || on_its_way();
        if let Some(agree) = agree {
            busy = agree(busy, &|| {
                if taken.is_none() {
                    drop(lock(&self.starting));
                }
            })?;
        }
        Ok(taken.filter(|_| !busy))
    }

    fn taken<'t>(&'t self, starting: MutexGuard<'t, ()>, path: &Path) -> Taken<'t> {
        *lock(&self.path) = Some(path.to_path_buf());
        Taken {
            turn: self,
            _starting: starting,
        }
    }

    /// Where the thread that has the turn saves to.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        lock(&self.path).clone()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.turn.path) = None;
    }
}
