//! The ranks that a Fabric saves and loads with, and the channels over which they exchange messages.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ranks::Ranks;
use crate::error::Result;

/// The ranks of one Fabric and its clones.
#[derive(Debug)]
pub(crate) struct RankChannels {
    pub(crate) ranks: Arc<Ranks>,
    channels: Mutex<Option<Channels>>,
}

/// Duplicates of the process group: steps over one do not mix with those over another.
#[derive(Clone, Debug)]
struct Channels {
    /// The channel of saves in the background.
    writing: Arc<Ranks>,
    /// The channel on which ranks ask each other whether a save is on its way.
    asking: Arc<Ranks>,
}

impl RankChannels {
    pub(crate) fn new(ranks: Arc<Ranks>) -> Self {
        Self {
            ranks,
            channels: Mutex::default(),
        }
    }

    /// The ranks with the channel of saves in the background. The first call is a step of all ranks.
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

    /// Returns true if a save is on its way on any rank; `busy` says whether one is on its way on this rank.
    ///
    /// Before the first save in the background, the ranks have one channel, over which that save starts:
    /// `until_started` waits until it has started.
    pub(crate) fn is_any_busy(&self, busy: bool, until_started: &dyn Fn()) -> Result<bool> {
        if self.ranks.is_single() {
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

    /// Ignores the poison of the mutex: no code that may panic runs under it.
    fn channels(&self) -> MutexGuard<'_, Option<Channels>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
