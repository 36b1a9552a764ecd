//! The checkpoints of a run's directory, found by reading the heads of their manifests.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::names;
use crate::error::{Error, Result};
use crate::format::facts::{Facts, Marks};
use crate::source::head::head_of;
use crate::source::read::{THREADS, in_parallel};
use crate::storage::{FileKind, Storage};

/// A checkpoint of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Kept {
    /// The step that it was saved at.
    pub step: u64,
    /// The path that [`Fabric::load`](crate::Fabric::load) takes.
    pub path: PathBuf,
    /// The metrics that it was saved with.
    pub metrics: BTreeMap<String, f64>,
    /// The length of its files, in bytes.
    pub bytes: u64,
    /// The time of the save, by the clock of the machine that saved.
    pub time: SystemTime,
    /// The name of the machine that saved, if [`Builder::host`](super::Builder::host) asked for it.
    pub host: Option<String>,
    /// The place in the order in which the checkpoints of the run were saved.
    pub(super) order: u64,
    /// The other checkpoints that were known to be damaged when this one was saved.
    pub(super) damaged: Marks,
}

/// A checkpoint of a run that cannot be read. A run never removes it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Damaged {
    /// The step in its name.
    pub step: u64,
    /// Its path.
    pub path: PathBuf,
    /// The error of reading it.
    pub error: Error,
    /// Its place in the order of the saves, if its head can be read.
    pub(super) order: Option<u64>,
}

/// So many heads are read by one thread.
const FEW: usize = 16;

/// Everything in a run's directory that has the name of a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order in which they were saved.
    pub(super) whole: Vec<Kept>,
    /// One more than the largest order of a checkpoint whose head can be read.
    pub(super) next_order: u64,
    /// Checkpoints whose heads cannot be read, and those that a resume found damaged.
    pub(super) damaged: Vec<Damaged>,
    /// Files and directories of the user under such a name, by their steps.
    pub(super) strangers: Vec<(u64, PathBuf)>,
}

impl Found {
    /// Looks through a directory. A directory that is not there holds nothing. Checkpoints in `known` are not looked at again
    /// as long as their names are there.
    ///
    /// # Errors
    /// If the storage fails, or a checkpoint was written by a newer version of this library.
    pub(super) fn within(storage: &dyn Storage, directory: &Path, known: &BTreeMap<u64, Kept>) -> Result<Self> {
        let names = match storage.list(directory) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io("list", directory)(error)),
        };
        let mut found = Self::default();
        let mut unknown = Vec::new();
        for (step, name) in names.iter().filter_map(|name| Some((names::step(name)?, name))) {
            match known.get(&step) {
                Some(kept) => found.whole.push(kept.clone()),
                None => unknown.push((step, directory.join(name))),
            }
        }
        let found = Mutex::new(found);
        let work = Mutex::new(unknown.into_iter());
        let threads = if work.lock().is_ok_and(|work| work.len() > FEW) {
            THREADS
        } else {
            1
        };
        in_parallel(threads, || {
            let (step, path) = work.lock().unwrap_or_else(PoisonError::into_inner).next()?;
            let looked = look(storage, step, &path);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            Some(found.add(step, path, looked))
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.whole.sort_by_key(|one| one.order);
        found.next_order = found.whole.last().map_or(0, |one| one.order).saturating_add(1);
        found.damaged.sort_by_key(|one| one.step);
        let marked = found.whole.iter().flat_map(|one| &one.damaged).copied().collect();
        found.take_out(&marked);
        Ok(found)
    }

    /// Adds a name of a step as it was found.
    fn add(&mut self, step: u64, path: PathBuf, looked: Result<LookedAt>) -> Result<()> {
        match looked {
            Ok(LookedAt::Kept(kept)) => self.whole.push(kept),
            Ok(LookedAt::Stranger) => self.strangers.push((step, path)),
            Ok(LookedAt::Gone) => {}
            Err(error) if is_damage(&error) => self.damaged.push(Damaged {
                step,
                path,
                error,
                order: None,
            }),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Moves checkpoints that a resume found damaged away from those that may be whole.
    pub(super) fn take_out(&mut self, marked: &Marks) {
        let is_marked = |one: &mut Kept| marked.contains(&(one.step, one.order));
        let taken: Vec<Kept> = self.whole.extract_if(.., is_marked).collect();
        self.damaged.extend(taken.into_iter().map(|one| Damaged {
            step: one.step,
            error: Error::corrupt(&one.path, "a resume could not read it"),
            path: one.path,
            order: Some(one.order),
        }));
    }

    /// The checkpoints that a resume found damaged and that are still there.
    pub(super) fn marked(&self) -> Marks {
        let marked = self.damaged.iter();
        marked.filter_map(|one| Some((one.step, one.order?))).collect()
    }
}

/// Something under the name of a checkpoint.
pub(super) enum LookedAt {
    Kept(Kept),
    /// A file or directory that no run has written.
    Stranger,
    /// It was removed since the directory was listed.
    Gone,
}

/// Looks at the checkpoint of a step.
///
/// # Errors
/// If its head is damaged, or of a newer version of the format; if the storage fails.
pub(super) fn look(storage: &dyn Storage, step: u64, path: &Path) -> Result<LookedAt> {
    let looked = look_at(storage, step, path);
    match looked {
        Ok(LookedAt::Kept(_)) => looked,
        // Retention may remove the checkpoint while it is looked at.
        _ if storage.kind(path).map_err(Error::io("look at", path))?.is_none() => Ok(LookedAt::Gone),
        _ => looked,
    }
}

fn look_at(storage: &dyn Storage, step: u64, path: &Path) -> Result<LookedAt> {
    let facts = head_of(storage, path)?.and_then(|head| Facts::of(&head.facts));
    match facts.filter(|facts| facts.step == step) {
        Some(facts) => kept(storage, facts, path.to_path_buf()).map(LookedAt::Kept),
        None => Ok(LookedAt::Stranger),
    }
}

/// Returns true if an error means that a checkpoint is damaged, so that a run passes over it.
pub(super) fn is_damage(error: &Error) -> bool {
    match error {
        Error::Corrupt { .. } | Error::Checksum { .. } | Error::UnknownFormat { .. } => true,
        Error::Interrupted { source, .. } => is_damage(source),
        _ => false,
    }
}

fn kept(storage: &dyn Storage, facts: Facts, path: PathBuf) -> Result<Kept> {
    let bytes = bytes(storage, &path, FOLDERS)?;
    let Facts {
        step,
        order,
        time,
        metrics,
        host,
        damaged,
    } = facts;
    Ok(Kept {
        step,
        path,
        metrics,
        bytes,
        time,
        host,
        order,
        damaged,
    })
}

/// A checkpoint in a directory has its files in the directory and in one folder below it.
const FOLDERS: usize = 2;

/// The length of a file, or of all files in a directory and in so many levels of folders.
fn bytes(storage: &dyn Storage, path: &Path, folders: usize) -> Result<u64> {
    match storage.kind(path).map_err(Error::io("look at", path))? {
        Some(FileKind::File) => match storage.open(path) {
            Ok(file) => file.len().map_err(Error::io("look at", path)),
            // Removed since it was looked at.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(Error::io("open", path)(error)),
        },
        Some(FileKind::Directory) if folders > 0 => {
            let names = match storage.list(path) {
                Ok(names) => names,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(Error::io("list", path)(error)),
            };
            names
                .iter()
                .map(|name| bytes(storage, &path.join(name), folders - 1))
                .sum()
        }
        _ => Ok(0),
    }
}
