//! Keeps few of a checkpoint's many files open, and reopens the others when they are read.
//!
//! A process may usually have 1024 files open, and ranks that are threads share this number. A reader does not see that
//! its file was closed: the reader keeps the file's length, and a read opens the path again. If another file has the
//! path by then, the read is an error.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::storage::{ReadFile, Storage};

/// The number of files of one checkpoint that stay open. Each reading thread may have one more.
pub(super) const MOST_OPEN: usize = 64;

/// Opens the files of one checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct OpenFiles(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    storage: Arc<dyn Storage>,
    /// The open files, in the order in which [`Shared::admit`] checks them.
    open: Mutex<VecDeque<Weak<FileState>>>,
}

/// One file, open or closed.
#[derive(Debug)]
struct FileState {
    path: PathBuf,
    first: Look,
    file: Mutex<Option<Arc<dyn ReadFile>>>,
    /// The file was read since it was opened, or since [`Shared::admit`] last checked it.
    used: AtomicBool,
}

/// The properties that identify a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    len: u64,
    identity: Option<[u64; 4]>,
}

impl Look {
    fn at(file: &dyn ReadFile) -> io::Result<Self> {
        Ok(Self {
            len: file.len()?,
            identity: file.identity()?,
        })
    }
}

impl OpenFiles {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self(Arc::new(Shared {
            storage,
            open: Mutex::default(),
        }))
    }

    /// Opens a file. It may be closed and reopened between two reads.
    ///
    /// # Errors
    /// As [`Storage::open`]. A read fails if the file must be reopened and has disappeared or changed.
    pub(crate) fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file: Arc<dyn ReadFile> = self.0.storage.open(path)?.into();
        let slot = Arc::new(FileState {
            path: path.to_path_buf(),
            first: Look::at(&*file)?,
            file: Mutex::new(Some(file)),
            used: AtomicBool::new(false),
        });
        self.0.admit(&slot);
        Ok(Box::new(ReopeningFile {
            slot,
            files: self.0.clone(),
        }))
    }
}

impl Shared {
    /// Adds a file that was just opened, and closes files above the limit. The least recently opened file that has not
    /// been read since the last pass is closed.
    fn admit(&self, slot: &Arc<FileState>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while open.len() >= MOST_OPEN
            && let Some(first) = open.pop_front()
        {
            let Some(other) = first.upgrade() else { continue };
            if other.used.swap(false, Ordering::Relaxed) {
                open.push_back(first);
            } else {
                other.lock().take();
            }
        }
        open.push_back(Arc::downgrade(slot));
    }
}

impl FileState {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn ReadFile>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_again(&self, storage: &dyn Storage) -> io::Result<Arc<dyn ReadFile>> {
        let file = storage.open(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let what = "it was there when the checkpoint was opened, and is gone; a newer save may have replaced the \
                            checkpoint: open it again";
                io::Error::new(error.kind(), what)
            }
            _ => error,
        })?;
        let now = Look::at(&*file)?;
        if now == self.first {
            return Ok(file.into());
        }
        let difference = if now.len == self.first.len {
            "was written to, or replaced by another,".to_owned()
        } else {
            format!("had {} bytes, and has {}", self.first.len, now.len)
        };
        Err(io::Error::other(format!(
            "it {difference} since the checkpoint was opened: open it again"
        )))
    }
}

/// A file that is opened when it is read.
#[derive(Debug)]
struct ReopeningFile {
    slot: Arc<FileState>,
    files: Arc<Shared>,
}

impl ReopeningFile {
    fn file(&self) -> io::Result<Arc<dyn ReadFile>> {
        if let Some(file) = &*self.slot.lock() {
            self.slot.used.store(true, Ordering::Relaxed);
            return Ok(file.clone());
        }
        // No lock is held during the call to the storage, so two threads may open the file at the same time.
        let opened = self.slot.open_again(&*self.files.storage)?;
        {
            let mut held = self.slot.lock();
            if let Some(other) = &*held {
                return Ok(other.clone());
            }
            *held = Some(opened.clone());
        }
        self.files.admit(&self.slot);
        Ok(opened)
    }
}

impl ReadFile for ReopeningFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.slot.first.len)
    }

    fn identity(&self) -> io::Result<Option<[u64; 4]>> {
        Ok(self.slot.first.identity)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file()?.read_at(into, offset)
    }

    fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        // If the file cannot be opened, the read returns the error.
        self.file().is_ok_and(|file| file.lend(offset, len, take))
    }
}

#[cfg(test)]
mod tests;
