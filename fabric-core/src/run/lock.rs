//! The lock of a run: one process, or one group of ranks, saves into its directory at a time.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::storage::{FileKind, Storage, WriteFile};

/// The name of the lock's file in a run's directory. It is there as long as the run is open.
const NAME: &str = ".run.lock";

/// The contents of the lock's file.
const MARK: &[u8] = b"fabric: a run holds this file as long as it is open\n";

/// The number of times that a lock's file is created while another process may be removing it.
const MOST_TURNS: usize = 16;

/// A run's directory, held by this process.
#[derive(Debug)]
pub(crate) struct RunLock {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    /// Dropping it releases the lock. The mutex lets threads share the run.
    _held: Mutex<Box<dyn WriteFile>>,
}

impl RunLock {
    /// Takes the lock of a directory that is there.
    ///
    /// # Errors
    /// [`Error::RunInUse`] if another process, or another run of this one, holds it.
    pub(crate) fn take(storage: &Arc<dyn Storage>, directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        for _ in 0..MOST_TURNS {
            let held = match storage.create(&path) {
                Ok(file) => marked(&**storage, &path, file)?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if is_foreign(&**storage, &path).map_err(Error::io("look at", &path))? {
                        let what = "a file that no run has written has the name of the run's lock: move it, or use another \
                                    directory";
                        return Err(Error::destination(&path, what));
                    }
                    match storage.take_over(&path).map_err(Error::io("lock", &path))? {
                        Some(held) => held,
                        None if is_gone(&**storage, &path) => continue,
                        None => break,
                    }
                }
                Err(error) => return Err(Error::io("create", &path)(error)),
            };
            return Ok(Self {
                storage: storage.clone(),
                path,
                _held: Mutex::new(held),
            });
        }
        Err(Error::RunInUse {
            directory: directory.to_path_buf(),
        })
    }
}

/// Writes the mark into a lock that was just created. Without room for the mark the lock holds all the same: a process that
/// makes room by removing checkpoints needs it.
fn marked(storage: &dyn Storage, path: &Path, mut file: Box<dyn WriteFile>) -> Result<Box<dyn WriteFile>> {
    match file.write_all(MARK) {
        Err(error) if !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            // The file is still held: no other process has taken it over.
            let _ = storage.remove_file(path);
            Err(Error::io("write", path)(error))
        }
        _ => Ok(file),
    }
}

/// Returns true if the lock of a run is in a directory, held or left by a process that was killed.
///
/// # Errors
/// If the storage fails.
pub(super) fn is_there(storage: &dyn Storage, directory: &Path) -> Result<bool> {
    let path = directory.join(NAME);
    let look = || Ok(storage.kind(&path)?.is_some() && !is_foreign(storage, &path)?);
    look().map_err(Error::io("look at", &path))
}

/// Returns true if the file is there and is not the lock of a run. After a power failure, or on a full disk, a lock may lack
/// bytes of its mark, or have zeros in their place.
fn is_foreign(storage: &dyn Storage, path: &Path) -> io::Result<bool> {
    match storage.kind(path)? {
        None => return Ok(false),
        Some(FileKind::File) => {}
        Some(_) => return Ok(true),
    }
    let file = match storage.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let Some(mark) = usize::try_from(file.len()?).ok().and_then(|len| MARK.get(..len)) else {
        return Ok(true);
    };
    let mut bytes = vec![0; mark.len()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes
        .iter()
        .zip(mark)
        .any(|(byte, of_mark)| *byte != 0 && byte != of_mark))
}

fn is_gone(storage: &dyn Storage, path: &Path) -> bool {
    matches!(storage.kind(path), Ok(None))
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // The name goes first: a process that takes the lock afterwards creates a file of its own.
        let _ = self.storage.remove_file(&self.path);
    }
}
