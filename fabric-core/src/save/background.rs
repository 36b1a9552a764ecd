//! Saves in the background: holds the state still, copies it, and hands the copy to `save`.
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
//! The caller decides the save before it starts: an error about the state is returned by the call. Where ranks save together,
//! they agree there, and no rank holds guards while it waits for another rank.
//!
//! Where the system has no threads or no memory to give, the caller's thread writes the checkpoint before it returns.

mod copy;
mod device;
mod flight;
mod handle;
mod hold;
mod incoming;
mod pack;
mod saving;
mod staging;
mod start;
mod turn;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::copy::Copy;
use self::flight::Flight;
pub(crate) use self::handle::Handle;
use self::handle::Handles;
use self::hold::Locks;
pub use self::saving::Saving;
use self::staging::Staging;
use self::start::{Write, start};
use self::turn::Turn;
use super::Decided;
use crate::absolute::Absolute;
use crate::error::{Error, Result};
use crate::options::WhenBusy;
use crate::phases::Phases;
use crate::storage::Storage;

/// How much memory is used to copy into, unless said otherwise.
pub(crate) const STAGING: usize = 4 << 30;

/// A save in the background, as a call asks for it.
pub(crate) struct BackgroundSave<'r> {
    pub(crate) storage: &'r Arc<dyn Storage>,
    pub(crate) absolute: Absolute,
    pub(crate) when_busy: WhenBusy,
    /// Whether a callback is told how far the save has come.
    pub(crate) watched: bool,
    /// The number of this process, for spans.
    pub(crate) rank: usize,
    /// Whether a save is on its way on any process, if the processes have to agree on that.
    pub(crate) agree: Option<&'r Agree<'r>>,
}

/// Is told whether this process is busy, and a way to wait until the save that is starting has started; says whether any process
/// is busy.
pub(crate) type Agree<'a> = dyn Fn(bool, &dyn Fn()) -> Result<bool> + 'a;

/// The saves in the background of one Fabric and its clones: one at a time.
#[derive(Debug)]
pub(crate) struct Background {
    staging: Arc<Staging>,
    turn: Turn,
    /// The last save. Its lock is held for moments, and by nobody who waits.
    last: Mutex<Option<Arc<Flight>>>,
    handles: Mutex<Handles>,
    /// What calls of this Fabric and its clones are known by.
    id: u64,
}

impl Background {
    fn new(staging: usize, id: u64) -> Self {
        Self {
            id,
            staging: Arc::new(Staging::new(staging)),
            turn: Turn::default(),
            last: Mutex::default(),
            handles: Mutex::default(),
        }
    }

    /// Starts a save that `decide` decides, and returns when the state may change again. `decide` comes after the earlier save,
    /// and before any thread holds a tensor.
    pub(crate) fn save(
        &self,
        request: BackgroundSave<'_>,
        decide: impl FnOnce(&Phases, &Absolute) -> Result<Decided>,
    ) -> Result<Saving> {
        let path = request.absolute.given().to_path_buf();
        let on_its_way = || {
            self.last()
                .as_ref()
                .is_some_and(|flight| !flight.writing().is_finished())
        };
        let asked = request.when_busy;
        let Some(_turn) = self.turn.take(asked, &path, on_its_way, request.agree)? else {
            return self.busy(asked, &path);
        };
        let phases = Phases::of_save(&path, request.rank, true);
        let begin = || {
            let Decided { rows, progress, commit } = decide(&phases, &request.absolute)?;
            let write = Write {
                storage: Arc::clone(request.storage),
                absolute: request.absolute,
                commit,
                phases: Arc::clone(&phases),
            };
            let copy = Copy {
                locks: Locks::of(&rows),
                rows,
                staging: Arc::clone(&self.staging),
            };
            Ok(start(copy, write, progress, self.id))
        };
        let started = phases.within(begin).inspect_err(|error| phases.failed(error));
        let flight = Arc::new(started?);
        *self.last() = Some(Arc::clone(&flight));
        Ok(Saving::new(flight))
    }

    /// What a call is given that does not wait.
    fn busy(&self, asked: WhenBusy, path: &Path) -> Result<Saving> {
        if asked == WhenBusy::Skip {
            return Ok(Saving::skipped());
        }
        let last = self.last().clone();
        let on_its_way = last.filter(|flight| !flight.writing().is_finished());
        let path = match on_its_way {
            Some(flight) => flight.path().to_path_buf(),
            None => self.turn.path().unwrap_or_else(|| path.to_path_buf()),
        };
        Err(Error::Busy { path })
    }

    /// Waits for the last save.
    pub(crate) fn finish(&self) {
        let last = self.last().clone();
        if let Some(flight) = last {
            flight.join();
        }
    }

    /// Waits for the last save.
    ///
    /// # Errors
    /// If it failed, and nobody was told.
    pub(crate) fn settle(&self) -> Result<()> {
        let last = self.last().clone();
        last.map_or(Ok(()), |flight| flight.untold())
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<Flight>>> {
        lock(&self.last)
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        lock(&self.handles)
    }
}

/// Whoever panicked with the lock left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
