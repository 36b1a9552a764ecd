//! One save on its way, and how it ended.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, Result, panic_text};
use crate::save::SaveReport;
use crate::save::writing::Writing;

/// Known to the handle that waits for it and to the Fabric that it belongs to.
#[derive(Debug)]
pub(super) struct Flight {
    path: PathBuf,
    writing: Arc<Writing>,
    ending: Mutex<Ending>,
}

#[derive(Debug)]
enum Ending {
    Open(JoinHandle<Result<SaveReport>>),
    Saved(SaveReport),
    /// Nobody was told yet.
    Failed(Error),
    /// A later save was told.
    Shared(Arc<Error>),
    /// Whoever waited for it was told.
    Told,
}

impl Flight {
    pub(super) fn new(path: &Path, writing: Arc<Writing>, thread: JoinHandle<Result<SaveReport>>) -> Self {
        Self {
            path: path.to_path_buf(),
            writing,
            ending: Mutex::new(Ending::Open(thread)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn writing(&self) -> &Writing {
        &self.writing
    }

    /// Waits until nothing more happens.
    pub(super) fn join(&self) {
        drop(self.joined());
    }

    /// Waits for the end; gives an error that nobody was told yet, and counts it as told.
    pub(super) fn untold(&self) -> Result<()> {
        let mut ending = self.joined();
        match std::mem::replace(&mut *ending, Ending::Told) {
            Ending::Failed(error) => {
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
    pub(super) fn outcome(&self) -> Result<SaveReport> {
        match std::mem::replace(&mut *self.joined(), Ending::Told) {
            Ending::Saved(report) => Ok(report),
            Ending::Failed(error) => Err(error),
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
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        *ending = match std::mem::replace(&mut *ending, Ending::Told) {
            Ending::Open(thread) => match thread.join() {
                Ok(Ok(report)) => Ending::Saved(report),
                Ok(Err(error)) => Ending::Failed(error),
                Err(panic) => Ending::Failed(panicked(&*panic)),
            },
            over => over,
        };
        ending
    }
}

/// A panic as an error.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::Panicked {
        what: panic_text(panic).to_owned(),
    }
}
