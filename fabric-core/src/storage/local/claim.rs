//! The locks of writers: a writer holds a lock on its file, and a file without a lock is abandoned.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::{os, regular};

/// The number of attempts to create and lock a file. Another process may remove the new file as abandoned before it is
/// locked; a process that does nothing else wins about every second attempt.
const MOST_CREATIONS: usize = 100;

/// Creates a file and locks it.
pub(super) fn create(path: &Path, create: impl Fn() -> io::Result<File>) -> io::Result<File> {
    for _ in 0..MOST_CREATIONS {
        let file = create()?;
        if claim(&file, path)? {
            return Ok(file);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the new file was removed as often as it was created",
    ))
}

/// Opens a file that a save may have created; `None` if the path has no regular file.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let none = |error: &io::Error| {
        use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound};
        matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidInput)
    };
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    // NFS grants an exclusive lock only to a process that may write.
    match regular::open(path, OpenOptions::new().write(true)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if none(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Locks the file that was just created at the path. Returns `false` if the file lost its name before the lock.
///
/// Between the creation and the lock, another process may lock the file as abandoned and remove it. So this call waits
/// for the lock, then checks that the path still names the file. On a file system without locks both processes get an
/// error, and the file stays.
pub(super) fn claim(file: &File, path: &Path) -> io::Result<bool> {
    match file.lock() {
        Ok(()) => os::is_named(file, path),
        Err(_) => Ok(true),
    }
}

/// Removes the file opened at the path, if no writer holds its lock and the path still names it.
pub(super) fn remove_unheld(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return Ok(false),
    }
    // While this process holds the lock, no other process removes or renames the file, if the path still names it.
    let removed = match os::is_named(file, path) {
        Ok(true) => fs::remove_file(path).map(|()| true),
        other => other,
    };
    // The drop of a writer explains why to unlock. If unlocking fails, closing the file has to do.
    let _ = file.unlock();
    removed
}

/// Locks the file opened at the path, if no writer holds its lock and the path still names it.
pub(super) fn take_over(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => os::is_named(file, path),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Ok(false),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_lost_its_name_before_it_was_locked_is_not_claimed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = File::create_new(&path).unwrap();
        assert!(claim(&file, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!claim(&file, &path).unwrap());
        let _other = File::create_new(&path).unwrap();
        assert!(!claim(&file, &path).unwrap());
    }

    #[test]
    fn a_file_that_took_the_name_of_an_abandoned_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let abandoned = File::create_new(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = File::create_new(&path).unwrap();
        assert!(!remove_unheld(&abandoned, &path).unwrap());
        assert!(path.exists());
    }
}
