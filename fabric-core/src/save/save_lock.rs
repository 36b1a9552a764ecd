//! The token of a save, and the lock that marks every file with this token as one of a running save.
//!
//! The lock's file is the first file that a save creates and the last that it removes. The system releases the lock
//! when the process ends, so a save that can take the lock of a marked file knows that the other save is dead, and
//! removes its leftovers. Files without a mark stay.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::destination::Destination;
use super::own_files::{self, Mark};
use crate::error::{Error, Result};
use crate::format::directory::FILE_NAME;
use crate::source::head::generation_in;
use crate::source::hidden::{Ending, Hidden, MARK, Token};
use crate::storage::{FileKind, Storage, WriteFile};

/// The token of a save, and its lock. If it is dropped, the lock's file is removed.
#[derive(Debug)]
pub(crate) struct SaveLock<'s> {
    storage: &'s dyn Storage,
    hidden: Hidden,
    token: Token,
    held: Option<Box<dyn WriteFile>>,
}

impl<'s> SaveLock<'s> {
    /// Draws a token, and locks it.
    pub(crate) fn new(storage: &'s dyn Storage, hidden: &Hidden) -> Result<Self> {
        loop {
            if let Some(lock) = Self::of(storage, hidden, Token::draw())? {
                return Ok(lock);
            }
        }
    }

    /// Locks a token; `None` if there is a lock of it.
    pub(crate) fn of(storage: &'s dyn Storage, hidden: &Hidden, token: Token) -> Result<Option<Self>> {
        let path = hidden.path(token, Ending::Lock);
        let held = match storage.create(&path) {
            Ok(held) => held,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(Error::io("create", &path)(error)),
        };
        let mut lock = Self::holding(storage, hidden, token, held);
        if let Some(held) = &mut lock.held {
            held.write_all(MARK).map_err(Error::io("write", &path))?;
        }
        Ok(Some(lock))
    }

    fn holding(storage: &'s dyn Storage, hidden: &Hidden, token: Token, held: Box<dyn WriteFile>) -> Self {
        Self {
            storage,
            hidden: hidden.clone(),
            token,
            held: Some(held),
        }
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// The path of a file with this token.
    pub(crate) fn path(&self, ending: Ending) -> PathBuf {
        self.hidden.path(self.token, ending)
    }

    /// Releases the lock and leaves its file: a later save finds the files that cannot be removed now.
    pub(crate) fn leave(&mut self) {
        self.held = None;
    }

    /// Releases the lock, and leaves its file unless all other files of the token are gone.
    pub(crate) fn end(mut self, is_gone: bool) {
        if !is_gone {
            self.leave();
        }
    }
}

impl Drop for SaveLock<'_> {
    fn drop(&mut self) {
        if self.held.is_some() {
            // The file is removed before the lock is released: a lock's file marks a running save. The second attempt
            // is for a device that fails once; a later save finds a file that stays.
            let path = self.path(Ending::Lock);
            let _ = self
                .storage
                .remove_file(&path)
                .or_else(|_| self.storage.remove_file(&path));
        }
    }
}

/// Removes the leftovers of dead saves beside the target, and in the directory at the target. A failure does not fail
/// the save. True if a checkpoint of a dead save stepped aside: it stays until the target exists.
pub(crate) fn sweep(storage: &dyn Storage, destination: &Destination) -> bool {
    let left_aside = sweep_names(storage, &destination.beside, &destination.target);
    if matches!(storage.kind(&destination.target), Ok(Some(FileKind::Directory))) {
        sweep_inside(storage, &destination.target);
    }
    left_aside
}

/// Removes the leftovers of dead saves in a checkpoint's directory.
pub(crate) fn sweep_inside(storage: &dyn Storage, directory: &Path) {
    let inside = Hidden::inside(directory);
    sweep_names(storage, &inside, directory);
    let Ok(names) = storage.list(directory) else { return };
    for name in &names {
        let Some(token) = Token::of_generation(name) else {
            continue;
        };
        // The lock is looked at before the manifest is read: a generation without a lock was committed before, or never
        // will be.
        let unlocked = matches!(storage.kind(&inside.path(token, Ending::Lock)), Ok(None));
        let replaced = || generation_in(storage, directory).is_ok_and(|committed| committed != *name);
        if unlocked && replaced() && own_files::is_generation(storage, directory, token) {
            let _ = own_files::remove_generation(storage, &directory.join(name));
        }
    }
}

fn sweep_names(storage: &dyn Storage, hidden: &Hidden, target: &Path) -> bool {
    let names = storage.list(&hidden.directory).unwrap_or_default();
    let ours: Vec<(Token, Ending)> = names.iter().filter_map(|name| hidden.parse(name)).collect();
    for &(token, _) in ours.iter().filter(|(_, ending)| *ending == Ending::Lock) {
        // A courtesy, as said above.
        let _ = sweep_locked(storage, hidden, token, target);
    }
    for &(token, ending) in ours.iter().filter(|(_, ending)| *ending != Ending::Lock) {
        let _ = sweep_orphan(storage, hidden, token, ending, target);
    }
    ours.iter().any(|(_, ending)| *ending == Ending::Replaced)
}

/// Removes everything of a token whose save is dead.
fn sweep_locked(storage: &dyn Storage, hidden: &Hidden, token: Token, target: &Path) -> io::Result<()> {
    let path = hidden.path(token, Ending::Lock);
    // The mark is read before the lock is taken, because no foreign file may be locked, and again after, because the
    // save may have written its mark in between.
    let before = Mark::of(storage, &path, MARK)?;
    if before.is_none() {
        return Ok(());
    }
    let Some(held) = storage.take_over(&path)? else {
        return Ok(());
    };
    let lock = SaveLock::holding(storage, hidden, token, held);
    let is_marked = [before, Mark::of(storage, &path, MARK)?].contains(&Some(Mark::Whole));
    // A lock's file without its whole mark is older than every other file of its token.
    let is_gone = !is_marked || remove_locked(storage, &lock, target).unwrap_or(false);
    lock.end(is_gone);
    Ok(())
}

/// Removes the files of a token, but never the only checkpoint. True if nothing is left.
fn remove_locked(storage: &dyn Storage, lock: &SaveLock<'_>, target: &Path) -> io::Result<bool> {
    let mut is_gone = own_files::remove(storage, &lock.path(Ending::Partial))?;
    let replaced = lock.path(Ending::Replaced);
    if storage.kind(&replaced)?.is_some() {
        // The save of the token is dead, so a checkpoint at the target is newer.
        is_gone &= storage.kind(target)?.is_some() && own_files::remove(storage, &replaced)?;
    }
    let directory = &lock.hidden.directory;
    let folder = directory.join(lock.token.generation());
    if directory == target && storage.kind(&folder)?.is_some() {
        // The manifest is read after the lock was taken: no save can commit the folder any more.
        let committed = match storage.kind(&directory.join(FILE_NAME))? {
            None => None,
            Some(_) => match generation_in(storage, directory) {
                Ok(committed) => Some(committed),
                // A damaged manifest may be repaired, and may name this folder.
                Err(_) => return Ok(false),
            },
        };
        if committed != Some(lock.token.generation()) {
            is_gone &= own_files::remove_generation(storage, &folder)?;
        }
    }
    Ok(is_gone)
}

/// Removes the checkpoints that stepped aside for other saves: the checkpoint at the target is newer. So at most one
/// checkpoint is aside when a save moves another one aside, and `open` finds the latest.
pub(crate) fn clear_aside(storage: &dyn Storage, destination: &Destination, own: Token) {
    let hidden = &destination.beside;
    let names = storage.list(&hidden.directory).unwrap_or_default();
    let replaced = names.iter().filter_map(|name| match hidden.parse(name) {
        Some((token, Ending::Replaced)) if token != own => Some(token),
        _ => None,
    });
    for token in replaced {
        let is_marked = || Mark::of(storage, &hidden.path(token, Ending::Lock), MARK);
        // In this order: a checkpoint at the target now came after one that was aside before.
        if matches!(storage.kind(&destination.target), Ok(Some(_))) && matches!(is_marked(), Ok(Some(Mark::Whole))) {
            // A courtesy, as said above.
            let _ = own_files::remove(storage, &hidden.path(token, Ending::Replaced));
        }
    }
}

/// Removes a leftover without a lock's file, as a power failure leaves it. Its contents must prove that a save made it.
fn sweep_orphan(storage: &dyn Storage, hidden: &Hidden, token: Token, ending: Ending, target: &Path) -> Result<()> {
    let path = hidden.path(token, ending);
    let io = |error| Error::io("look at", &path)(error);
    // No token is drawn twice, so a token without a lock now will never have one.
    let locked = storage.kind(&hidden.path(token, Ending::Lock)).map_err(io)?.is_some();
    if locked || ending == Ending::Replaced && storage.kind(target).map_err(io)?.is_none() {
        return Ok(());
    }
    match storage.kind(&path).map_err(io)? {
        Some(FileKind::File) if own_files::is_own_file(storage, &path) => {
            storage.remove_if_abandoned(&path).map_err(io)?;
        }
        // The manifest goes first when a checkpoint is removed; the files of the ranks prove whose they are without it.
        Some(FileKind::Directory) if own_files::first_foreign_entry(storage, &path)?.is_none() => {
            own_files::remove(storage, &path).map_err(io)?;
        }
        _ => {}
    }
    Ok(())
}
