//! The place of a checkpoint: whether one can go there, and how it replaces the checkpoint that is there now.
//!
//! A file replaces a file in one step, and so does a new manifest in a directory. A file cannot replace a directory in one
//! step, nor the reverse: the replaced checkpoint steps aside, under a hidden name of the save's own, until the new one has the
//! place. A reader that opens the path in between finds the one that stepped aside.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::claim::{self, Claim};
use super::parts;
use crate::error::{Error, Result};
use crate::format::directory::{FILE_NAME, rank_file};
use crate::source::head::{generation_in, is_ours};
use crate::source::hidden::{Ending, Hidden, Token};
use crate::storage::{FileKind, Storage};

/// How often the target may change between a file and a directory while a save takes its place.
const MOST_TURNS: usize = 100;

/// Where a checkpoint goes.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// As the caller says it.
    path: PathBuf,
    /// Where that leads: symbolic links are followed, not replaced.
    pub(crate) target: PathBuf,
    /// The directory that the target is in.
    pub(crate) parent: PathBuf,
    /// The hidden names beside the target.
    pub(crate) beside: Hidden,
}

impl Site {
    /// Finds the place; changes nothing.
    ///
    /// # Errors
    /// If the path names no file, or the storage cannot hold the names that a save needs there.
    pub(crate) fn at(storage: &dyn Storage, path: &Path) -> Result<Self> {
        if path.as_os_str().is_empty() {
            let what = "the path is empty; give the name of a file, run/last.ckpt for instance";
            return Err(Error::destination(path, what));
        }
        // A slash at the end means the same file.
        let target = resolve(storage, path, path.components().as_path())?;
        let Some(name) = target.file_name().map(OsString::from) else {
            return Err(Error::destination(
                path,
                "it names no file; give the name of a file, run/last.ckpt for instance",
            ));
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let target = target.with_file_name(name);
        let site = Self {
            path: path.to_path_buf(),
            beside: Hidden::beside(&target),
            parent,
            target,
        };
        let token = Token::draw();
        let deepest = site
            .beside
            .path(token, Ending::Partial)
            .join(token.generation())
            .join(rank_file(0));
        resolve(storage, path, &deepest)?;
        Ok(site)
    }

    pub(crate) fn kind(&self, storage: &dyn Storage) -> Result<Option<FileKind>> {
        storage.kind(&self.target).map_err(Error::io("look at", &self.target))
    }

    /// Creates the directory that the target is in.
    pub(crate) fn create_parent(&self, storage: &dyn Storage) -> Result<()> {
        let parent = &self.parent;
        storage.create_dir_all(parent).map_err(Error::io("create", parent))
    }

    /// Refuses a file where it would replace anything but a file, or a checkpoint in a directory with nothing else in it.
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
        match parts::first_stranger(storage, &self.target)? {
            None => Ok(()),
            Some(stranger) => Err(self.would_lose(&stranger, "a file cannot take its place without losing that")),
        }
    }

    /// Refuses a directory where it would replace anything but a file or a checkpoint in a directory.
    pub(crate) fn check_for_directory(&self, storage: &dyn Storage) -> Result<()> {
        match self.kind(storage)? {
            None | Some(FileKind::File) => return Ok(()),
            Some(FileKind::Other) => return Err(self.special()),
            Some(FileKind::Directory) => {}
        }
        let target = &self.target;
        if !is_ours(storage, target)? {
            return match parts::first_stranger(storage, target)? {
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
        match parts::stranger_in_committed(storage, target)? {
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

    /// The file of the directory at the target that has the first tensors, if there is one, and the manifest otherwise.
    fn file_of_tensors(&self, storage: &dyn Storage) -> Result<PathBuf> {
        if let Ok(generation) = generation_in(storage, &self.target) {
            let file = self.target.join(generation).join(rank_file(0));
            if storage.kind(&file).map_err(Error::io("look at", &file))? == Some(FileKind::File) {
                return Ok(file);
            }
        }
        Ok(self.target.join(FILE_NAME))
    }

    /// Gives the file at `new` the target's name. Says whether something has stepped aside.
    pub(crate) fn put_file(&self, storage: &dyn Storage, new: &Path, claim: &Claim<'_>) -> Result<bool> {
        self.take_turns(storage, claim, |kind, aside| {
            if kind == Some(FileKind::Directory) {
                self.check_for_file(storage)?;
                if !self.step_aside(storage, claim, aside)? {
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

    /// Calls `turn` with the kind of the target, and whether a checkpoint has stepped aside, until the new one has the place. If a
    /// turn fails, the checkpoint that stepped aside comes back.
    pub(crate) fn take_turns(
        &self,
        storage: &dyn Storage,
        claim: &Claim<'_>,
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
            // If even this fails, the checkpoint is found under the name aside.
            let _ = storage.rename(&claim.path(Ending::Replaced), &self.target);
        }
        put.map(|()| aside)
    }

    /// Moves the checkpoint at the target aside. `false` if nothing is there any more.
    pub(crate) fn step_aside(&self, storage: &dyn Storage, claim: &Claim<'_>, aside: &mut bool) -> Result<bool> {
        let replaced = claim.path(Ending::Replaced);
        if *aside {
            // Another save has put a whole checkpoint there since, so the one that stepped aside before is not needed.
            parts::remove(storage, &replaced).map_err(Error::io("remove", &replaced))?;
        }
        claim::clear_aside(storage, self, claim.token());
        match storage.rename(&self.target, &replaced) {
            Ok(()) => {
                *aside = true;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("rename", &self.target)(error)),
        }
    }

    /// Makes durable that the new one has the place, and removes the checkpoints that stepped aside for it and for saves that were killed.
    pub(crate) fn end(
        &self,
        storage: &dyn Storage,
        claim: Claim<'_>,
        stepped_aside: bool,
        left_aside: bool,
        sync: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if stepped_aside {
            let synced = sync();
            let removed = synced.is_ok() && parts::remove(storage, &claim.path(Ending::Replaced)).unwrap_or(false);
            claim.end(removed);
            synced?;
        } else {
            // Before the directory is synced, so that a power failure does not bring the lock's file back.
            claim.end(true);
            sync()?;
        }
        if left_aside {
            claim::sweep(storage, self);
        }
        Ok(())
    }

    /// Says that the directory which was saved into is gone.
    pub(crate) fn taken_away(&self) -> Error {
        Error::destination(
            &self.path,
            "another save, or somebody else, took the directory away while this save wrote into it; save again",
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

/// A directory that is somebody else's checkpoint would be hidden behind ours.
fn is_of_others(name: &str) -> bool {
    name == ".metadata" || name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")
}
