//! The place of a checkpoint: what is there now, and how something else takes its place.
//!
//! A file replaces a file in one step, and so does a new manifest in a directory. A file cannot replace a directory in one
//! step, nor the reverse: what was there steps aside, under a hidden name, until the new one has the place. If the machine
//! stops in between, there is nothing at the path, and who opens it finds what stepped aside.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::directory::FILE_NAME;
use crate::source::{aside, is_directory};
use crate::storage::{FileKind, Storage};

/// How the names of what is being written end.
pub(super) const PARTIAL: &str = ".partial";

/// How the names of locks end.
pub(super) const LOCK: &str = ".lock";

/// Where a checkpoint goes.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// As the caller says it.
    path: PathBuf,
    /// Where that leads: symbolic links are followed, not replaced.
    pub(super) target: PathBuf,
    /// The directory that the target is in.
    pub(super) parent: PathBuf,
    /// The target's name in it.
    pub(super) name: String,
}

impl Site {
    /// Finds the place, and creates the directory that it is in.
    pub(super) fn at(storage: &dyn Storage, path: &Path) -> Result<Self> {
        let target = storage.resolve(path).map_err(Error::io("follow", path))?;
        let Some(name) = target.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::destination(
                path,
                "it names no file; give the name of a file, run/last.ckpt for instance",
            ));
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        storage.create_dir_all(parent).map_err(Error::io("create", parent))?;
        Ok(Self {
            path: path.to_path_buf(),
            name: name.to_owned(),
            parent: parent.to_path_buf(),
            target,
        })
    }

    pub(super) fn kind(&self, storage: &dyn Storage) -> Result<Option<FileKind>> {
        storage.kind(&self.target).map_err(Error::io("look at", &self.target))
    }

    /// Refuses to replace a directory that is not a checkpoint, or holds anything else beside one.
    pub(super) fn check_replaceable(&self, storage: &dyn Storage) -> Result<()> {
        if self.kind(storage)? != Some(FileKind::Directory) {
            return Ok(());
        }
        let path = &self.target;
        if !is_directory(storage, path)? {
            let file = self.path.join("last.ckpt");
            let what = format!("it is a directory; give the name of a file in it, {}", file.display());
            return Err(Error::destination(&self.path, what));
        }
        let names = storage.list(path).map_err(Error::io("list", path))?;
        match names.iter().find(|name| !is_part(name)) {
            None => Ok(()),
            Some(stranger) => Err(Error::destination(
                &self.path,
                format!(
                    "it is a checkpoint in a directory, which also holds `{stranger}`; a file cannot take its place without \
                     losing that: move it, or save to another name"
                ),
            )),
        }
    }

    /// Removes what killed saves have left beside the target, of either kind. A courtesy: a save does not fail for it. Says
    /// whether something has stepped aside, which is cleared when there is something in its place.
    pub(super) fn sweep(&self, storage: &dyn Storage) -> bool {
        let prefix = format!(".{}.", self.name);
        let names = storage.list(&self.parent).unwrap_or_default();
        let partial = |name: &&String| name.starts_with(&prefix) && name.ends_with(PARTIAL);
        for path in names.iter().filter(partial).map(|name| self.parent.join(name)) {
            if storage.kind(&path).ok().flatten() == Some(FileKind::Directory) {
                sweep_hidden(storage, &path);
            } else {
                let _ = storage.remove_if_abandoned(&path);
            }
        }
        let aside = aside(&self.target);
        names.iter().any(|name| aside.file_name() == Some(name.as_ref()))
    }

    /// Gives `new` the target's name: in one step if both are files, otherwise by way of the name aside. Says whether
    /// something has stepped aside.
    pub(super) fn put(&self, storage: &dyn Storage, new: &Path, new_kind: FileKind) -> Result<bool> {
        let rename = |from: &Path, to: &Path| storage.rename(from, to).map_err(Error::io("rename", from));
        match self.kind(storage)? {
            Some(kind) if kind != new_kind || kind == FileKind::Directory => {
                let aside = aside(&self.target);
                remove(storage, &aside)?;
                rename(&self.target, &aside)?;
                rename(new, &self.target).inspect_err(|_| {
                    // If even this fails, the checkpoint is found under the name aside.
                    let _ = storage.rename(&aside, &self.target);
                })?;
                Ok(true)
            }
            _ => rename(new, &self.target).map(|()| false),
        }
    }

    /// Removes what stepped aside, once something complete is in its place. A courtesy: a save does not fail for it.
    pub(super) fn clear_aside(&self, storage: &dyn Storage) {
        let complete = match self.kind(storage) {
            Ok(Some(FileKind::File)) => true,
            Ok(Some(FileKind::Directory)) => is_directory(storage, &self.target).unwrap_or(false),
            _ => false,
        };
        if complete {
            let _ = remove(storage, &aside(&self.target));
        }
    }
}

/// Removes a directory that a killed save was about to put at the site. One without a lock has no writer: the lock is the
/// first thing in it, and goes last.
fn sweep_hidden(storage: &dyn Storage, path: &Path) {
    let Ok(names) = storage.list(path) else { return };
    let mut locks = names.iter().filter(|name| name.ends_with(LOCK)).peekable();
    let unlocked = locks.peek().is_none();
    if unlocked || locks.any(|lock| storage.remove_if_abandoned(&path.join(lock)).unwrap_or(false)) {
        let _ = storage.remove_dir_all(path);
    }
}

/// Whether a name in a directory is that of a checkpoint's own part.
pub(super) fn is_part(name: &str) -> bool {
    name == FILE_NAME || is_generation(name) || name.starts_with('.')
}

/// Whether a name is that of a generation's folder.
pub(super) fn is_generation(name: &str) -> bool {
    let digits = name.strip_prefix("g-");
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Removes a file or a directory, if there is one.
pub(super) fn remove(storage: &dyn Storage, path: &Path) -> Result<()> {
    match storage.kind(path).map_err(Error::io("look at", path))? {
        None => Ok(()),
        Some(FileKind::File | FileKind::Other) => storage.remove_file(path).map_err(Error::io("remove", path)),
        Some(FileKind::Directory) => storage.remove_dir_all(path).map_err(Error::io("remove", path)),
    }
}
