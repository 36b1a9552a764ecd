//! Saves in the background: holds the state still, copies it, and hands the copy to `save`.
//!
//! ```text
//!  the caller's thread     the thread that copies            the thread that writes
//!  plan, agree with ranks
//!  start both ------------> take every guard
//!  return <---------------- say so
//!                           copy, release guards, one
//!                           chunk after the other ---------> write them as they come
//!                                                            commit, with the other ranks
//! ```
//!
//! What the ranks have to decide together, they decide in the call, over their own group: whatever is wrong with a state is
//! said there, on all ranks, and no rank holds guards while it waits for another one to come. What follows runs over a
//! duplicate of the group, so that its steps do not mix with those of the caller's thread.
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
use crate::absolute::Absolute;
use crate::dist::ranks::Ranks;
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::format::safetensors::Layout;
use crate::options::{SaveOptions, WhenBusy};
use crate::phases::Phases;
use crate::save::decide;
use crate::save::image::Piece;
use crate::state::Checkpoint;
use crate::storage::Storage;

/// How much memory is used to copy into, unless said otherwise.
pub(crate) const STAGING: usize = 4 << 30;

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

    /// Starts a save, and returns when the state may change again.
    pub(crate) fn save<S: Checkpoint + ?Sized>(
        &self,
        ranks: &Ranks,
        storage: &Arc<dyn Storage>,
        absolute: Absolute,
        state: &S,
        options: SaveOptions,
    ) -> Result<Saving> {
        let path = absolute.given().to_path_buf();
        let asked = options.when_busy;
        let on_its_way = || {
            self.last()
                .as_ref()
                .is_some_and(|flight| !flight.writing().is_finished())
        };
        let Some(mut turn) = self.turn.take(ranks, asked, &path, on_its_way)? else {
            return self.busy(asked, &path);
        };
        let phases = Phases::of_save(&path, ranks.rank(), true);
        let begin = || {
            let (decided, parts) = decide(&phases, ranks, &absolute, state, options, || self.settle())?;
            let order = order(decided.pieces());
            let write = Write {
                ranks: turn.channel(ranks)?,
                storage: Arc::clone(storage),
                absolute,
                decided,
                phases: Arc::clone(&phases),
            };
            let copy = Copy {
                locks: Locks::of(&parts),
                parts,
                order,
                staging: Arc::clone(&self.staging),
            };
            Ok(start(copy, write, self.id))
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

/// The pieces in the order of their bytes in a file, with their lengths.
fn order(pieces: &[Piece]) -> Vec<(usize, usize)> {
    let infos: Vec<TensorInfo> = pieces.iter().map(Piece::info).collect();
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by(|&a, &b| Layout::compare((&pieces[a].name, &infos[a]), (&pieces[b].name, &infos[b])));
    let len = |at: usize| infos[at].byte_len().unwrap_or_default();
    order.into_iter().map(|at| (at, len(at))).collect()
}
