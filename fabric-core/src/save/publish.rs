//! Replaces a file in one step: write beside it, sync, rename, sync the directory.

use std::io;
use std::path::Path;

use super::CommitTarget;
use super::destination::Destination;
use super::save_lock::{self, SaveLock};
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::phases::{Phase, Phases};
use crate::source::hidden::Ending;
use crate::storage::{Storage, WriteFile};

/// Writes a file of about `len` bytes with `write`, and commits it at the target, where it replaces a file or a
/// checkpoint in a directory. A symbolic link is followed, not replaced.
///
/// If a step before the rename fails, the old checkpoint is unchanged, and the new file is removed. If making the
/// rename durable fails, the new file is in place, but a power failure may restore the old one: the error says so.
pub(crate) fn publish(
    target: &CommitTarget<'_>,
    durability: Durability,
    len: u64,
    write: impl FnOnce(&mut dyn WriteFile, &Path) -> Result<()>,
) -> Result<()> {
    let CommitTarget { storage, path, phases } = *target;
    let destination = Destination::at(storage, path)?;
    destination.check_for_file(storage)?;
    destination.create_parent(storage)?;
    let left_aside = save_lock::sweep(storage, &destination);
    let lock = SaveLock::new(storage, &destination.beside)?;
    let partial = lock.path(Ending::Partial);
    let replaced = destination.replaced_file(storage)?;
    let mut file = create(storage, &partial, replaced.as_deref())?;
    let written = fill(&mut *file, &partial, durability, len, phases, write)
        .and_then(|()| phases.time(Phase::Commit, || destination.rename_to_target(storage, &partial, &lock)));
    drop(file);
    let stepped_aside = match written {
        Ok(stepped_aside) => stepped_aside,
        Err(error) => {
            // The returned error is the cause of the failure; a later save sweeps a file that cannot be removed.
            let removed = storage.remove_file(&partial);
            lock.end(removed.is_ok());
            return Err(error);
        }
    };
    destination.finish(storage, lock, stepped_aside, left_aside, || {
        sync_committed(storage, &destination.parent, durability, phases)
    })
}

/// Creates a file, with the owner, the mode and the access control list of one that it replaces.
pub(crate) fn create(storage: &dyn Storage, path: &Path, replaced: Option<&Path>) -> Result<Box<dyn WriteFile>> {
    match replaced {
        Some(replaced) => storage.create_like(path, replaced),
        None => storage.create(path),
    }
    .map_err(Error::io("create", path))
}

/// Makes the names in a directory durable, if the call asks for it.
pub(crate) fn sync_dir(storage: &dyn Storage, directory: &Path, durability: Durability, phases: &Phases) -> Result<()> {
    match durability {
        Durability::Durable => phases
            .time(Phase::Sync, || storage.sync_dir(directory))
            .map_err(Error::io("make durable the name in", directory)),
        Durability::Relaxed => Ok(()),
    }
}

/// Makes the commit durable; an error says that the new checkpoint is in place.
pub(crate) fn sync_committed(
    storage: &dyn Storage,
    directory: &Path,
    durability: Durability,
    phases: &Phases,
) -> Result<()> {
    sync_dir(storage, directory, durability, phases).map_err(|error| match error {
        Error::Io {
            operation,
            path,
            source,
        } => {
            let what = format!("{source}; the new checkpoint is in place, and a power failure may undo it");
            let source = io::Error::new(source.kind(), what);
            Error::Io {
                operation,
                path,
                source,
            }
        }
        other => other,
    })
}

/// Writes a file and makes it durable, if the call asks for it.
pub(crate) fn fill(
    file: &mut dyn WriteFile,
    path: &Path,
    durability: Durability,
    len: u64,
    phases: &Phases,
    write: impl FnOnce(&mut dyn WriteFile, &Path) -> Result<()>,
) -> Result<()> {
    let writing = phases.begin(Phase::Write);
    writing.bytes(len);
    if durability == Durability::Durable {
        file.announce(len).map_err(Error::io("reserve room for", path))?;
    }
    write(file, path)?;
    drop(writing);
    match durability {
        Durability::Durable => phases
            .time(Phase::Sync, || file.sync())
            .map_err(Error::io("make durable", path)),
        Durability::Relaxed => Ok(()),
    }
}
