//! The two threads of a save in the background, or none if the system has none left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::copy::StateCopy;
use super::in_flight::{InFlightSave, SaveOutcome, panicked};
use super::staged_reader::StagedReader;
use super::staging_writer::FilledChunk;
use crate::absolute::Absolute;
use crate::entry::Row;
use crate::error::{Error, Result};
use crate::phases::{Phase, Phases};
use crate::progress::Callback;
use crate::save::file::Contents;
use crate::save::write_progress::{ProgressContents, WriteProgress};
use crate::save::{Commit, CommitTarget, SaveReport};
use crate::storage::Storage;
use crate::threads::Worker;

/// The commit of a save, and its target.
pub(super) struct CheckpointWrite {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) absolute: Absolute,
    pub(super) commit: Commit,
    pub(super) phases: Arc<Phases>,
}

/// The work of the thread that copies.
struct CopyJob {
    copy: StateCopy,
    phases: Arc<Phases>,
    bytes: u64,
    held: SyncSender<()>,
    filled: Sender<Result<FilledChunk>>,
}

/// The work of the thread that writes.
struct WriteJob {
    write: CheckpointWrite,
    staged: StagedReader,
    write_progress: Arc<WriteProgress>,
    copying: JoinHandle<Option<()>>,
}

/// Starts a save of the Fabric `id`; returns when the state may change again.
pub(super) fn start(copy: StateCopy, write: CheckpointWrite, progress: Option<Callback>, id: u64) -> InFlightSave {
    let path = write.absolute.given().to_path_buf();
    let write_progress = Arc::new(WriteProgress::new(&copy.rows, progress));
    let bytes = write_progress.meter().total();
    let memory = if bytes > 0 { copy.staging.prepare() } else { Ok(()) };
    // Both threads start before either gets its work: if one is missing, the caller's thread still has all of the work.
    let workers = memory.and_then(|()| {
        Ok((
            Worker::start("fabric-copy", CopyJob::run)?,
            Worker::start("fabric-save", WriteJob::run)?,
        ))
    });
    let Ok((copier, writer)) = workers else {
        let outcome = write.run_on_caller(&copy, &write_progress);
        return InFlightSave::ended(&path, write_progress, outcome, id);
    };
    let lens = copy.rows.iter().map(Row::len).collect();
    let (filled, arriving) = channel();
    let (say_held, held) = sync_channel(1);
    let copying = copier.assign(CopyJob {
        copy,
        phases: Arc::clone(&write.phases),
        bytes,
        held: say_held,
        filled,
    });
    let thread = writer.assign(WriteJob {
        write,
        staged: StagedReader::new(arriving, lens),
        write_progress: Arc::clone(&write_progress),
        copying,
    });
    // If the thread that copies has panicked, the thread that writes fails, and the handle returns the error.
    let _ = held.recv();
    InFlightSave::new(&path, write_progress, thread, id)
}

impl CopyJob {
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

impl WriteJob {
    fn run(self) -> SaveOutcome {
        let Self {
            write,
            staged,
            write_progress,
            copying,
        } = self;
        write.finish(&write_progress, |write| {
            let outcome = catch_unwind(AssertUnwindSafe(|| write.write(&staged, &write_progress)));
            // Dropping the receiver ends the thread that copies.
            drop(staged);
            let copied = copying.join();
            match (outcome, copied) {
                (Ok(Err(_)), Err(panic)) => Err(panicked(&*panic)),
                (Ok(outcome), _) => outcome,
                (Err(panic), _) => resume_unwind(panic),
            }
        })
    }
}

impl CheckpointWrite {
    /// Writes the live state in the caller's thread: the state cannot change before the call returns.
    fn run_on_caller(self, copy: &StateCopy, write_progress: &WriteProgress) -> SaveOutcome {
        self.finish(write_progress, |write| write.write(&copy.rows, write_progress))
    }

    /// Runs `work` and records its outcome. An error is logged, because perhaps no call ever waits for the save.
    fn finish(self, write_progress: &WriteProgress, work: impl FnOnce(Self) -> Result<SaveReport>) -> SaveOutcome {
        let (phases, path) = (Arc::clone(&self.phases), self.absolute.given().to_path_buf());
        let outcome = catch_unwind(AssertUnwindSafe(|| phases.within(|| work(self))));
        let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
        let outcome = match outcome {
            Ok(report) => {
                phases.saved(report.bytes);
                SaveOutcome::Saved(report)
            }
            Err(error) => SaveOutcome::Failed {
                heard: phases.failed_in_background(&path, &error),
                error,
            },
        };
        write_progress.finish();
        outcome
    }

    fn write(self, contents: &dyn Contents, write_progress: &WriteProgress) -> Result<SaveReport> {
        let watched = ProgressContents {
            contents,
            write_progress,
        };
        let target = CommitTarget {
            storage: &*self.storage,
            path: self.absolute.path()?,
            phases: &self.phases,
        };
        let outcome = (self.commit)(&target, &watched);
        write_progress.meter().unwind();
        outcome.map_err(|error| self.absolute.named(error))
    }
}

impl From<Error> for SaveOutcome {
    fn from(error: Error) -> Self {
        Self::Failed { error, heard: false }
    }
}
