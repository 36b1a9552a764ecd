//! Replaces a file in one step: write beside it, sync, rename, sync the directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::site::{PARTIAL, Site};
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::phases::{Phase, Phases};
use crate::storage::{FileKind, Storage, WriteFile};

/// Distinguishes the files that this process writes at the same time.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Puts what `write` writes, about `len` bytes, at `path`, replacing a file that is there, or a checkpoint in a directory.
/// A symbolic link is followed, not replaced.
///
/// If anything fails before the rename, what was there is untouched, and the new file is removed. If making the rename
/// durable fails, the new file is in place, but a power failure may bring the old one back: the error says so.
pub(crate) fn publish(
    storage: &dyn Storage,
    path: &Path,
    durability: Durability,
    len: u64,
    phases: &Phases,
    write: impl FnOnce(&mut dyn WriteFile, &Path) -> Result<()>,
) -> Result<()> {
    let site = Site::at(storage, path)?;
    site.check_replaceable(storage)?;
    let left_aside = site.sweep(storage);
    let (partial, mut file) = create(storage, &site.parent, &site.name)?;
    // The open file says that the partial one has a writer, so it is held until its name is gone.
    let written = fill(&mut *file, &partial, durability, len, phases, write)
        .and_then(|()| phases.time(Phase::Commit, || site.put(storage, &partial, FileKind::File)));
    drop(file);
    let stepped_aside = written.inspect_err(|_| {
        // The error that is returned is why the save failed; a file that cannot be removed either is swept later.
        let _ = storage.remove_file(&partial);
    })?;
    sync_dir(storage, &site.parent, durability, phases)?;
    if left_aside || stepped_aside {
        site.clear_aside(storage);
    }
    Ok(())
}

/// Makes the names in a directory durable, if that was asked for.
pub(super) fn sync_dir(storage: &dyn Storage, directory: &Path, durability: Durability, phases: &Phases) -> Result<()> {
    match durability {
        Durability::Durable => phases
            .time(Phase::Sync, || storage.sync_dir(directory))
            .map_err(Error::io("make durable the name in", directory)),
        Durability::Relaxed => Ok(()),
    }
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

/// A name beside the target, after it: hidden, and found again if this process dies.
pub(super) fn partial_name(name: &str) -> String {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(".{name}.{}-{number}{PARTIAL}", std::process::id())
}

/// A new file of such a name.
fn create(storage: &dyn Storage, directory: &Path, name: &str) -> Result<(PathBuf, Box<dyn WriteFile>)> {
    loop {
        let path = directory.join(partial_name(name));
        match storage.create(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
    }
}
