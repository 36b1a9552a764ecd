//! Replaces a file in one step: write beside it, sync, rename, sync the directory.

use std::io;
use std::path::Path;

use super::Destination;
use super::claim::{self, Claim};
use super::site::Site;
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::phases::{Phase, Phases};
use crate::source::hidden::Ending;
use crate::storage::{Storage, WriteFile};

/// Puts a file that `write` writes, about `len` bytes long, at the destination, replacing a file that is there, or a checkpoint in a directory.
/// A symbolic link is followed, not replaced.
///
/// If anything fails before the rename, what was there is untouched, and the new file is removed. If making the rename
/// durable fails, the new file is in place, but a power failure may bring the old one back: the error says so.
pub(crate) fn publish(
    destination: &Destination<'_>,
    durability: Durability,
    len: u64,
    write: impl FnOnce(&mut dyn WriteFile, &Path) -> Result<()>,
) -> Result<()> {
    let Destination { storage, path, phases } = *destination;
    let site = Site::at(storage, path)?;
    site.check_for_file(storage)?;
    site.create_parent(storage)?;
    let left_aside = claim::sweep(storage, &site);
    let claim = Claim::new(storage, &site.beside)?;
    let partial = claim.path(Ending::Partial);
    let replaced = site.replaced_file(storage)?;
    let mut file = create(storage, &partial, replaced.as_deref())?;
    let written = fill(&mut *file, &partial, durability, len, phases, write)
        .and_then(|()| phases.time(Phase::Commit, || site.put_file(storage, &partial, &claim)));
    drop(file);
    let stepped_aside = match written {
        Ok(stepped_aside) => stepped_aside,
        Err(error) => {
            // The error that is returned is why the save failed; a file that cannot be removed either is swept later.
            let removed = storage.remove_file(&partial);
            claim.end(removed.is_ok());
            return Err(error);
        }
    };
    site.end(storage, claim, stepped_aside, left_aside, || {
        sync_committed(storage, &site.parent, durability, phases)
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

/// Makes the names in a directory durable, if that was asked for.
pub(crate) fn sync_dir(storage: &dyn Storage, directory: &Path, durability: Durability, phases: &Phases) -> Result<()> {
    match durability {
        Durability::Durable => phases
            .time(Phase::Sync, || storage.sync_dir(directory))
            .map_err(Error::io("make durable the name in", directory)),
        Durability::Relaxed => Ok(()),
    }
}

/// Makes durable that the new checkpoint has its place; an error says that it has it.
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

/// Writes a file and makes it durable, if that was asked for.
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
