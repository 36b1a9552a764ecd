//! The token of a save, and the lock that claims every file with this token for the save.
//!
//! The lock's file is the first thing that a save creates and the last that it removes, and the system releases the lock
//! when the process ends. So a save that can take the lock of a marked file knows that the file's save is dead, and removes the
//! leftovers. Nothing without a mark is removed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::parts::{self, Mark};
use super::site::Site;
use crate::error::{Error, Result};
use crate::format::directory::FILE_NAME;
use crate::source::head::{generation_in, is_ours};
use crate::source::hidden::{Ending, Hidden, MARK, Token};
use crate::storage::{FileKind, Storage, WriteFile};

/// The token of a save, and its lock. Dropped, the lock's file is removed.
#[derive(Debug)]
pub(crate) struct Claim<'s> {
    storage: &'s dyn Storage,
    hidden: Hidden,
    token: Token,
    held: Option<Box<dyn WriteFile>>,
}

impl<'s> Claim<'s> {
    /// Draws a token, and locks it.
    pub(crate) fn new(storage: &'s dyn Storage, hidden: &Hidden) -> Result<Self> {
        loop {
            if let Some(claim) = Self::of(storage, hidden, Token::draw())? {
                return Ok(claim);
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
        let mut claim = Self::holding(storage, hidden, token, held);
        if let Some(held) = &mut claim.held {
            held.write_all(MARK).map_err(Error::io("write", &path))?;
        }
        Ok(Some(claim))
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

    /// One of its names.
    pub(crate) fn path(&self, ending: Ending) -> PathBuf {
        self.hidden.path(self.token, ending)
    }

    /// Releases the lock and leaves its file: a later save finds the files that could not be removed now.
    pub(crate) fn leave(&mut self) {
        self.held = None;
    }

    /// Releases the lock if everything of it is gone, and leaves its file otherwise.
    pub(crate) fn end(mut self, is_gone: bool) {
        if !is_gone {
            self.leave();
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.held.is_some() {
            // The file's name goes first: it stands for a save as long as it is there. A device that fails once may work
            // the next time; a later save finds a file that stays.
            let path = self.path(Ending::Lock);
            let _ = self
                .storage
                .remove_file(&path)
                .or_else(|_| self.storage.remove_file(&path));
        }
    }
}

/// Removes the leftovers of dead saves beside the target, of either kind, and in a directory that is there. A courtesy: a
/// save does not fail for it. Says whether something stepped aside for a save that did not come to its end: it stays until
/// there is something in its place.
pub(crate) fn sweep(storage: &dyn Storage, site: &Site) -> bool {
    let left_aside = sweep_names(storage, &site.beside, &site.target);
    if matches!(storage.kind(&site.target), Ok(Some(FileKind::Directory))) {
        sweep_inside(storage, &site.target);
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
        // In this order: a generation without a lock was committed before, or never will be.
        let unlocked = matches!(storage.kind(&inside.path(token, Ending::Lock)), Ok(None));
        let replaced = || generation_in(storage, directory).is_ok_and(|committed| committed != *name);
        if unlocked && replaced() && parts::is_generation(storage, directory, token) {
            let _ = parts::remove_generation(storage, &directory.join(name));
        }
    }
}

fn sweep_names(storage: &dyn Storage, hidden: &Hidden, target: &Path) -> bool {
    let names = storage.list(&hidden.directory).unwrap_or_default();
    let ours: Vec<(Token, Ending)> = names.iter().filter_map(|name| hidden.parse(name)).collect();
    for &(token, _) in ours.iter().filter(|(_, ending)| *ending == Ending::Lock) {
        // A courtesy, as said above.
        let _ = sweep_claim(storage, hidden, token, target);
    }
    for &(token, ending) in ours.iter().filter(|(_, ending)| *ending != Ending::Lock) {
        let _ = sweep_orphan(storage, hidden, token, ending, target);
    }
    ours.iter().any(|(_, ending)| *ending == Ending::Replaced)
}

/// Removes everything of a token whose save is dead.
fn sweep_claim(storage: &dyn Storage, hidden: &Hidden, token: Token, target: &Path) -> io::Result<()> {
    let lock = hidden.path(token, Ending::Lock);
    // Before, since nothing but a lock's file is touched; and after, since its save may have written meanwhile.
    let before = Mark::of(storage, &lock, MARK)?;
    if before.is_none() {
        return Ok(());
    }
    let Some(held) = storage.take_over(&lock)? else {
        return Ok(());
    };
    let claim = Claim::holding(storage, hidden, token, held);
    let is_marked = [before, Mark::of(storage, &lock, MARK)?].contains(&Some(Mark::Whole));
    // A lock without all of its mark was there before anything else.
    let is_gone = !is_marked || remove_claimed(storage, &claim, target).unwrap_or(false);
    claim.end(is_gone);
    Ok(())
}

/// Removes the files of a token, but never the only checkpoint that there is. Says whether nothing is left.
fn remove_claimed(storage: &dyn Storage, claim: &Claim<'_>, target: &Path) -> io::Result<bool> {
    let mut is_gone = parts::remove(storage, &claim.path(Ending::Partial))?;
    let replaced = claim.path(Ending::Replaced);
    if storage.kind(&replaced)?.is_some() {
        // Its save is dead, so a checkpoint at the target came later.
        is_gone &= storage.kind(target)?.is_some() && parts::remove(storage, &replaced)?;
    }
    let directory = &claim.hidden.directory;
    let folder = directory.join(claim.token.generation());
    if directory == target && storage.kind(&folder)?.is_some() {
        // The manifest is read after the lock was taken: nobody can commit the folder any more.
        let committed = match storage.kind(&directory.join(FILE_NAME))? {
            None => None,
            Some(_) => match generation_in(storage, directory) {
                Ok(committed) => Some(committed),
                // Which folder a damaged manifest speaks of is not known, and it may be mended.
                Err(_) => return Ok(false),
            },
        };
        if committed != Some(claim.token.generation()) {
            is_gone &= parts::remove_generation(storage, &folder)?;
        }
    }
    Ok(is_gone)
}

/// Removes the checkpoints that stepped aside for other saves, dead ones and living ones: the checkpoint at the target came
/// later. So one at most is there when a save moves another one aside, and `open` finds the last.
pub(crate) fn clear_aside(storage: &dyn Storage, site: &Site, own: Token) {
    let hidden = &site.beside;
    let names = storage.list(&hidden.directory).unwrap_or_default();
    let replaced = names.iter().filter_map(|name| match hidden.parse(name) {
        Some((token, Ending::Replaced)) if token != own => Some(token),
        _ => None,
    });
    for token in replaced {
        let is_marked = || Mark::of(storage, &hidden.path(token, Ending::Lock), MARK);
        // In this order: a checkpoint at the target now came after one that was aside before.
        if matches!(storage.kind(&site.target), Ok(Some(_))) && matches!(is_marked(), Ok(Some(Mark::Whole))) {
            // A courtesy, as said above.
            let _ = parts::remove(storage, &hidden.path(token, Ending::Replaced));
        }
    }
}

/// Removes a leftover that has lost its lock, after a power failure for instance. Its contents must prove that a save made it.
fn sweep_orphan(storage: &dyn Storage, hidden: &Hidden, token: Token, ending: Ending, target: &Path) -> Result<()> {
    let path = hidden.path(token, ending);
    let io = |error| Error::io("look at", &path)(error);
    // No token is drawn twice, so a token without a lock now will never have one.
    let locked = storage.kind(&hidden.path(token, Ending::Lock)).map_err(io)?.is_some();
    if locked || ending == Ending::Replaced && storage.kind(target).map_err(io)?.is_none() {
        return Ok(());
    }
    match storage.kind(&path).map_err(io)? {
        Some(FileKind::File) if parts::is_our_file(storage, &path) => {
            storage.remove_if_abandoned(&path).map_err(io)?;
        }
        Some(FileKind::Directory) => {
            let is_empty = storage.list_os(&path).map_err(io)?.is_empty();
            if is_empty || is_ours(storage, &path)? && parts::first_stranger(storage, &path)?.is_none() {
                parts::remove(storage, &path).map_err(io)?;
            }
        }
        _ => {}
    }
    Ok(())
}
