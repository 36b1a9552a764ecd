//! What a [`Fabric`] is made of, chosen one by one.

use std::sync::Arc;

use super::Fabric;
use crate::dist::group::{ProcessGroup, Single};
use crate::dist::ranks::Ranks;
use crate::dist::strategy::{Layout, Strategy};
use crate::dist::world::World;
use crate::error::Result;
use crate::save::background::{Handle, STAGING};
use crate::source::ReadLimit;
use crate::storage::{Local, Storage};

/// Builds a [`Fabric`].
#[derive(Clone, Debug)]
#[must_use = "call build()"]
pub struct Builder {
    strategy: Strategy,
    group: Arc<dyn ProcessGroup>,
    storage: Arc<dyn Storage>,
    staging: usize,
    limit: ReadLimit,
}

impl Builder {
    /// One device, on the local file system.
    pub(super) fn new() -> Self {
        Self {
            strategy: Strategy::single_device(),
            group: Arc::new(Single),
            storage: Arc::new(Local::new()),
            staging: STAGING,
            limit: ReadLimit::default(),
        }
    }

    /// Who writes what.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Who else is there.
    pub fn process_group(mut self, group: impl ProcessGroup + 'static) -> Self {
        self.group = Arc::new(group);
        self
    }

    /// Where bytes live: the local file system, unless said otherwise.
    pub fn storage(mut self, storage: impl Storage + 'static) -> Self {
        self.storage = Arc::new(storage);
        self
    }

    /// How many bytes of memory [`Fabric::save_async`] may copy tensors into; 4 GiB, unless said otherwise.
    ///
    /// Memory is taken when it is first needed, as much as this rank's part of a checkpoint if that is less, and kept for
    /// later saves. What does not fit goes through it while the file is written: tensors that wait for their turn cannot
    /// be written to by an optimizer until then. At least 1 MiB is used.
    pub fn staging(mut self, bytes: usize) -> Self {
        self.staging = bytes;
        self
    }

    /// How many bytes of memory a file may ask for beyond 8 times its own length; 64 MiB, unless said otherwise.
    ///
    /// The bound holds for the index that opening a file builds, in proportion to the bytes that describe its entries, and for
    /// the tensors that [`RawCheckpoint::tensors`], [`Fabric::export`] and [`Fabric::reshard`] make of it, in proportion to
    /// the file. Tensors of a file that are views of the same bytes, or lists of millions of flags, ask for more than they hold;
    /// so does a file that was made to exhaust the memory. What goes beyond the bound is [`Error::Limit`], and not read: raise the
    /// bound for files that you trust.
    ///
    /// [`RawCheckpoint::tensors`]: crate::RawCheckpoint::tensors
    /// [`Error::Limit`]: crate::Error::Limit
    pub fn read_limit(mut self, bytes: u64) -> Self {
        self.limit = ReadLimit::new(bytes);
        self
    }

    /// The finished [`Fabric`].
    ///
    /// # Errors
    /// If the strategy's mesh and the process group are of different sizes.
    pub fn build(self) -> Result<Fabric> {
        let ranks = Arc::new(Ranks::new(self.strategy, self.group)?);
        let is_one_process = ranks.alone() && ranks.strategy.layout() == Layout::OneFile;
        Ok(Fabric {
            background: Handle::new(self.staging),
            world: (!is_one_process).then(|| Arc::new(World::new(ranks.clone()))),
            strategy: ranks.strategy.clone(),
            storage: self.storage,
            limit: self.limit,
        })
    }
}
