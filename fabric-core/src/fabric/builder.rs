//! The builder of a [`Fabric`].

use std::sync::Arc;

use super::Fabric;
use crate::dist::group::{ProcessGroup, Single};
use crate::dist::rank_channels::RankChannels;
use crate::dist::ranks::Ranks;
use crate::dist::strategy::{Layout, Strategy};
use crate::error::Result;
use crate::save::background::{BackgroundHandle, STAGING};
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

    /// Sets the strategy; [`Strategy::single_device`] by default.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the process group; one process by default.
    pub fn process_group(mut self, group: impl ProcessGroup + 'static) -> Self {
        self.group = Arc::new(group);
        self
    }

    /// Sets the storage; the local file system by default.
    pub fn storage(mut self, storage: impl Storage + 'static) -> Self {
        self.storage = Arc::new(storage);
        self
    }

    /// Sets the size in bytes of the staging memory, into which [`Fabric::save_async`] copies tensors; 4 GiB by
    /// default.
    ///
    /// The memory is allocated when it is first needed, at most as much as this rank's part of a checkpoint, and kept
    /// for later saves. If a checkpoint is larger, its tensors pass through the memory while the file is written, and
    /// an optimizer waits for each tensor that is not copied yet. At least 1 MiB is used.
    pub fn staging(mut self, bytes: usize) -> Self {
        self.staging = bytes;
        self
    }

    /// Sets how many bytes of memory a file may need beyond 8 times its own length; 64 MiB by default.
    ///
    /// The bound holds for the index that opening a file builds, in proportion to the bytes that describe its entries,
    /// and for the tensors that [`RawCheckpoint::tensors`](crate::RawCheckpoint::tensors), [`Fabric::export`] and
    /// [`Fabric::reshard`] make of it, in proportion to the file. Tensors of a file that are views of the same bytes
    /// need more memory than the file has bytes, and so do lists of millions of flags, and a file that was made to
    /// exhaust the memory. A file beyond the bound is not read: the call returns [`Error::Limit`](crate::Error::Limit).
    /// Raise the bound for files that you trust.
    pub fn read_limit(mut self, bytes: u64) -> Self {
        self.limit = ReadLimit::new(bytes);
        self
    }

    /// Builds the [`Fabric`].
    ///
    /// # Errors
    /// [`Error::Strategy`](crate::Error::Strategy) if the strategy's mesh and the process group have different sizes.
    pub fn build(self) -> Result<Fabric> {
        let ranks = Arc::new(Ranks::new(self.strategy, self.group)?);
        let is_one_process = ranks.is_single() && ranks.strategy.layout() == Layout::OneFile;
        Ok(Fabric {
            background: BackgroundHandle::new(self.staging),
            world: (!is_one_process).then(|| Arc::new(RankChannels::new(ranks.clone()))),
            strategy: ranks.strategy.clone(),
            storage: self.storage,
            limit: self.limit,
        })
    }
}
