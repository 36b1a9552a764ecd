//! Removes a whole checkpoint, as retention does.

use std::path::Path;

use super::destination::Destination;
use super::own_files;
use super::save_lock::{self, SaveLock};
use crate::error::{Error, Result};
use crate::source::head::is_ours;
use crate::source::hidden::{Ending, Hidden};
use crate::storage::{FileKind, Storage};

/// Removes the checkpoint at a path. Returns `false` if something there is not from a save: then nothing is removed.
///
/// A crash at any instant leaves the whole checkpoint, or nothing under its name: a directory gets a hidden name before its
/// first file is removed, under which a later [`sweep`] finds the rest.
///
/// # Errors
/// If the storage fails.
pub(crate) fn remove(storage: &dyn Storage, path: &Path) -> Result<bool> {
    match storage.kind(path).map_err(Error::io("look at", path))? {
        None => Ok(true),
        Some(FileKind::File) if own_files::is_own_file(storage, path) => {
            own_files::remove(storage, path).map_err(Error::io("remove", path))
        }
        Some(FileKind::Directory) if is_all_ours(storage, path)? => {
            let mut lock = SaveLock::new(storage, &Hidden::beside(path))?;
            let aside = lock.path(Ending::Partial);
            let removed = storage
                .rename(path, &aside)
                .and_then(|()| own_files::remove(storage, &aside));
            match removed {
                Ok(is_gone) => {
                    lock.end(is_gone);
                    Ok(true)
                }
                Err(error) => {
                    lock.leave();
                    Err(Error::io("remove", path)(error))
                }
            }
        }
        _ => Ok(false),
    }
}

/// Removes what killed saves and removals left beside a checkpoint's path.
///
/// # Errors
/// If the storage cannot hold the names that a save needs there.
pub(crate) fn sweep(storage: &dyn Storage, path: &Path) -> Result<()> {
    save_lock::sweep(storage, &Destination::at(storage, path)?);
    Ok(())
}

fn is_all_ours(storage: &dyn Storage, directory: &Path) -> Result<bool> {
    Ok(is_ours(storage, directory)? && own_files::first_foreign_entry(storage, directory)?.is_none())
}
