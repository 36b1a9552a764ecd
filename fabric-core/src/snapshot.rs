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

mod copy;
mod device;
mod flight;
mod hold;
mod incoming;
mod pack;
mod saving;
mod staging;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use self::copy::Copy;
use self::flight::{Flight, panicked};
use self::hold::Locks;
use self::incoming::Incoming;
pub use self::saving::Saving;
use self::staging::Staging;
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::format::safetensors::Layout;
use crate::options::{SaveOptions, WhenBusy};
use crate::phases::{Phase, Phases};
use crate::ranks::Ranks;
use crate::save::image::Piece;
use crate::save::writing::{Watched, Writing};
use crate::save::{Decided, SaveReport, decide};
use crate::state::Checkpoint;
use crate::storage::Storage;

/// How much memory is used to copy into, unless said otherwise.
pub(crate) const STAGING: usize = 4 << 30;

/// The saves in the background of one Fabric and its clones: one at a time.
#[derive(Debug)]
pub(crate) struct Background {
    staging: Arc<Staging>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last save.
    flight: Option<Arc<Flight>>,
    /// The ranks, with a channel of their own.
    ranks: Option<Arc<Ranks>>,
}

impl Background {
    pub(crate) fn new(staging: usize) -> Self {
        Self {
            staging: Arc::new(Staging::new(staging)),
            state: Mutex::default(),
        }
    }

    /// Starts a save, and returns when the state may change again.
    pub(crate) fn save<S: Checkpoint + ?Sized>(
        &self,
        ranks: &Ranks,
        storage: &Arc<dyn Storage>,
        path: &Path,
        state: &S,
        options: SaveOptions,
    ) -> Result<Saving> {
        let mut own = self.lock();
        let asked = options.when_busy;
        if asked != WhenBusy::Wait && own.is_busy(ranks)? {
            let path = own.flight.as_ref().map_or(path, |flight| flight.path());
            return match asked {
                WhenBusy::Skip => Ok(Saving::skipped()),
                _ => Err(Error::Busy {
                    path: path.to_path_buf(),
                }),
            };
        }
        let phases = Phases::of_save(path, ranks.rank(), true);
        let start = || {
            let (decided, parts) = decide(&phases, ranks, path, state, options, || own.settle())?;
            let order = order(decided.pieces());
            let write = Write {
                ranks: own.duplicate(ranks)?,
                storage: Arc::clone(storage),
                path: path.to_path_buf(),
                decided,
                phases: Arc::clone(&phases),
            };
            let copy = Copy {
                locks: Locks::of(&parts),
                parts,
                order,
                staging: Arc::clone(&self.staging),
            };
            start(copy, write)
        };
        let started = phases.within(start).inspect_err(|error| phases.failed(error));
        let flight = Arc::new(started?);
        own.flight = Some(Arc::clone(&flight));
        Ok(Saving::new(flight))
    }

    /// Waits for the last save.
    pub(crate) fn finish(&self) {
        if let Some(flight) = &self.lock().flight {
            flight.join();
        }
    }

    /// Waits for the last save.
    ///
    /// # Errors
    /// If it failed, and nobody was told.
    pub(crate) fn settle(&self) -> Result<()> {
        self.lock().settle()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.finish();
    }
}

impl State {
    fn settle(&self) -> Result<()> {
        self.flight.as_ref().map_or(Ok(()), |flight| flight.untold())
    }

    /// Whether the last save is on its way on any rank: they all do the same then.
    fn is_busy(&self, ranks: &Ranks) -> Result<bool> {
        let busy = self
            .flight
            .as_ref()
            .is_some_and(|flight| !flight.writing().is_finished());
        let ((), said) = ranks.step("save: busy", || Ok(((), vec![u8::from(busy)])))?;
        Ok(said.iter().any(|said| said.first() == Some(&1)))
    }

    /// A step of all ranks, the first time.
    fn duplicate(&mut self, ranks: &Ranks) -> Result<Arc<Ranks>> {
        let own = match self.ranks.take() {
            Some(own) => own,
            None => Arc::new(ranks.duplicate()?),
        };
        Ok(Arc::clone(self.ranks.insert(own)))
    }
}

/// The pieces in the order of their bytes in a file, with their lengths.
fn order(pieces: &[Piece]) -> Vec<(usize, usize)> {
    let infos: Vec<TensorInfo> = pieces.iter().map(Piece::info).collect();
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by(|&a, &b| Layout::compare((&pieces[a].name, &infos[a]), (&pieces[b].name, &infos[b])));
    let len = |at: usize| infos[at].byte_len().unwrap_or_default();
    order.into_iter().map(|at| (at, len(at))).collect()
}

/// What a thread needs that writes a checkpoint.
struct Write {
    ranks: Arc<Ranks>,
    storage: Arc<dyn Storage>,
    path: PathBuf,
    decided: Decided,
    phases: Arc<Phases>,
}

/// Starts both threads; returns when every guard is held.
fn start(copy: Copy, mut write: Write) -> Result<Flight> {
    let path = write.path.clone();
    let no_thread = |error| Error::io("start a thread to save", &path)(error);
    let mut lens = vec![0; copy.order.len()];
    for &(at, len) in &copy.order {
        lens[at] = len;
    }
    let writing = Arc::new(write.decided.watch());
    let (filled, arriving) = channel();
    let (say_held, held) = sync_channel(1);
    let incoming = Incoming::new(arriving, lens);
    let phases = Arc::clone(&write.phases);
    let bytes = writing.meter().total();
    let copying = thread::Builder::new()
        .name("fabric-copy".to_owned())
        .spawn(move || {
            phases.within(|| {
                let snapshot = phases.begin(Phase::Snapshot);
                snapshot.bytes(bytes);
                copy.run(&say_held, &filled);
            });
        })
        .map_err(no_thread)?;
    let written = Arc::clone(&writing);
    let thread = thread::Builder::new()
        .name("fabric-save".to_owned())
        .spawn(move || {
            let (phases, path) = (Arc::clone(&write.phases), write.path.clone());
            let work = || phases.within(|| write.run(incoming, &written, copying));
            let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)));
            // Of an error too, now: perhaps nobody will ever wait for it.
            let outcome = outcome
                .inspect(|report| phases.saved(report.bytes))
                .inspect_err(|error| phases.failed_in_background(&path, error));
            written.finish();
            outcome
        })
        .map_err(no_thread)?;
    // If the thread that copies has panicked instead, the one that writes fails for it, and the handle tells why.
    let _ = held.recv();
    Ok(Flight::new(&path, writing, thread))
}

impl Write {
    fn run(self, incoming: Incoming, writing: &Writing, copying: JoinHandle<()>) -> Result<SaveReport> {
        let Self {
            ranks,
            storage,
            path,
            decided,
            ..
        } = self;
        let write = || {
            let watched = Watched {
                contents: &incoming,
                writing,
            };
            let outcome = decided.write(&ranks, &*storage, &path, &watched);
            writing.meter().unwind();
            outcome
        };
        let outcome = catch_unwind(AssertUnwindSafe(write));
        // Whatever happened, the thread that copies ends with this: nobody takes what it copies any more.
        drop(incoming);
        let copied = copying.join();
        match (outcome, copied) {
            (Ok(Err(_)), Err(panic)) => Err(panicked(&*panic)),
            (Ok(outcome), _) => outcome,
            (Err(panic), _) => resume_unwind(panic),
        }
    }
}
