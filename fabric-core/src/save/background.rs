//! Saves in the background: takes read guards on the state, copies it, and hands the copy to `save`.
//!
//! ```text
//!  the caller's thread     the thread that copies            the thread that writes
//!  decide
//!  start both ------------> take every guard
//!  return <---------------- say so
//!                           copy, release guards, one
//!                           chunk after the other ---------> write them as they come
//!                                                            commit
//! ```
//!
//! The caller's thread decides the save before the threads start, so the call returns errors about the state. The ranks
//! of a save agree there too, and no rank holds guards while it waits for another rank.
//!
//! If the system has no threads or no memory left, the caller's thread writes the checkpoint before it returns.

mod copy;
mod device;
mod handle;
mod in_flight;
mod read_guards;
mod saving;
mod staged_reader;
mod staging;
mod staging_writer;
mod start;
mod start_permit;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::copy::StateCopy;
pub(crate) use self::handle::BackgroundHandle;
use self::handle::HandleRegistry;
use self::in_flight::InFlightSave;
use self::read_guards::StorageLocks;
pub use self::saving::Saving;
use self::staging::Staging;
use self::start::{CheckpointWrite, start};
use self::start_permit::StartPermit;
use super::Decided;
use crate::absolute::Absolute;
use crate::error::{Error, Result};
use crate::options::WhenBusy;
use crate::phases::Phases;
use crate::storage::Storage;

/// The default size of the staging memory in bytes.
pub(crate) const STAGING: usize = 4 << 30;

/// The request of a call for a save in the background.
pub(crate) struct BackgroundSave<'r> {
    pub(crate) storage: &'r Arc<dyn Storage>,
    pub(crate) absolute: Absolute,
    pub(crate) when_busy: WhenBusy,
    /// True if the call has a progress callback.
    pub(crate) watched: bool,
    /// The rank of this process, for spans.
    pub(crate) rank: usize,
    /// Answers whether a save is on its way on any rank; `None` for a save of one process.
    pub(crate) agree: Option<&'r Agree<'r>>,
}

/// Takes whether a save is on its way on this rank, and a function that waits until a save that is starting has
/// started. Returns whether a save is on its way on any rank.
pub(crate) type Agree<'a> = dyn Fn(bool, &dyn Fn()) -> Result<bool> + 'a;

/// The saves in the background of one Fabric and its clones: one at a time.
#[derive(Debug)]
pub(crate) struct Background {
    staging: Arc<Staging>,
    permit: StartPermit,
    /// The last save. No thread waits while it holds this lock.
    last: Mutex<Option<Arc<InFlightSave>>>,
    handles: Mutex<HandleRegistry>,
    /// The number by which calls of this Fabric and its clones are known.
    id: u64,
}

impl Background {
    fn new(staging: usize, id: u64) -> Self {
        Self {
            id,
            staging: Arc::new(Staging::new(staging)),
            permit: StartPermit::default(),
            last: Mutex::default(),
            handles: Mutex::default(),
        }
    }

    /// Starts a save that `decide` decides, and returns as soon as the state may change again. `decide` runs after the
    /// earlier save has ended, and before any guard is held.
    pub(crate) fn save(
        &self,
        request: BackgroundSave<'_>,
        decide: impl FnOnce(&Phases, &Absolute) -> Result<Decided>,
    ) -> Result<Saving> {
        let path = request.absolute.given().to_path_buf();
        let on_its_way = || {
            self.last()
                .as_ref()
                .is_some_and(|in_flight| !in_flight.write_progress().is_finished())
        };
        let asked = request.when_busy;
        let Some(_permit) = self.permit.take(asked, &path, on_its_way, request.agree)? else {
            return self.busy(asked, &path);
        };
        let phases = Phases::of_save(&path, request.rank, true);
        let begin = || {
            let Decided { rows, progress, commit } = decide(&phases, &request.absolute)?;
            let write = CheckpointWrite {
                storage: Arc::clone(request.storage),
                absolute: request.absolute,
                commit,
                phases: Arc::clone(&phases),
            };
            let copy = StateCopy {
                locks: StorageLocks::of(&rows),
                rows,
                staging: Arc::clone(&self.staging),
            };
            Ok(start(copy, write, progress, self.id))
        };
        let started = phases.within(begin).inspect_err(|error| phases.failed(error));
        let in_flight = Arc::new(started?);
        *self.last() = Some(Arc::clone(&in_flight));
        Ok(Saving::new(in_flight))
    }

    /// Returns true while the last save is on its way.
    fn is_busy(&self) -> bool {
        let last = self.last();
        last.as_ref()
            .is_some_and(|in_flight| !in_flight.write_progress().is_finished())
    }

    /// The result of a call that does not wait for the save on its way.
    fn busy(&self, asked: WhenBusy, path: &Path) -> Result<Saving> {
        if asked == WhenBusy::Skip {
            return Ok(Saving::skipped());
        }
        let last = self.last().clone();
        let on_its_way = last.filter(|in_flight| !in_flight.write_progress().is_finished());
        let path = match on_its_way {
            Some(in_flight) => in_flight.path().to_path_buf(),
            None => self.permit.path().unwrap_or_else(|| path.to_path_buf()),
        };
        Err(Error::Busy { path })
    }

    /// Waits for the last save.
    pub(crate) fn join_last(&self) {
        let last = self.last().clone();
        if let Some(in_flight) = last {
            in_flight.join();
        }
    }

    /// Waits for the last save.
    ///
    /// # Errors
    /// If it failed, and no call has returned its error.
    pub(crate) fn wait_for_last(&self) -> Result<()> {
        let last = self.last().clone();
        last.map_or(Ok(()), |in_flight| in_flight.unreported())
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<InFlightSave>>> {
        lock(&self.last)
    }

    fn handles(&self) -> MutexGuard<'_, HandleRegistry> {
        lock(&self.handles)
    }
}

/// Ignores the poison of a mutex: no code that may panic runs under one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
