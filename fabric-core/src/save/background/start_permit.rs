//! The permit to start a save: one call at a time has it, from before it waits for the earlier save until its own save
//! has started.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::{Agree, lock};
use crate::error::Result;
use crate::options::WhenBusy;

/// The permit of one Fabric and its clones. A call that asks whether the permit is free does not wait for the thread
/// that has it.
#[derive(Debug, Default)]
pub(super) struct StartPermit {
    /// Held while a save starts.
    starting: Mutex<()>,
    /// The path to which the thread with the permit saves. No thread waits while it holds this lock.
    path: Mutex<Option<PathBuf>>,
}

/// The permit, until this is dropped.
pub(super) struct HeldPermit<'t> {
    permit: &'t StartPermit,
    _starting: MutexGuard<'t, ()>,
}

impl StartPermit {
    /// Takes the permit for a save to `path`; waits for it if `asked` says so. `None` if a save is starting or
    /// `on_its_way`, and the call does not wait; with `agree`, if that holds on any rank.
    pub(super) fn take(
        &self,
        asked: WhenBusy,
        path: &Path,
        on_its_way: impl FnOnce() -> bool,
        agree: Option<&Agree<'_>>,
    ) -> Result<Option<HeldPermit<'_>>> {
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

    fn taken<'t>(&'t self, starting: MutexGuard<'t, ()>, path: &Path) -> HeldPermit<'t> {
        *lock(&self.path) = Some(path.to_path_buf());
        HeldPermit {
            permit: self,
            _starting: starting,
        }
    }

    /// The path to which the thread with the permit saves.
    pub(super) fn path(&self) -> Option<PathBuf> {
        lock(&self.path).clone()
    }
}

impl Drop for HeldPermit<'_> {
    fn drop(&mut self) {
        *lock(&self.permit.path) = None;
    }
}
