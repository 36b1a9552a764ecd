//! The two threads of a save in the background; or none, where the system has none to give.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::copy::Copy;
use super::flight::{Flight, Outcome, panicked};
use super::incoming::Incoming;
use super::pack::Filled;
use crate::absolute::Absolute;
use crate::entry::Row;
use crate::error::{Error, Result};
use crate::phases::{Phase, Phases};
use crate::progress::Callback;
use crate::save::file::Contents;
use crate::save::writing::{Watched, Writing};
use crate::save::{Commit, Destination, SaveReport};
use crate::storage::Storage;
use crate::threads::Worker;

/// What a thread needs that writes a checkpoint.
pub(crate) struct Write {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) absolute: Absolute,
    pub(crate) commit: Commit,
    pub(crate) phases: Arc<Phases>,
}

/// The work of the thread that copies.
struct Copying {
    copy: Copy,
    phases: Arc<Phases>,
    bytes: u64,
    held: SyncSender<()>,
    filled: Sender<Result<Filled>>,
}

/// The work of the thread that writes.
struct Wrote {
    write: Write,
    incoming: Incoming,
    writing: Arc<Writing>,
    copying: JoinHandle<Option<()>>,
}

/// Begins a save of the Fabric `id`; returns when the state may change again.
pub(crate) fn start(copy: Copy, write: Write, progress: Option<Callback>, id: u64) -> Flight {
    let path = write.absolute.given().to_path_buf();
    let writing = Arc::new(Writing::new(&copy.rows, progress));
    let bytes = writing.meter().total();
    let memory = if bytes > 0 { copy.staging.prepare() } else { Ok(()) };
    // Both before either has its work: whatever is missing, the caller's thread has everything that it needs.
    let workers = memory.and_then(|()| {
        Ok((
            Worker::start("fabric-copy", Copying::run)?,
            Worker::start("fabric-save", Wrote::run)?,
        ))
    });
    let Ok((copier, writer)) = workers else {
        let outcome = write.run_here(&copy, &writing);
        return Flight::ended(&path, writing, outcome, id);
    };
    let lens = copy.rows.iter().map(Row::len).collect();
    let (filled, arriving) = channel();
    let (say_held, held) = sync_channel(1);
    let copying = copier.begin(Copying {
        copy,
        phases: Arc::clone(&write.phases),
        bytes,
        held: say_held,
        filled,
    });
    let thread = writer.begin(Wrote {
        write,
        incoming: Incoming::new(arriving, lens),
        writing: Arc::clone(&writing),
        copying,
    });
    // If the thread that copies has panicked instead, the one that writes fails for it, and the handle tells why.
    let _ = held.recv();
    Flight::new(&path, writing, thread, id)
}

impl Copying {
    fn run(self) {
        let Self {
            copy,
            phases,
            bytes,
            held,
            filled,
        } = self;
        phases.within(|| {
            let snapshot = phases.begin(Phase::Snapshot);
            snapshot.bytes(bytes);
            copy.run(&held, &filled);
        });
    }
}

impl Wrote {
    fn run(self) -> Outcome {
        let Self {
            write,
            incoming,
            writing,
            copying,
        } = self;
        write.finish(&writing, |write| {
            let outcome = catch_unwind(AssertUnwindSafe(|| write.write(&incoming, &writing)));
            // Whatever happened, the thread that copies ends with this: nobody takes what it copies any more.
            drop(incoming);
            let copied = copying.join();
            match (outcome, copied) {
                (Ok(Err(_)), Err(panic)) => Err(panicked(&*panic)),
                (Ok(outcome), _) => outcome,
                (Err(panic), _) => resume_unwind(panic),
            }
        })
    }
}

impl Write {
    /// Writes the state itself: it cannot change before the call returns.
    fn run_here(self, copy: &Copy, writing: &Writing) -> Outcome {
        self.finish(writing, |write| write.write(&copy.rows, writing))
    }

    /// Does `work`, and tells how it ended: of an error too, since perhaps nobody will ever wait for it.
    fn finish(self, writing: &Writing, work: impl FnOnce(Self) -> Result<SaveReport>) -> Outcome {
        let (phases, path) = (Arc::clone(&self.phases), self.absolute.given().to_path_buf());
        let outcome = catch_unwind(AssertUnwindSafe(|| phases.within(|| work(self))));
        let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
        let outcome = match outcome {
            Ok(report) => {
                phases.saved(report.bytes);
                Outcome::Saved(report)
            }
            Err(error) => Outcome::Failed {
                heard: phases.failed_in_background(&path, &error),
                error,
            },
        };
        writing.finish();
        outcome
    }

    fn write(self, contents: &dyn Contents, writing: &Writing) -> Result<SaveReport> {
        let watched = Watched { contents, writing };
        let destination = Destination {
            storage: &*self.storage,
            path: self.absolute.path()?,
            phases: &self.phases,
        };
        let outcome = (self.commit)(&destination, &watched);
        writing.meter().unwind();
        outcome.map_err(|error| self.absolute.named(error))
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Failed { error, heard: false }
    }
}
