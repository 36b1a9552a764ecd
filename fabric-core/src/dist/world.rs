//! The ranks that a Fabric saves and loads with, and the channels that they speak over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ranks::Ranks;
use crate::error::Result;

/// The ranks of one Fabric and its clones.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) ranks: Arc<Ranks>,
    channels: Mutex<Option<Channels>>,
}

/// Duplicates of the process group: steps over one do not mix with those over another.
#[derive(Clone, Debug)]
struct Channels {
    /// For saves that are written in the background.
    writing: Arc<Ranks>,
    /// For the question whether a save is on its way on any rank.
    asking: Arc<Ranks>,
}

impl World {
    pub(crate) fn new(ranks: Arc<Ranks>) -> Self {
        Self {
            ranks,
            channels: Mutex::default(),
        }
    }

    /// The ranks with the channel that a save in the background is written over: a step of all ranks, the first time.
    pub(crate) fn writing(&self) -> Result<Arc<Ranks>> {
        if let Some(channels) = &*self.channels() {
            return Ok(channels.writing.clone());
        }
        let channels = Channels {
            writing: Arc::new(self.ranks.duplicate()?),
            asking: Arc::new(self.ranks.duplicate()?),
        };
        Ok(self.channels().insert(channels).writing.clone())
    }

    /// Whether a save is on its way on any rank; `busy` says whether one is on this rank.
    ///
    /// Before the first save in the background the ranks have no channel but the one that the save starts over: `until_started`
    /// waits for the start of a save that is starting.
    pub(crate) fn is_any_busy(&self, busy: bool, until_started: &dyn Fn()) -> Result<bool> {
        if self.ranks.alone() {
            return Ok(busy);
        }
        let asking = || self.channels().as_ref().map(|channels| channels.asking.clone());
        let channel = asking().or_else(|| {
            until_started();
            asking()
        });
        let ask = channel.as_ref().unwrap_or(&self.ranks);
        let ((), said) = ask.step("save: busy", || Ok(((), vec![u8::from(busy)])))?;
        Ok(said.iter().any(|said| said.first() == Some(&1)))
    }

    /// A thread that panicked with the lock left nothing half done.
    fn channels(&self) -> MutexGuard<'_, Option<Channels>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
