//! A fresh folder in the directory of a checkpoint, into which nobody reads before its manifest is in place.

use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::publish::{fill, partial_name, sync_dir};
use super::site::{LOCK, PARTIAL, Site, is_generation};
use crate::error::{Error, Result};
use crate::format::directory::FILE_NAME;
use crate::options::Durability;
use crate::phases::{Phase, Phases};
use crate::source::directory::read_directory;
use crate::storage::{FileKind, Storage, WriteFile};

/// Where the ranks write.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The directory that gets the manifest.
    directory: PathBuf,
    /// The folder in it.
    generation: String,
}

impl Place {
    pub(crate) fn folder(&self) -> PathBuf {
        self.directory.join(&self.generation)
    }

    pub(crate) fn generation(&self) -> &str {
        &self.generation
    }

    /// What rank 0 says of it: the name of a hidden directory, if one takes the place whole, and the generation's.
    fn message(&self, hidden: Option<&str>) -> Vec<u8> {
        format!("{}\n{}", hidden.unwrap_or_default(), self.generation).into_bytes()
    }

    /// The place that rank 0 speaks of.
    pub(super) fn of_message(storage: &dyn Storage, path: &Path, message: &[u8]) -> Result<Self> {
        let site = Site::at(storage, path)?;
        let unreadable = || Error::Protocol("rank 0 does not say where to write".to_owned());
        let text = std::str::from_utf8(message).map_err(|_| unreadable())?;
        let (hidden, generation) = text.split_once('\n').ok_or_else(unreadable)?;
        Ok(Self {
            directory: if hidden.is_empty() {
                site.target
            } else {
                site.parent.join(hidden)
            },
            generation: generation.to_owned(),
        })
    }
}

/// A folder that was begun. Dropped before it is committed, it is removed.
#[derive(Debug)]
pub(crate) struct Generation<'s> {
    storage: &'s dyn Storage,
    site: Site,
    place: Place,
    /// The name of the directory, if it takes the target's place whole.
    hidden: Option<String>,
    /// Held as long as somebody writes, so that nobody takes the folder for abandoned.
    lock: Option<Box<dyn WriteFile>>,
    /// Something stepped aside for a checkpoint, now or in a save that was killed.
    left_aside: bool,
    committed: bool,
}

impl<'s> Generation<'s> {
    /// Makes the folder, after removing what killed processes have left.
    pub(crate) fn begin(storage: &'s dyn Storage, path: &Path) -> Result<Self> {
        let site = Site::at(storage, path)?;
        let in_place = site.kind(storage)? == Some(FileKind::Directory);
        if in_place {
            refuse_others(storage, &site.target)?;
            sweep(storage, &site.target);
        }
        let left_aside = site.sweep(storage);
        let hidden = (!in_place).then(|| partial_name(&site.name));
        let directory = match &hidden {
            None => site.target.clone(),
            Some(name) => site.parent.join(name),
        };
        let mut begun = Self {
            storage,
            site,
            place: Place {
                directory,
                generation: format!("g-{:016x}", RandomState::new().hash_one(std::time::SystemTime::now())),
            },
            hidden,
            lock: None,
            left_aside,
            committed: false,
        };
        begun.make()?;
        Ok(begun)
    }

    fn make(&mut self) -> Result<()> {
        let directory = &self.place.directory;
        let create = |path: &Path| self.storage.create_dir_all(path).map_err(Error::io("create", path));
        let lock = lock_of(directory, &self.place.generation);
        create(directory)?;
        let mut created = self.storage.create(&lock);
        if matches!(&created, Err(error) if error.kind() == ErrorKind::NotFound) {
            // Another save took the directory for abandoned, as it had no lock yet.
            create(directory)?;
            created = self.storage.create(&lock);
        }
        self.lock = Some(created.map_err(Error::io("create", &lock))?);
        create(&self.place.folder())
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn message(&self) -> Vec<u8> {
        self.place.message(self.hidden.as_deref())
    }

    /// Makes the folder the checkpoint: all ranks' files are durable in it.
    pub(crate) fn commit(mut self, manifest: &[u8], durability: Durability, phases: &Phases) -> Result<()> {
        let storage = self.storage;
        sync_dir(storage, &self.place.folder(), durability, phases)?;
        let directory = self.place.directory.clone();
        let (partial, target) = (directory.join(partial_name(FILE_NAME)), directory.join(FILE_NAME));
        let mut file = storage.create(&partial).map_err(Error::io("create", &partial))?;
        let len = manifest.len() as u64;
        let renamed = fill(&mut *file, &partial, durability, len, phases, |file, path| {
            file.write_all(manifest).map_err(Error::io("write", path))
        })
        .and_then(|()| {
            let renamed = phases.time(Phase::Commit, || storage.rename(&partial, &target));
            renamed.map_err(Error::io("rename", &partial))
        });
        drop(file);
        if let Err(error) = renamed {
            // The error that is returned is why the save failed; the partial manifest is swept later.
            let _ = storage.remove_file(&partial);
            return Err(error);
        }
        self.committed = self.hidden.is_none();
        sync_dir(storage, &directory, durability, phases)?;
        if self.hidden.is_some() {
            self.left_aside |= phases.time(Phase::Commit, || {
                self.site.put(storage, &directory, FileKind::Directory)
            })?;
            self.committed = true;
            self.place.directory.clone_from(&self.site.target);
            sync_dir(storage, &self.site.parent, durability, phases)?;
        }
        let _removing = phases.begin(Phase::Commit);
        if self.left_aside {
            self.site.clear_aside(storage);
        }
        self.unlock();
        sweep(storage, &self.site.target);
        Ok(())
    }

    fn unlock(&mut self) {
        // The file's name goes first: it stands for a writer as long as it is there.
        let _ = self
            .storage
            .remove_file(&lock_of(&self.place.directory, &self.place.generation));
        self.lock = None;
    }
}

impl Drop for Generation<'_> {
    fn drop(&mut self) {
        if self.committed {
            self.unlock();
            return;
        }
        // What cannot be removed now is swept by a later save.
        let _ = self.storage.remove_dir_all(&self.place.folder());
        self.unlock();
        if self.hidden.is_some() {
            let _ = self.storage.remove_dir_all(&self.place.directory);
        }
    }
}

fn lock_of(directory: &Path, generation: &str) -> PathBuf {
    directory.join(format!(".{generation}{LOCK}"))
}

/// A directory that is somebody else's checkpoint would be hidden behind ours.
fn refuse_others(storage: &dyn Storage, directory: &Path) -> Result<()> {
    let names = storage.list(directory).map_err(Error::io("list", directory))?;
    let other = names.iter().find(|name| {
        *name == ".metadata" || name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")
    });
    match other {
        None => Ok(()),
        Some(name) => Err(Error::destination(
            directory,
            format!("it holds `{name}`, which is part of another program's checkpoint; save to another name"),
        )),
    }
}

/// Removes folders that no manifest speaks of and nobody writes. A courtesy: a save does not fail for it.
fn sweep(storage: &dyn Storage, directory: &Path) {
    let Ok(names) = storage.list(directory) else { return };
    let committed = if names.iter().any(|name| name == FILE_NAME) {
        match read_directory(storage, directory) {
            Ok(manifest) => Some(manifest.generation),
            // What a damaged manifest speaks of is not known, and may be mended.
            Err(_) => return,
        }
    } else {
        None
    };
    for name in &names {
        let path = directory.join(name);
        if name.starts_with(&format!(".{FILE_NAME}.")) && name.ends_with(PARTIAL) {
            let _ = storage.remove_if_abandoned(&path);
        }
        // A lock goes after its folder: one that stands by itself is of a save that stopped in between.
        let locked = name.strip_prefix('.').and_then(|name| name.strip_suffix(LOCK));
        if locked.is_some_and(|folder| is_generation(folder) && !names.iter().any(|name| name == folder)) {
            let _ = storage.remove_if_abandoned(&path);
        }
        let lock = lock_of(directory, name);
        if !is_generation(name) {
            continue;
        }
        let abandoned = match storage.kind(&lock) {
            Ok(None) => true,
            Ok(Some(_)) => storage.remove_if_abandoned(&lock).unwrap_or(false),
            Err(_) => false,
        };
        if abandoned && committed.as_deref() != Some(name) {
            let _ = storage.remove_dir_all(&path);
        }
    }
}
