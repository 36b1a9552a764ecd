//! One save on its way, and how it ended.

use std::any::Any;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::lock;
use crate::error::{Error, Result, panic_text};
use crate::save::SaveReport;
use crate::save::writing::Writing;
use crate::threads::calls;

/// Known to the handle that waits for it and to the Fabric that it belongs to.
#[derive(Debug)]
pub(crate) struct Flight {
    path: PathBuf,
    writing: Arc<Writing>,
    ending: Mutex<Ending>,
    /// The Fabric that it belongs to.
    fabric: u64,
}

/// How a save ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Saved(SaveReport),
    Failed {
        error: Error,
        /// Whether a subscriber of `tracing` was told.
        heard: bool,
    },
}

#[derive(Debug)]
enum Ending {
    Open(JoinHandle<Option<Outcome>>),
    /// Nobody was told yet.
    Ended(Outcome),
    /// A later call was told of the error.
    Shared(Arc<Error>),
    /// Whoever waited for it was told.
    Told,
}

impl Flight {
    /// A save that a thread carries out.
    pub(crate) fn new(path: &Path, writing: Arc<Writing>, thread: JoinHandle<Option<Outcome>>, fabric: u64) -> Self {
        Self::of(path, writing, Ending::Open(thread), fabric)
    }

    /// A save that is over.
    pub(crate) fn ended(path: &Path, writing: Arc<Writing>, outcome: Outcome, fabric: u64) -> Self {
        Self::of(path, writing, Ending::Ended(outcome), fabric)
    }

    fn of(path: &Path, writing: Arc<Writing>, ending: Ending, fabric: u64) -> Self {
        Self {
            path: path.to_path_buf(),
            writing,
            ending: Mutex::new(ending),
            fabric,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn writing(&self) -> &Writing {
        &self.writing
    }

    /// Whether this thread does something for the save, or for another call of its Fabric, and would wait for itself.
    pub(crate) fn is_waited_for_here(&self) -> bool {
        calls::is_within(self.fabric)
    }

    /// Waits until nothing more happens.
    pub(crate) fn join(&self) {
        drop(self.joined());
    }

    /// The same for whoever had a handle and gives it up: a `Fabric` in a `static` is never dropped, and may never be asked.
    pub(crate) fn give_up(&self) {
        self.joined().print_untold(&self.path);
    }

    /// Waits for the end; gives an error that nobody was told yet, and counts it as told.
    pub(crate) fn untold(&self) -> Result<()> {
        let mut ending = self.joined();
        match std::mem::replace(&mut *ending, Ending::Told) {
            Ending::Ended(Outcome::Failed { error, .. }) => {
                let error = Arc::new(error);
                *ending = Ending::Shared(Arc::clone(&error));
                Err(self.failed(error))
            }
            other => {
                *ending = other;
                Ok(())
            }
        }
    }

    /// Waits for the end, and tells it once.
    pub(crate) fn outcome(&self) -> Result<SaveReport> {
        match std::mem::replace(&mut *self.joined(), Ending::Told) {
            Ending::Ended(Outcome::Saved(report)) => Ok(report),
            Ending::Ended(Outcome::Failed { error, .. }) => Err(error),
            Ending::Shared(error) => Err(self.failed(error)),
            Ending::Open(_) | Ending::Told => Err(Error::AlreadyReturned {
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

    /// Who comes while another one waits, waits for that one.
    fn joined(&self) -> MutexGuard<'_, Ending> {
        let mut ending = lock(&self.ending);
        *ending = match std::mem::replace(&mut *ending, Ending::Told) {
            Ending::Open(thread) => Ending::Ended(match thread.join() {
                Ok(Some(outcome)) => outcome,
                Ok(None) => Error::Internal("the thread that saves had nothing to do".to_owned()).into(),
                Err(panic) => panicked(&*panic).into(),
            }),
            over => over,
        };
        ending
    }
}

impl Drop for Flight {
    /// Neither the Fabric nor a handle of the save is there any more: nobody can ask how it ended.
    fn drop(&mut self) {
        let ending = self.ending.get_mut().unwrap_or_else(PoisonError::into_inner);
        ending.print_untold(&self.path);
    }
}

impl Ending {
    /// Prints an error that no call has returned, unless a subscriber of `tracing` was told, or it was printed before.
    fn print_untold(&mut self, path: &Path) {
        let Self::Ended(Outcome::Failed { error, heard }) = self else {
            return;
        };
        if !std::mem::replace(heard, true) {
            let path = path.display();
            // A program without an open standard error has nobody to tell.
            let _ = writeln!(
                std::io::stderr(),
                "fabric-core: the save in the background to {path} failed, and nothing in the program waited for it: {error}"
            );
        }
    }
}

/// A panic as an error.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::Panicked {
        what: panic_text(panic).to_owned(),
    }
}
