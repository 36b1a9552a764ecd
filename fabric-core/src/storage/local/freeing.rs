//! Frees the bytes of removed and replaced files behind the call that takes their name.
//!
//! A file system frees a file when its last name and its last handle are gone, within the call that takes the last of
//! them: ext4 took 0.7 s for a rename that replaced 1 GiB. So a file that is about to lose its name is held open, and a thread closes it. If
//! the process ends first, the system frees the file.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::os;
use crate::io::read_back;
use crate::threads;

/// The shortest file in bytes that a thread frees. A system frees a shorter one faster than it starts a thread.
const LONG: u64 = 1 << 20;

/// The time that a thread waits before it frees a file. A sync of the directory, which often follows a rename or a
/// removal, would wait for the file system's work on the file.
const PAUSE: Duration = Duration::from_millis(50);

/// The most files that are freed by threads at a time. Each has a thread and a handle, of which a process may have few.
const MOST: usize = 16;

/// The longest time that a writer waits for the room of freed files. A forked process waits in vain for the threads of
/// its parent.
const MOST_WAITED: Duration = Duration::from_secs(30);

static FILES: Mutex<Files> = Mutex::new(Files { freeing: 0, freed: 0 });

/// Notified when a file has been freed.
static FREED: Condvar = Condvar::new();

/// The numbers of files that threads are freeing, and that they have freed.
struct Files {
    freeing: usize,
    freed: usize,
}

/// A file that keeps its bytes while its name goes.
pub(super) struct Held(File);

impl Held {
    /// Holds the file at the path. `None` if it is not a long regular file, or if the system cannot hold a file that
    /// has no name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        if !found.is_file() || found.len() < LONG {
            return None;
        }
        let file = os::hold(path)?;
        let is_file = file.metadata().is_ok_and(|found| found.is_file());
        is_file.then_some(Self(file))
    }

    /// Returns true if the path names the file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        os::is_named(&self.0, path).unwrap_or(false)
    }

    /// Exchanges the names `from` and `to`, which is the name of this file.
    ///
    /// # Errors
    /// If the file system cannot do so in one step, or not without copying the file.
    pub(super) fn exchange(&self, from: &Path, to: &Path) -> io::Result<()> {
        os::exchange(from, to, &self.0)
    }

    /// Closes the file: on a thread if it has no name left, and here if it has one, if many files are being freed, or if
    /// the system has no thread.
    pub(super) fn free(self) {
        let Self(file) = self;
        let Some(counted) = os::is_nameless(&file).then(Counted::new).flatten() else {
            return;
        };
        // If no thread starts, the call drops the closure, and the file with it.
        let _ = threads::start("fabric-free", move || {
            thread::sleep(PAUSE);
            drop(file);
            drop(counted);
        });
    }
}

/// Counts a file that is being freed, until it is dropped.
struct Counted;

impl Counted {
    /// `None` if [`MOST`] files are being freed.
    fn new() -> Option<Self> {
        let mut files = files();
        if files.freeing >= MOST {
            return None;
        }
        files.freeing += 1;
        Some(Self)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut files = files();
        files.freeing -= 1;
        files.freed += 1;
        FREED.notify_all();
    }
}

fn files() -> MutexGuard<'static, Files> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `write`. If the device is full, waits for the files that threads are freeing or reading, and calls `write` again.
///
/// # Errors
/// The error of the last call.
pub(super) fn with_room<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match write() {
        Err(error) if is_full(&error) => {
            let has_stopped = read_back::stop();
            if has_freed() || has_stopped {
                write()
            } else {
                Err(error)
            }
        }
        written => written,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Waits until the files are freed that threads are freeing now. Returns true if a thread has freed any file: perhaps one
/// that another writer has waited for.
fn has_freed() -> bool {
    let files = files();
    let due = files.freed + files.freeing;
    let waited = FREED.wait_timeout_while(files, MOST_WAITED, |files| files.freed < due);
    waited.unwrap_or_else(PoisonError::into_inner).0.freed > 0
}
