//! Who may start a save: one at a time, from before it waits for the earlier save until its own is on its way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::lock;
use crate::dist::ranks::Ranks;
use crate::error::Result;
use crate::options::WhenBusy;

/// The turn of all saves of one Fabric and its clones. Who asks whether it is free does not wait for whoever has it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The ranks, with a channel of their own for what is written in the background.
    writing: Mutex<Option<Arc<Ranks>>>,
    shared: Mutex<Shared>,
}

/// Its lock is held for moments.
#[derive(Debug, Default)]
struct Shared {
    /// Where whoever has the turn saves to.
    path: Option<PathBuf>,
    /// The ranks, with a channel of their own for the question whether they are busy.
    asking: Option<Arc<Ranks>>,
}

/// The turn, until this is dropped.
pub(crate) struct Taken<'t> {
    turn: &'t Turn,
    writing: MutexGuard<'t, Option<Arc<Ranks>>>,
}

impl Turn {
    /// Takes the turn to save to `path`; waits for it if `asked` says so. `None` if a save is starting or `on_its_way`, on any
    /// rank, and the call is not to wait: the ranks all do the same then.
    pub(crate) fn take(
        &self,
        ranks: &Ranks,
        asked: WhenBusy,
        path: &Path,
        on_its_way: impl FnOnce() -> bool,
    ) -> Result<Option<Taken<'_>>> {
        if asked == WhenBusy::Wait {
            return Ok(Some(self.taken(lock(&self.writing), path)));
        }
        let taken = match self.writing.try_lock() {
            Ok(writing) => Some(self.taken(writing, path)),
            Err(TryLockError::Poisoned(poisoned)) => Some(self.taken(PoisonError::into_inner(poisoned), path)),
            Err(TryLockError::WouldBlock) => None,
        };
        let busy = taken.is_none() || on_its_way();
        if ranks.alone() {
            return Ok(taken.filter(|_| !busy));
        }
        // Before the first save on several ranks they have no channel beside the one that it starts over: so this waits for
        // the start of it, which waits for no other save.
        let asking = || lock(&self.shared).asking.clone();
        let (first, mut waited) = (asking(), None);
        let channel = if first.is_none() && taken.is_none() {
            waited = Some(lock(&self.writing));
            asking()
        } else {
            first
        };
        let ask = channel.as_deref().unwrap_or(ranks);
        let ((), said) = ask.step("save: busy", || Ok(((), vec![u8::from(busy)])))?;
        drop(waited);
        let any = said.iter().any(|said| said.first() == Some(&1));
        Ok(taken.filter(|_| !any))
    }

    fn taken<'t>(&'t self, writing: MutexGuard<'t, Option<Arc<Ranks>>>, path: &Path) -> Taken<'t> {
        lock(&self.shared).path = Some(path.to_path_buf());
        Taken { turn: self, writing }
    }

    /// Where whoever has the turn saves to.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        lock(&self.shared).path.clone()
    }
}

impl Taken<'_> {
    /// The ranks with the channel that a save in the background is written over: a step of all ranks, the first time.
    pub(crate) fn channel(&mut self, ranks: &Ranks) -> Result<Arc<Ranks>> {
        if let Some(writing) = &*self.writing {
            return Ok(Arc::clone(writing));
        }
        let writing = Arc::new(ranks.duplicate()?);
        let asking = Arc::new(ranks.duplicate()?);
        lock(&self.turn.shared).asking = Some(asking);
        Ok(Arc::clone(self.writing.insert(writing)))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        lock(&self.turn.shared).path = None;
    }
}
