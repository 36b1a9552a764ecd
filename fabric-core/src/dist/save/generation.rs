//! A fresh folder in the directory of a checkpoint, into which nobody reads before its manifest is in place.
//!
//! Where a directory is at the path already, the folder is made in it. Otherwise it is made in a directory with a hidden name,
//! which takes the place whole; if another save was faster to put a directory there, the folder moves into that one. So one
//! directory never replaces another one, and each commit is the renaming of a manifest or of a directory.

use std::io::ErrorKind;
use std::path::Path;

use super::place::{Place, Replaced};
use crate::dist::manifest::check;
use crate::error::{Error, Result};
use crate::format::ManifestError;
use crate::format::directory::FILE_NAME;
use crate::format::manifest::{Kind, Manifest};
use crate::options::Durability;
use crate::phases::{Phase, Phases};
use crate::save::claim::{self, Claim};
use crate::save::parts;
use crate::save::publish::{create, fill, sync_committed, sync_dir};
use crate::save::site::Site;
use crate::source::head::generation_in;
use crate::source::hidden::{Ending, Hidden, Token};
use crate::storage::{FileKind, Storage};

/// A folder that was begun. Dropped before it is committed, it is removed.
#[derive(Debug)]
pub(crate) struct Generation<'s> {
    storage: &'s dyn Storage,
    site: Site,
    place: Place,
    /// Whether the folder was begun in the directory that is at the path.
    in_place: bool,
    /// Held as long as somebody writes, so that nobody takes the folder for abandoned.
    claim: Option<Claim<'s>>,
    /// Something stepped aside for a save that was killed.
    left_aside: bool,
    committed: bool,
}

impl<'s> Generation<'s> {
    /// Makes the folder, after removing the leftovers of killed processes.
    pub(crate) fn begin(storage: &'s dyn Storage, path: &Path) -> Result<Self> {
        let site = Site::at(storage, path)?;
        site.check_for_directory(storage)?;
        site.create_parent(storage)?;
        let left_aside = claim::sweep(storage, &site);
        let in_place = site.kind(storage)? == Some(FileKind::Directory);
        let replaced = in_place
            .then(|| committed(storage, &site.target))
            .flatten()
            .unwrap_or_default();
        let hidden = if in_place {
            Hidden::inside(&site.target)
        } else {
            site.beside.clone()
        };
        let claim = Claim::new(storage, &hidden)?;
        let begun = Self {
            storage,
            place: Place::new(&site, claim.token(), in_place, &replaced),
            site,
            in_place,
            claim: Some(claim),
            left_aside,
            committed: false,
        };
        begun.make()?;
        Ok(begun)
    }

    fn make(&self) -> Result<()> {
        let (storage, folder) = (self.storage, self.place.folder());
        let create = |path: &Path| storage.create_dir_all(path).map_err(Error::io("create", path));
        if !self.in_place {
            create(&self.place.directory)?;
        }
        match &self.place.replaced {
            Replaced::Generation(replaced) => storage
                .create_dir_like(&folder, replaced)
                .map_err(Error::io("create", &folder)),
            _ => create(&folder),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The place, as a message from rank 0.
    pub(crate) fn message(&self) -> Vec<u8> {
        self.place.message()
    }

    /// Makes the folder the checkpoint that `manifest` describes, but for its kind and its generation: all ranks' files are
    /// durable in it. Gives the length of the manifest.
    pub(crate) fn commit(self, mut manifest: Manifest, durability: Durability, phases: &Phases) -> Result<u64> {
        manifest.head.kind = Kind::Directory;
        self.place.generation().clone_into(&mut manifest.head.generation);
        let checked = check(&manifest).and_then(|()| manifest.encode());
        let manifest = checked.map_err(ManifestError::at_save)?;
        self.commit_bytes(&manifest, durability, phases)?;
        Ok(manifest.len() as u64)
    }

    fn commit_bytes(mut self, manifest: &[u8], durability: Durability, phases: &Phases) -> Result<()> {
        let storage = self.storage;
        let synced = sync_dir(storage, &self.place.folder(), durability, phases);
        synced.map_err(|error| self.or_taken_away(error))?;
        let write = Write {
            manifest,
            durability,
            phases,
        };
        if self.in_place {
            return self.commit_in_place(&write);
        }
        let Some(claim) = self.claim.take() else {
            return Ok(());
        };
        let mut written = false;
        let mut taken_in = false;
        let (site, staging) = (self.site.clone(), self.place.directory.clone());
        let put = site.take_turns(storage, &claim, |kind, aside| {
            if kind == Some(FileKind::Directory) {
                site.check_for_directory(storage)?;
                taken_in = true;
                return Ok(true);
            }
            if !written {
                write.replace(
                    storage,
                    &staging,
                    &claim,
                    self.place.replaced_file(storage, 0)?.as_deref(),
                )?;
                sync_dir(storage, &staging, durability, phases)?;
                written = true;
            }
            if kind == Some(FileKind::File) && !site.step_aside(storage, &claim, aside)? {
                return Ok(false);
            }
            match phases.time(Phase::Commit, || storage.rename(&staging, &site.target)) {
                Ok(()) => Ok(true),
                Err(error) if is_taken(error.kind()) => Ok(false),
                Err(error) => Err(Error::io("rename", &staging)(error)),
            }
        });
        self.claim = Some(claim);
        let stepped_aside = put?;
        if taken_in {
            self.move_in(&write)?;
            // A later save sweeps the files that cannot be removed now.
            let _ = parts::remove(storage, &staging);
        }
        self.committed = true;
        let Some(claim) = self.claim.take() else { return Ok(()) };
        site.end(storage, claim, stepped_aside, self.left_aside, || {
            sync_committed(storage, &site.parent, durability, phases)
        })
    }

    /// Moves the folder into the directory that another save has put at the path meanwhile, and commits it there.
    fn move_in(&self, write: &Write<'_>) -> Result<()> {
        let (storage, site) = (self.storage, &self.site);
        let staged = self.place.folder();
        let Some(token) = Token::of_generation(&self.place.generation) else {
            return Err(Error::Internal("a generation without a token".to_owned()));
        };
        let inside = Claim::of(storage, &Hidden::inside(&site.target), token)?
            .ok_or_else(|| Error::Internal("a token was drawn twice".to_owned()))?;
        let folder = site.target.join(&self.place.generation);
        storage
            .rename(&staged, &folder)
            .map_err(|error| self.or_taken_away(Error::io("rename", &staged)(error)))?;
        let moved = Self {
            storage,
            site: site.clone(),
            place: Place::new(site, token, true, ""),
            in_place: true,
            claim: Some(inside),
            left_aside: false,
            committed: false,
        };
        moved.commit_in_place(write)
    }

    fn commit_in_place(mut self, write: &Write<'_>) -> Result<()> {
        let (storage, target) = (self.storage, self.site.target.clone());
        let Write { durability, phases, .. } = *write;
        // Before the manifest speaks of the folder, its name is durable.
        sync_dir(storage, &target, durability, phases).map_err(|error| self.or_taken_away(error))?;
        let replaced = committed(storage, &target);
        let Some(claim) = &self.claim else { return Ok(()) };
        write
            .replace(storage, &target, claim, Some(&target.join(FILE_NAME)))
            .map_err(|error| self.or_taken_away(error))?;
        self.committed = true;
        sync_committed(storage, &target, durability, phases)?;
        let _removing = phases.begin(Phase::Commit);
        if let Some(replaced) = replaced {
            // A later save sweeps the files that cannot be removed now.
            let _ = parts::remove_generation(storage, &target.join(replaced));
        }
        self.claim = None;
        claim::sweep_inside(storage, &target);
        if self.left_aside {
            claim::sweep(storage, &self.site);
        }
        Ok(())
    }

    /// The error, or why it came: the directory is not there any more.
    fn or_taken_away(&self, error: Error) -> Error {
        use ErrorKind::{NotADirectory, NotFound};
        match error {
            Error::Io { source, .. } if matches!(source.kind(), NotFound | NotADirectory) => self.site.taken_away(),
            other => other,
        }
    }
}

/// The manifest, on its way to its place.
struct Write<'w> {
    manifest: &'w [u8],
    durability: Durability,
    phases: &'w Phases,
}

impl Write<'_> {
    /// Replaces the manifest in a directory, in one step.
    fn replace(&self, storage: &dyn Storage, directory: &Path, claim: &Claim<'_>, like: Option<&Path>) -> Result<()> {
        let (partial, target) = (
            Hidden::inside(directory).path(claim.token(), Ending::Partial),
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
            // The error that is returned is why the save failed; the partial manifest is swept later.
            let _ = storage.remove_file(&partial);
        })
    }
}

impl Drop for Generation<'_> {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        if self.committed {
            return;
        }
        // A later save sweeps the files that cannot be removed now.
        let removed = if self.in_place {
            parts::remove_generation(self.storage, &self.place.folder())
        } else {
            parts::remove(self.storage, &claim.path(Ending::Partial))
        };
        claim.end(removed.unwrap_or(false));
    }
}

/// The folder that the manifest in a directory names, if it can be read.
fn committed(storage: &dyn Storage, directory: &Path) -> Option<String> {
    generation_in(storage, directory).ok()
}

/// Whether something came to be at a name since it was free, or an empty directory.
fn is_taken(kind: ErrorKind) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(kind, AlreadyExists | DirectoryNotEmpty | NotADirectory)
}
