//! The handles of one Fabric: dropping the last handle of a program waits for the save in the background.
//!
//! A progress callback may hold a handle itself, and is dropped when its save has ended. So a handle that existed when
//! such a save started, and that only callbacks have used since, may be the callback's: it does not count as the
//! program's.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Background, BackgroundSave, Saving};
use crate::absolute::Absolute;
use crate::error::{Error, Result};
use crate::phases::Phases;
use crate::save::Decided;
use crate::threads::calls::{self, Within};

/// One handle; each clone is another one.
#[derive(Debug)]
pub(crate) struct BackgroundHandle {
    background: Arc<Background>,
    number: u64,
}

/// All handles of a Fabric, by number.
#[derive(Debug, Default)]
pub(crate) struct HandleRegistry {
    next: u64,
    there: Vec<u64>,
    /// The handles that the callback of the save on its way may hold.
    perhaps_of_callback: Vec<u64>,
}

impl HandleRegistry {
    fn add(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.there.push(number);
        number
    }

    /// Removes a handle. True if the program has other handles.
    fn remove(&mut self, number: u64) -> bool {
        self.there.retain(|&there| there != number);
        self.perhaps_of_callback.retain(|&other| other != number);
        self.there.len() > self.perhaps_of_callback.len()
    }

    fn is_of_program(&mut self, number: u64) {
        self.perhaps_of_callback.retain(|&other| other != number);
    }

    /// Records that a save has started. If it has a callback, the handle `by` which it was started is not the
    /// callback's.
    fn saving(&mut self, by: Option<u64>) {
        self.perhaps_of_callback.clear();
        if let Some(by) = by {
            self.perhaps_of_callback.clone_from(&self.there);
            self.is_of_program(by);
        }
    }
}

impl BackgroundHandle {
    /// The first handle of a new Fabric.
    pub(crate) fn new(staging: usize) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Self::to(Arc::new(Background::new(
            staging,
            NEXT_ID.fetch_add(1, Ordering::Relaxed),
        )))
    }

    fn to(background: Arc<Background>) -> Self {
        let number = background.handles().add();
        Self { background, number }
    }

    /// Returns true while a save is on its way.
    pub(crate) fn is_busy(&self) -> bool {
        self.background.is_busy()
    }

    /// Begins a call, which lasts until the returned guard is dropped.
    ///
    /// # Errors
    /// If this thread is within a call of the same Fabric.
    pub(crate) fn enter(&self, call: &'static str) -> Result<Within> {
        let id = self.background.id;
        if calls::is_within(id) {
            return Err(Error::Nested { call });
        }
        self.background.handles().is_of_program(self.number);
        Ok(calls::enter(id))
    }

    /// As [`Background::save`].
    pub(crate) fn save(
        &self,
        request: BackgroundSave<'_>,
        decide: impl FnOnce(&Phases, &Absolute) -> Result<Decided>,
    ) -> Result<Saving> {
        let watched = request.watched;
        let saving = self.background.save(request, decide)?;
        if !saving.is_skipped() {
            self.background.handles().saving(watched.then_some(self.number));
        }
        Ok(saving)
    }
}

impl Clone for BackgroundHandle {
    fn clone(&self) -> Self {
        Self::to(Arc::clone(&self.background))
    }
}

impl Deref for BackgroundHandle {
    type Target = Background;

    fn deref(&self) -> &Background {
        &self.background
    }
}

impl Drop for BackgroundHandle {
    fn drop(&mut self) {
        let others = self.background.handles().remove(self.number);
        if !others && !calls::is_within(self.background.id) {
            self.background.join_last();
        }
    }
}
