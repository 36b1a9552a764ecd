//! Frees the bytes of removed and replaced files behind the call that takes their name.
//!
//! A file system frees a file when its last name and its last handle are gone, within the call that takes the last of
//! them: ext4 takes 0.13 s for 1 GiB. So a file that is about to lose its name is held open, and a thread closes it. If
//! the process ends first, the system frees the file.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::os;
use crate::threads;

/// The shortest file in bytes that a thread frees. A system frees a shorter one faster than it starts a thread.
const LONG: u64 = 1 << 20;

/// The time that a thread waits before it frees a file. A sync of the directory, which often follows a rename or a
/// removal, would wait for the file system's work on the file.
const PAUSE: Duration = Duration::from_millis(50);

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

    /// Closes the file: on a thread if it has no name left, and here if it has one or if the system has no thread.
    pub(super) fn free(self) {
        let Self(file) = self;
        if !os::is_nameless(&file) {
            return;
        }
        let counted = Counted::new();
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
    fn new() -> Self {
        files().freeing += 1;
        Self
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

/// Calls `write`, and calls it again if the device was full and a thread has freed a file since.
///
/// # Errors
/// The error of the last call.
pub(super) fn with_room<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let before = files().freed;
    match write() {
        Err(error) if is_full(&error) && wait() != before => write(),
        written => written,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Waits until no thread frees a file. Returns the number of files that threads have freed.
fn wait() -> usize {
    let waited = FREED.wait_timeout_while(files(), MOST_WAITED, |files| files.freeing > 0);
    waited.unwrap_or_else(PoisonError::into_inner).0.freed
}
