//! A generation: a fresh folder in the directory of a checkpoint, which no load reads before a manifest names it.
//!
//! If the path names a directory, the folder is made in it. Otherwise the folder is made in a directory with a hidden
//! name, which replaces the path as a whole; if another save was faster to put a directory there, the folder moves into
//! that one. So one directory never replaces another one, and each commit is one rename, of a manifest or of a
//! directory.

use std::io::ErrorKind;
use std::path::Path;

use super::shard_dir::{Replaced, ShardDir};
use crate::dist::manifest::check;
use crate::error::{Error, Result};
use crate::format::ManifestError;
use crate::format::directory::FILE_NAME;
use crate::format::manifest::{Manifest, ManifestKind};
use crate::options::Durability;
use crate::phases::{Phase, Phases};
use crate::save::destination::Destination;
use crate::save::own_files;
use crate::save::publish::{create, fill, sync_committed, sync_dir};
use crate::save::save_lock::{self, SaveLock};
use crate::source::head::generation_in;
use crate::source::hidden::{Ending, Hidden, Token};
use crate::storage::{FileKind, Storage};

/// A folder that is being written. If it is dropped before its commit, it is removed.
#[derive(Debug)]
pub(crate) struct Generation<'s> {
    storage: &'s dyn Storage,
    destination: Destination,
    shard_dir: ShardDir,
    /// True if the folder was made in the directory at the path.
    in_place: bool,
    /// The lock that keeps other saves from removing the folder while ranks write into it.
    lock: Option<SaveLock<'s>>,
    /// True if a checkpoint stepped aside for a save that was killed.
    left_aside: bool,
    committed: bool,
}

impl<'s> Generation<'s> {
    /// Makes the folder, after removing the leftovers of killed processes.
    pub(crate) fn create(storage: &'s dyn Storage, path: &Path) -> Result<Self> {
        let destination = Destination::at(storage, path)?;
        destination.check_for_directory(storage)?;
        destination.create_parent(storage)?;
        let left_aside = save_lock::sweep(storage, &destination);
        let in_place = destination.kind(storage)? == Some(FileKind::Directory);
        let replaced = in_place
            .then(|| committed(storage, &destination.target))
            .flatten()
            .unwrap_or_default();
        let hidden = if in_place {
            Hidden::inside(&destination.target)
        } else {
            destination.beside.clone()
        };
        let lock = SaveLock::new(storage, &hidden)?;
        let begun = Self {
            storage,
            shard_dir: ShardDir::new(&destination, lock.token(), in_place, &replaced),
            destination,
            in_place,
            lock: Some(lock),
            left_aside,
            committed: false,
        };
        begun.create_folder()?;
        Ok(begun)
    }

    fn create_folder(&self) -> Result<()> {
        let (storage, folder) = (self.storage, self.shard_dir.folder());
        let create = |path: &Path| storage.create_dir_all(path).map_err(Error::io("create", path));
        if !self.in_place {
            create(&self.shard_dir.directory)?;
        }
        match &self.shard_dir.replaced {
            Replaced::Generation(replaced) => storage
                .create_dir_like(&folder, replaced)
                .map_err(Error::io("create", &folder)),
            _ => create(&folder),
        }
    }

    pub(crate) fn shard_dir(&self) -> &ShardDir {
        &self.shard_dir
    }

    /// The message of rank 0 that names the folder.
    pub(crate) fn message(&self) -> Vec<u8> {
        self.shard_dir.message()
    }

    /// Commits the folder with `manifest`, whose kind and generation are set here. The files of all ranks are durable
    /// by then. Returns the length of the manifest in bytes.
    pub(crate) fn commit(self, mut manifest: Manifest, durability: Durability, phases: &Phases) -> Result<u64> {
        manifest.head.kind = ManifestKind::Directory;
        self.shard_dir.generation().clone_into(&mut manifest.head.generation);
        let checked = check(&manifest).and_then(|()| manifest.encode());
        let manifest = checked.map_err(ManifestError::at_save)?;
        self.commit_bytes(&manifest, durability, phases)?;
        Ok(manifest.len() as u64)
    }

    fn commit_bytes(mut self, manifest: &[u8], durability: Durability, phases: &Phases) -> Result<()> {
        let storage = self.storage;
        let synced = sync_dir(storage, &self.shard_dir.folder(), durability, phases);
        synced.map_err(|error| self.or_taken_away(error))?;
        let write = ManifestWrite {
            manifest,
            durability,
            phases,
        };
        if self.in_place {
            return self.commit_in_place(&write);
        }
        let Some(lock) = self.lock.take() else {
            return Ok(());
        };
        let mut written = false;
        let mut taken_in = false;
        let (destination, staging) = (self.destination.clone(), self.shard_dir.directory.clone());
        let put = destination.take_turns(storage, &lock, |kind, aside| {
            if kind == Some(FileKind::Directory) {
                destination.check_for_directory(storage)?;
                taken_in = true;
                return Ok(true);
            }
            if !written {
                write.replace(
                    storage,
                    &staging,
                    &lock,
                    self.shard_dir.replaced_file(storage, 0)?.as_deref(),
                )?;
                sync_dir(storage, &staging, durability, phases)?;
                written = true;
            }
            if kind == Some(FileKind::File) && !destination.step_aside(storage, &lock, aside)? {
                return Ok(false);
            }
            match phases.time(Phase::Commit, || storage.rename(&staging, &destination.target)) {
                Ok(()) => Ok(true),
                Err(error) if is_taken(error.kind()) => Ok(false),
                Err(error) => Err(Error::io("rename", &staging)(error)),
            }
        });
        self.lock = Some(lock);
        let stepped_aside = put?;
        if taken_in {
            self.move_in(&write)?;
            // A later save sweeps the files that cannot be removed now.
            let _ = own_files::remove(storage, &staging);
        }
        self.committed = true;
        let Some(lock) = self.lock.take() else { return Ok(()) };
        destination.finish(storage, lock, stepped_aside, self.left_aside, || {
            sync_committed(storage, &destination.parent, durability, phases)
        })
    }

    /// Moves the folder into the directory that another save has put at the path meanwhile, and commits it there.
    fn move_in(&self, write: &ManifestWrite<'_>) -> Result<()> {
        let (storage, destination) = (self.storage, &self.destination);
        let staged = self.shard_dir.folder();
        let Some(token) = Token::of_generation(&self.shard_dir.generation) else {
            return Err(Error::Internal("a generation without a token".to_owned()));
        };
        let inside = SaveLock::of(storage, &Hidden::inside(&destination.target), token)?
            .ok_or_else(|| Error::Internal("a token was drawn twice".to_owned()))?;
        let folder = destination.target.join(&self.shard_dir.generation);
        storage
            .rename(&staged, &folder)
            .map_err(|error| self.or_taken_away(Error::io("rename", &staged)(error)))?;
        let moved = Self {
            storage,
            destination: destination.clone(),
            shard_dir: ShardDir::new(destination, token, true, ""),
            in_place: true,
            lock: Some(inside),
            left_aside: false,
            committed: false,
        };
        moved.commit_in_place(write)
    }

    fn commit_in_place(mut self, write: &ManifestWrite<'_>) -> Result<()> {
        let (storage, target) = (self.storage, self.destination.target.clone());
        let ManifestWrite { durability, phases, .. } = *write;
        // The name of the folder is durable before a manifest names the folder.
        sync_dir(storage, &target, durability, phases).map_err(|error| self.or_taken_away(error))?;
        let replaced = committed(storage, &target);
        let Some(lock) = &self.lock else { return Ok(()) };
        write
            .replace(storage, &target, lock, Some(&target.join(FILE_NAME)))
            .map_err(|error| self.or_taken_away(error))?;
        self.committed = true;
        sync_committed(storage, &target, durability, phases)?;
        let _removing = phases.begin(Phase::Commit);
        if let Some(replaced) = replaced {
            // A later save sweeps the files that cannot be removed now.
            let _ = own_files::remove_generation(storage, &target.join(replaced));
        }
        self.lock = None;
        save_lock::sweep_inside(storage, &target);
        if self.left_aside {
            save_lock::sweep(storage, &self.destination);
        }
        Ok(())
    }

    /// The error; or, if the directory is gone, an error that says so.
    fn or_taken_away(&self, error: Error) -> Error {
        use ErrorKind::{NotADirectory, NotFound};
        match error {
            Error::Io { source, .. } if matches!(source.kind(), NotFound | NotADirectory) => {
                self.destination.taken_away()
            }
            other => other,
        }
    }
}

/// A manifest that is being written.
struct ManifestWrite<'w> {
    manifest: &'w [u8],
    durability: Durability,
    phases: &'w Phases,
}

impl ManifestWrite<'_> {
    /// Replaces the manifest in a directory by one rename.
    fn replace(&self, storage: &dyn Storage, directory: &Path, lock: &SaveLock<'_>, like: Option<&Path>) -> Result<()> {
        let (partial, target) = (
            Hidden::inside(directory).path(lock.token(), Ending::Partial),
            directory.join(FILE_NAME),
        );
        let mut file = create(storage, &partial, like)?;
        let len = self.manifest.len() as u64;
        let renamed = fill(&mut *file, &partial, self.durability, len, self.phases, |file, path| {
            file.write_all(self.manifest).map_err(Error::io("write", path))
        })
        .and_then(|()| {
            let renamed = self.phases.time(Phase::Commit, || storage.rename(&partial, &target));
            renamed.map_err(Error::io("rename", &partial))
        });
        drop(file);
        renamed.inspect_err(|_| {
            // The returned error is the cause of the failure; a later save sweeps the partial manifest.
            let _ = storage.remove_file(&partial);
        })
    }
}

impl Drop for Generation<'_> {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        if self.committed {
            return;
        }
        // A later save sweeps the files that cannot be removed now.
        let removed = if self.in_place {
            own_files::remove_generation(self.storage, &self.shard_dir.folder())
        } else {
            own_files::remove(self.storage, &lock.path(Ending::Partial))
        };
        lock.end(removed.unwrap_or(false));
    }
}

/// The length in bytes that the manifest of a directory would have.
pub(crate) fn manifest_len(mut manifest: Manifest) -> Result<u64> {
    manifest.head.kind = ManifestKind::Directory;
    manifest.head.generation = Token::draw().generation();
    manifest.encoded_len().map_err(ManifestError::at_save)
}

/// The generation that the manifest in a directory names, if the manifest can be read.
fn committed(storage: &dyn Storage, directory: &Path) -> Option<String> {
    generation_in(storage, directory).ok()
}

/// Returns true if a rename failed because its target exists by now.
fn is_taken(kind: ErrorKind) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(kind, AlreadyExists | DirectoryNotEmpty | NotADirectory)
}
