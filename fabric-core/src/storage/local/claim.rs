//! Whose a file is: a writer holds a lock on its file, and a file that nobody holds was abandoned.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::{os, regular};

/// How often a new file may be taken for abandoned before it is locked. Another process that does nothing but look for
/// abandoned files wins about every second time.
const MOST_CREATIONS: usize = 100;

/// A new file that is locked.
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

/// Opens a file that a save may have created; `None` if nothing is at the path, or no regular file.
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
    // NFS grants an exclusive lock only to those who may write.
    match regular::open(path, OpenOptions::new().write(true)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if none(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Locks the file that was just created at the path. `false` if it lost its name before.
///
/// Between creating and locking, another process may lock the file, take it for abandoned and remove it. So this waits
/// for that lock, then looks whether the name is still ours. A file system without locks gives an error to both, and
/// neither needs the other.
pub(super) fn claim(file: &File, path: &Path) -> io::Result<bool> {
    match file.lock() {
        Ok(()) => os::is_named(file, path),
        Err(_) => Ok(true),
    }
}

/// Removes the file that was opened at the path, if nobody holds it and it still has this name.
pub(super) fn remove_unheld(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return Ok(false),
    }
    // While we hold the lock nobody else removes or renames the file of this name, if it still is that file.
    let removed = match os::is_named(file, path) {
        Ok(true) => fs::remove_file(path).map(|()| true),
        other => other,
    };
    // See the drop of a writer. There is nothing left to do for a lock that cannot be given back.
    let _ = file.unlock();
    removed
}

/// Locks the file that was opened at the path, if nobody holds it and it still has this name.
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
