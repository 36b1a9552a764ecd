//! Replaces a file in one step: write beside it, sync, rename, sync the directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::options::Durability;
use crate::storage::{FileKind, Storage, WriteFile};

/// How the names of files that are being written end.
const PARTIAL: &str = ".partial";

/// Distinguishes the files that this process writes at the same time.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Puts what `write` writes, about `len` bytes, at `path`, replacing a file that is there. A symbolic link is followed,
/// not replaced.
///
/// If anything fails before the rename, what was there is untouched, and the new file is removed. If making the rename
/// durable fails, the new file is in place, but a power failure may bring the old one back: the error says so.
pub(crate) fn publish(
    storage: &dyn Storage,
    path: &Path,
    durability: Durability,
    len: u64,
    write: impl FnOnce(&mut dyn WriteFile, &Path) -> Result<()>,
) -> Result<()> {
    let target = storage.resolve(path).map_err(Error::io("follow", path))?;
    let Some(name) = target.file_name().and_then(|name| name.to_str()) else {
        return Err(Error::Options(format!("{} names no file to save to", path.display())));
    };
    if storage.kind(&target).map_err(Error::io("look at", &target))? == Some(FileKind::Directory) {
        return Err(Error::Options(format!(
            "{} is a directory; give the name of a file in it, {}",
            path.display(),
            path.join("last.ckpt").display()
        )));
    }
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    storage
        .create_dir_all(directory)
        .map_err(Error::io("create", directory))?;
    sweep(storage, directory, name);
    let (partial, mut file) = create(storage, directory, name)?;
    // The open file says that the partial one has a writer, so it is held until its name is gone.
    let written = fill(&mut *file, &partial, durability, len, write)
        .and_then(|()| storage.rename(&partial, &target).map_err(Error::io("rename", &partial)));
    drop(file);
    if let Err(error) = written {
        // The error that is returned is why the save failed; a file that cannot be removed either is swept later.
        let _ = storage.remove_file(&partial);
        return Err(error);
    }
    match durability {
        Durability::Durable => storage
            .sync_dir(directory)
            .map_err(Error::io("make durable the name in", directory)),
        Durability::Relaxed => Ok(()),
    }
}

fn fill(
    file: &mut dyn WriteFile,
    path: &Path,
    durability: Durability,
    len: u64,
    write: impl FnOnce(&mut dyn WriteFile, &Path) -> Result<()>,
) -> Result<()> {
    if durability == Durability::Durable {
        file.announce(len).map_err(Error::io("reserve room for", path))?;
    }
    write(file, path)?;
    match durability {
        Durability::Durable => file.sync().map_err(Error::io("make durable", path)),
        Durability::Relaxed => Ok(()),
    }
}

/// A new file beside the target, named after it: hidden, and found again if this process dies.
fn create(storage: &dyn Storage, directory: &Path, name: &str) -> Result<(PathBuf, Box<dyn WriteFile>)> {
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".{name}.{}-{number}{PARTIAL}", std::process::id()));
        match storage.create(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
    }
}

/// Removes what killed processes left of earlier saves to this name. A courtesy: a save does not fail for it.
fn sweep(storage: &dyn Storage, directory: &Path, name: &str) {
    let prefix = format!(".{name}.");
    let names = storage.list(directory).unwrap_or_default();
    for left in names
        .iter()
        .filter(|left| left.starts_with(&prefix) && left.ends_with(PARTIAL))
    {
        let _ = storage.remove_if_abandoned(&directory.join(left));
    }
}
