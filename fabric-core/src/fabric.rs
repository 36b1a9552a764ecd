//! The entry points of the library.

mod builder;
mod convert;
mod delta;
mod load;
mod save;
mod verify;

use std::path::Path;
use std::sync::Arc;

pub use self::builder::Builder;
use crate::absolute::Absolute;
use crate::dist::rank_channels::RankChannels;
use crate::dist::strategy::Strategy;
use crate::save::background::{BackgroundHandle, STAGING};
use crate::source::ReadLimit;
use crate::storage::{Local, Storage};

/// Saves and loads states: a program keeps one `Fabric`, or clones of it.
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{Linear, VarBuilder, VarMap, linear};
/// use fabric_core::{Checkpoint, Fabric};
///
/// #[derive(Checkpoint)]
/// struct State { model: Linear, iteration: u64 }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("last.ckpt");
/// let builder = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let mut state = State { model: linear(2, 3, builder)?, iteration: 7 };
///
/// let fabric = Fabric::new();
/// fabric.save(&path, &state)?;
/// state.iteration = 0;
/// fabric.load(&path, &mut state)?;
/// assert_eq!(state.iteration, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fabric {
    /// All axes of its mesh have sizes.
    strategy: Strategy,
    /// The ranks that save and load together; `None` for one process that writes one file.
    world: Option<Arc<RankChannels>>,
    storage: Arc<dyn Storage>,
    background: BackgroundHandle,
    limit: ReadLimit,
}

impl Default for Fabric {
    fn default() -> Self {
        Self::new()
    }
}

impl Fabric {
    /// A Fabric for one device, which saves one file to the local file system.
    #[must_use]
    pub fn new() -> Self {
        Self {
            background: BackgroundHandle::new(STAGING),
            strategy: Strategy::single_device(),
            world: None,
            storage: Arc::new(Local::new()),
            limit: ReadLimit::default(),
        }
    }

    /// A builder, for another strategy, process group or storage.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The strategy of this Fabric; every axis of its mesh has a size.
    #[must_use]
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// The rank of this process, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.world.as_ref().map_or(0, |world| world.ranks.rank())
    }

    /// The number of ranks that save and load together.
    #[must_use]
    pub fn world_size(&self) -> usize {
        self.world.as_ref().map_or(1, |world| world.ranks.world_size())
    }

    /// The path, independent of the working directory.
    pub(crate) fn absolute(&self, path: &Path) -> Absolute {
        Absolute::of(&*self.storage, path)
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Returns true while a save in the background is running on this rank.
    pub(crate) fn is_saving(&self) -> bool {
        self.background.is_busy()
    }
}
