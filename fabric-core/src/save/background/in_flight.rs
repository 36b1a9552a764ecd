//! One save on its way, and its outcome.

use std::any::Any;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::lock;
use crate::error::{Error, Result, panic_text};
use crate::save::SaveReport;
use crate::save::write_progress::WriteProgress;
use crate::threads::calls;

/// A save in the background, shared by its handle and its Fabric.
#[derive(Debug)]
pub(super) struct InFlightSave {
    path: PathBuf,
    write_progress: Arc<WriteProgress>,
    ending: Mutex<Completion>,
    /// The number of its Fabric.
    fabric: u64,
}

/// The outcome of a save.
#[derive(Debug)]
pub(super) enum SaveOutcome {
    Saved(SaveReport),
    Failed {
        error: Error,
        /// True if a subscriber of `tracing` has received the error, or it was printed.
        heard: bool,
    },
}

#[derive(Debug)]
enum Completion {
    Running(JoinHandle<Option<SaveOutcome>>),
    /// No call has returned the outcome.
    Finished(SaveOutcome),
    /// A later call has returned the error.
    Shared(Arc<Error>),
    /// The outcome has been returned.
    Returned,
}

impl InFlightSave {
    /// A save that a thread carries out.
    pub(super) fn new(
        path: &Path,
        write_progress: Arc<WriteProgress>,
        thread: JoinHandle<Option<SaveOutcome>>,
        fabric: u64,
    ) -> Self {
        Self::of(path, write_progress, Completion::Running(thread), fabric)
    }

    /// A save that is over.
    pub(super) fn ended(path: &Path, write_progress: Arc<WriteProgress>, outcome: SaveOutcome, fabric: u64) -> Self {
        Self::of(path, write_progress, Completion::Finished(outcome), fabric)
    }

    fn of(path: &Path, write_progress: Arc<WriteProgress>, ending: Completion, fabric: u64) -> Self {
        Self {
            path: path.to_path_buf(),
            write_progress,
            ending: Mutex::new(ending),
            fabric,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write_progress(&self) -> &WriteProgress {
        &self.write_progress
    }

    /// Returns true if this thread works for the save, or for another call of its Fabric, and would wait for itself.
    pub(super) fn would_wait_for_itself(&self) -> bool {
        calls::is_within(self.fabric)
    }

    /// Waits until the save has ended.
    pub(super) fn join(&self) {
        drop(self.joined());
    }

    /// Waits until the save has ended, and prints an error that no call has returned: a `Fabric` in a `static` is never
    /// dropped, and may never be asked.
    pub(super) fn join_and_print(&self) {
        self.joined().print_unreported(&self.path);
    }

    /// Waits until the save has ended, and returns an error that no call has returned yet.
    pub(super) fn unreported(&self) -> Result<()> {
        let mut ending = self.joined();
        match std::mem::replace(&mut *ending, Completion::Returned) {
            Completion::Finished(SaveOutcome::Failed { error, .. }) => {
                let error = Arc::new(error);
                *ending = Completion::Shared(Arc::clone(&error));
                Err(self.failed(error))
            }
            other => {
                *ending = other;
                Ok(())
            }
        }
    }

    /// Waits until the save has ended, and returns its outcome once.
    pub(super) fn outcome(&self) -> Result<SaveReport> {
        match std::mem::replace(&mut *self.joined(), Completion::Returned) {
            Completion::Finished(SaveOutcome::Saved(report)) => Ok(report),
            Completion::Finished(SaveOutcome::Failed { error, .. }) => Err(error),
            Completion::Shared(error) => Err(self.failed(error)),
            Completion::Running(_) | Completion::Returned => Err(Error::AlreadyReturned {
                path: self.path.clone(),
            }),
        }
    }

    fn failed(&self, source: Arc<Error>) -> Error {
        Error::Background {
            path: self.path.clone(),
            source,
        }
    }

    /// Joins the thread of the save. A second caller waits for the first.
    fn joined(&self) -> MutexGuard<'_, Completion> {
        let mut ending = lock(&self.ending);
        *ending = match std::mem::replace(&mut *ending, Completion::Returned) {
            Completion::Running(thread) => Completion::Finished(match thread.join() {
                Ok(Some(outcome)) => outcome,
                Ok(None) => Error::Internal("the thread that saves had nothing to do".to_owned()).into(),
                Err(panic) => panicked(&*panic).into(),
            }),
            over => over,
        };
        ending
    }
}

impl Drop for InFlightSave {
    /// The Fabric and the handle of the save are gone: no call can return the outcome.
    fn drop(&mut self) {
        let ending = self.ending.get_mut().unwrap_or_else(PoisonError::into_inner);
        ending.print_unreported(&self.path);
    }
}

impl Completion {
    /// Prints an error that no call has returned, unless a subscriber of `tracing` has received it, or it was printed
    /// before.
    fn print_unreported(&mut self, path: &Path) {
        let Self::Finished(SaveOutcome::Failed { error, heard }) = self else {
            return;
        };
        if !std::mem::replace(heard, true) {
            let path = path.display();
            // A program may have closed its standard error.
            let _ = writeln!(
                std::io::stderr(),
                "fabric-core: the save in the background to {path} failed, and nothing in the program waited for it: {error}"
            );
        }
    }
}

/// A panic as an error.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::Panicked {
        what: panic_text(panic).to_owned(),
    }
}
