//! The destination of a save: whether a checkpoint can replace the file there, and how it does.
//!
//! A file replaces a file by one rename, and so does a new manifest in a directory. A file cannot replace a directory
//! by one rename, nor the reverse: the replaced checkpoint steps aside, under a hidden name with the token of the save,
//! until the new one is in place. A load in between finds the checkpoint that stepped aside.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::own_files;
use super::save_lock::{self, SaveLock};
use crate::error::{Error, Result};
use crate::format::directory::{FILE_NAME, rank_file};
use crate::source::head::{generation_in, is_ours};
use crate::source::hidden::{Ending, Hidden, Token};
use crate::storage::{FileKind, Storage};

/// The number of times that the target may change between a file and a directory during one commit.
const MOST_TURNS: usize = 100;

/// Where a checkpoint goes.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// The path of the call.
    path: PathBuf,
    /// The path with symbolic links resolved: a link at the path stays.
    pub(crate) target: PathBuf,
    /// The directory of the target.
    pub(crate) parent: PathBuf,
    /// The hidden names beside the target.
    pub(crate) beside: Hidden,
}

impl Destination {
    /// Resolves the path; writes nothing.
    ///
    /// # Errors
    /// If the path names no file, or the storage cannot hold the names that a save needs there.
    pub(crate) fn at(storage: &dyn Storage, path: &Path) -> Result<Self> {
        if path.as_os_str().is_empty() {
            let what = "the path is empty; give the name of a file, for example run/last.ckpt";
            return Err(Error::destination(path, what));
        }
        // A trailing slash does not change the file.
        let target = resolve(storage, path, path.components().as_path())?;
        let Some(name) = target.file_name().map(OsString::from) else {
            return Err(Error::destination(
                path,
                "it names no file; give the name of a file, for example run/last.ckpt",
            ));
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let target = target.with_file_name(name);
        let destination = Self {
            path: path.to_path_buf(),
            beside: Hidden::beside(&target),
            parent,
            target,
        };
        let token = Token::draw();
        let deepest = destination
            .beside
            .path(token, Ending::Partial)
            .join(token.generation())
            .join(rank_file(0));
        resolve(storage, path, &deepest)?;
        Ok(destination)
    }

    pub(crate) fn kind(&self, storage: &dyn Storage) -> Result<Option<FileKind>> {
        storage.kind(&self.target).map_err(Error::io("look at", &self.target))
    }

    /// Creates the directory of the target.
    pub(crate) fn create_parent(&self, storage: &dyn Storage) -> Result<()> {
        let parent = &self.parent;
        storage.create_dir_all(parent).map_err(Error::io("create", parent))
    }

    /// Refuses a destination for a file unless it is free, a file, or a checkpoint in a directory with nothing else in
    /// it.
    pub(crate) fn check_for_file(&self, storage: &dyn Storage) -> Result<()> {
        match self.kind(storage)? {
            None | Some(FileKind::File) => return Ok(()),
            Some(FileKind::Other) => return Err(self.special()),
            Some(FileKind::Directory) => {}
        }
        if !is_ours(storage, &self.target)? {
            let file = self.path.join("last.ckpt");
            let what = format!("it is a directory; give the name of a file in it, {}", file.display());
            return Err(Error::destination(&self.path, what));
        }
        match own_files::first_foreign_entry(storage, &self.target)? {
            None => Ok(()),
            Some(stranger) => Err(self.would_lose(&stranger, "a file cannot take its place without losing that")),
        }
    }

    /// Refuses a destination for a directory unless it is free, a file, or a checkpoint in a directory.
    pub(crate) fn check_for_directory(&self, storage: &dyn Storage) -> Result<()> {
        match self.kind(storage)? {
            None | Some(FileKind::File) => return Ok(()),
            Some(FileKind::Other) => return Err(self.special()),
            Some(FileKind::Directory) => {}
        }
        let target = &self.target;
        if !is_ours(storage, target)? {
            return match own_files::first_foreign_entry(storage, target)? {
                None => Ok(()),
                Some(stranger) => {
                    let directory = self.path.join("last");
                    Err(Error::destination(
                        &self.path,
                        format!(
                            "it is a directory that holds `{}`, and no checkpoint of this library; give a new name in it, {}",
                            stranger.display(),
                            directory.display()
                        ),
                    ))
                }
            };
        }
        let names = storage.list(target).map_err(Error::io("list", target))?;
        if let Some(other) = names.iter().find(|name| is_of_others(name)) {
            let what =
                format!("it holds `{other}`, which is part of another program's checkpoint; save to another name");
            return Err(Error::destination(&self.path, what));
        }
        match own_files::foreign_entry_in_committed(storage, target)? {
            None => Ok(()),
            Some(stranger) => Err(self.would_lose(&stranger, "a save removes the folder that it is in")),
        }
    }

    fn special(&self) -> Error {
        Error::destination(
            &self.path,
            "it is a device, a FIFO or a socket, which a checkpoint does not replace; save to another name",
        )
    }

    fn would_lose(&self, stranger: &Path, why: &str) -> Error {
        Error::destination(
            &self.path,
            format!(
                "it is a checkpoint in a directory, which also holds `{}`; {why}: move it, or save to another name",
                stranger.display()
            ),
        )
    }

    /// The file whose owner, mode and access control list a file at the target keeps.
    pub(crate) fn replaced_file(&self, storage: &dyn Storage) -> Result<Option<PathBuf>> {
        Ok(match self.kind(storage)? {
            Some(FileKind::File) => Some(self.target.clone()),
            Some(FileKind::Directory) => Some(self.file_of_tensors(storage)?),
            _ => None,
        })
    }

    /// The file of rank 0 in the directory at the target, if there is one, and the manifest otherwise.
    fn file_of_tensors(&self, storage: &dyn Storage) -> Result<PathBuf> {
        if let Ok(generation) = generation_in(storage, &self.target) {
            let file = self.target.join(generation).join(rank_file(0));
            if storage.kind(&file).map_err(Error::io("look at", &file))? == Some(FileKind::File) {
                return Ok(file);
            }
        }
        Ok(self.target.join(FILE_NAME))
    }

    /// Renames the file at `new` to the target. True if a checkpoint has stepped aside.
    pub(crate) fn rename_to_target(&self, storage: &dyn Storage, new: &Path, lock: &SaveLock<'_>) -> Result<bool> {
        self.take_turns(storage, lock, |kind, aside| {
            if kind == Some(FileKind::Directory) {
                self.check_for_file(storage)?;
                if !self.step_aside(storage, lock, aside)? {
                    return Ok(false);
                }
            }
            match storage.rename(new, &self.target) {
                Ok(()) => Ok(true),
                // Another save was faster to put a directory there.
                Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(false),
                Err(error) => Err(Error::io("rename", new)(error)),
            }
        })
    }

    /// Calls `turn` with the kind of the target, and whether a checkpoint has stepped aside, until it returns true: the
    /// new checkpoint is in place. If a turn fails, the checkpoint that stepped aside returns to the target.
    pub(crate) fn take_turns(
        &self,
        storage: &dyn Storage,
        lock: &SaveLock<'_>,
        mut turn: impl FnMut(Option<FileKind>, &mut bool) -> Result<bool>,
    ) -> Result<bool> {
        let mut aside = false;
        let mut turns = || {
            for _ in 0..MOST_TURNS {
                let kind = self.kind(storage)?;
                if kind == Some(FileKind::Other) {
                    return Err(self.special());
                }
                if turn(kind, &mut aside)? {
                    return Ok(());
                }
            }
            let what = "other saves keep changing it between a file and a directory; save to another name";
            Err(Error::destination(&self.path, what))
        };
        let put = turns();
        if put.is_err() && aside && matches!(storage.kind(&self.target), Ok(None)) {
            // If this rename fails too, `open` finds the checkpoint under its hidden name.
            let _ = storage.rename(&lock.path(Ending::Replaced), &self.target);
        }
        put.map(|()| aside)
    }

    /// Moves the checkpoint at the target aside. False if the target is free.
    pub(crate) fn step_aside(&self, storage: &dyn Storage, lock: &SaveLock<'_>, aside: &mut bool) -> Result<bool> {
        let replaced = lock.path(Ending::Replaced);
        if *aside {
            // Another save has put a whole checkpoint there since, so the one that stepped aside before is obsolete.
            own_files::remove(storage, &replaced).map_err(Error::io("remove", &replaced))?;
        }
        save_lock::clear_aside(storage, self, lock.token());
        match storage.rename(&self.target, &replaced) {
            Ok(()) => {
                *aside = true;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("rename", &self.target)(error)),
        }
    }

    /// Makes the commit durable, and removes the checkpoints that stepped aside, for this save and for saves that were
    /// killed.
    pub(crate) fn finish(
        &self,
        storage: &dyn Storage,
        lock: SaveLock<'_>,
        stepped_aside: bool,
        left_aside: bool,
        sync: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if stepped_aside {
            let synced = sync();
            let removed = synced.is_ok() && own_files::remove(storage, &lock.path(Ending::Replaced)).unwrap_or(false);
            lock.end(removed);
            synced?;
        } else {
            // The lock's file is removed before the directory is synced, so that a power failure does not restore it.
            lock.end(true);
            sync()?;
        }
        if left_aside {
            save_lock::sweep(storage, self);
        }
        Ok(())
    }

    /// The error that the directory of this save is gone.
    pub(crate) fn taken_away(&self) -> Error {
        Error::destination(
            &self.path,
            "another save or program removed the directory while this save wrote into it; save again",
        )
    }
}

fn resolve(storage: &dyn Storage, path: &Path, at: &Path) -> Result<PathBuf> {
    storage.resolve(at).map_err(|error| match error.kind() {
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
            Error::destination(path, format!("the system cannot hold a checkpoint there: {error}"))
        }
        _ => Error::io("follow", path)(error),
    })
}

/// Returns true for a file of another program's checkpoint, which a manifest in the same directory would hide.
fn is_of_others(name: &str) -> bool {
    name == ".metadata" || name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")
}
