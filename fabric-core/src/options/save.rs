//! The options of a save.

use std::sync::Arc;

use crate::entry::TensorInfo;
use crate::error::Result;
use crate::filter::Filter;
use crate::progress::{Callback, Progress};
use crate::state::Part;

/// How to save: everything, durably, unless said otherwise.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to a save"]
pub struct SaveOptions {
    pub(crate) filters: Vec<(Part, Filter)>,
    pub(crate) exclude: Vec<Part>,
    pub(crate) durability: Durability,
    pub(crate) when_busy: WhenBusy,
    pub(crate) replicas: Replicas,
    pub(crate) progress: Option<Callback>,
    /// The facts that a run stores in the head of the manifest, as CBOR, sorted by their keys.
    pub(crate) facts: Vec<(String, Vec<u8>)>,
    pub(crate) after: Option<After>,
}

/// The work of a run after a save is committed, on the thread that saves.
#[derive(Clone)]
pub(crate) struct After(pub(crate) Arc<dyn Fn() -> Result<()> + Send + Sync>);

impl std::fmt::Debug for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("After")
    }
}

/// How a save on several ranks treats tensors and values that ranks hold as replicas of each other: all that no attribute cuts,
/// and a part that several ranks hold.
///
/// Values are always compared. Running statistics (`running_mean`, `running_var`, `num_batches_tracked`) and what
/// `#[checkpoint(buffer)]` marks may differ: those of the first rank that holds them are saved, and
/// [`SaveReport::differing`](crate::SaveReport::differing) names them.
///
/// All ranks ask for the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replicas {
    /// Refuses replicas that differ, with [`Error::Disagreement`](crate::Error::Disagreement). Tensors of up to 64 KiB are compared
    /// whole, larger ones by a sample: 64 bytes of every 16,064, and the last 64. A layer, a rank's rows or a replica that has
    /// drifted is found by it; a few elements in between are not.
    #[default]
    Sample,
    /// Refuses replicas that differ in any byte. Every rank reads all of its tensors once more.
    Whole,
    /// Saves the replica of rank 0, or of a part that rank 0 does not hold, that of the first rank which holds it.
    /// [`SaveReport::differing`](crate::SaveReport::differing) names those that differ, as far as a sample tells. For a save that
    /// must not fail: a run that is told to end, say. The first rank writes all tensors of more than 64 KiB that it shares with
    /// others, so such a save may take longer.
    RankZero,
}

/// The behaviour of [`Fabric::save_async_with`](crate::Fabric::save_async_with) while an earlier save is still running.
///
/// Where there are several ranks, all ask for the same; if the earlier save is on its way on any rank, it is on all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenBusy {
    /// Waits for the earlier one. The others never wait for it, nor for another thread that does.
    #[default]
    Wait,
    /// Does not save: [`Saving::is_skipped`](crate::Saving::is_skipped) says so, and
    /// [`SaveReport::skipped`](crate::SaveReport::skipped).
    Skip,
    /// Does not save: [`Error::Busy`](crate::Error::Busy).
    Fail,
}

/// The guarantee that a save gives when it returns.
///
/// On a file system of this machine ([`Local`](crate::storage::Local)), `Durable` means:
///
/// | system | the contents of files | the name of the checkpoint |
/// |---|---|---|
/// | Linux and other Unix systems | survive a power failure: `fsync` | survives it: `fsync` of the directory |
/// | macOS | survive a power failure: `F_FULLFSYNC`, which also empties the cache of the device. A file system without that call refuses the save | survives it, in the same way |
/// | Windows | survive a power failure: `FlushFileBuffers` | Windows has no call for it: a power failure may bring the old checkpoint back, complete, after the save has returned |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The checkpoint survives a power failure.
    #[default]
    Durable,
    /// The checkpoint survives the end of the process, and not a power failure: the system has the bytes, the device may
    /// not. The checkpoint still replaces the old one in one step. After a power failure either may be damaged, which a load
    /// detects.
    Relaxed,
}

impl SaveOptions {
    /// A save of a run, with its facts and the work that follows.
    pub(crate) fn of_run(
        mut self,
        facts: Vec<(String, Vec<u8>)>,
        after: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.facts = facts;
        self.after = Some(After(Arc::new(after)));
        self
    }

    /// Saves every entry, durably.
    pub fn new() -> Self {
        Self::default()
    }

    /// Saves only those tensors below `part` that the closure keeps. It sees names relative to the part and each
    /// tensor's element type and shape; where ranks hold parts, those of the whole. The file records what was left out.
    ///
    /// The part is a handle, `TrainState::FIELDS.model`, or a name, `"model"`; see [`Part`].
    pub fn filter(
        mut self,
        part: impl Into<Part>,
        keep: impl Fn(&str, &TensorInfo) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filters.push((part.into(), Filter::closure(keep)));
        self
    }

    /// Leaves out everything below `part`, a handle or a name; see [`Part`]. The file records that.
    pub fn exclude(mut self, part: impl Into<Part>) -> Self {
        self.exclude.push(part.into());
        self
    }

    /// Sets whether the checkpoint is synced to the device before the save returns.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The behaviour of [`save_async_with`](crate::Fabric::save_async_with) while an earlier save in the background is still
    /// running. By default the new save waits for it. A plain save always waits.
    pub fn when_busy(mut self, when_busy: WhenBusy) -> Self {
        self.when_busy = when_busy;
        self
    }

    /// The behaviour of a save whose ranks hold different replicas of a tensor or a value. By default the save is refused. See
    /// [`Replicas`].
    ///
    /// ```
    /// use fabric_core::{Replicas, SaveOptions};
    ///
    /// let at_any_price = SaveOptions::new().replicas(Replicas::RankZero);
    /// ```
    pub fn replicas(mut self, replicas: Replicas) -> Self {
        self.replicas = replicas;
        self
    }

    /// Tells `callback` how far the save has come: about once for each MiB, at most 8 MiB later, and when the last byte was
    /// given to the storage; what is left then is to make the checkpoint durable and to put it in its place. It is not
    /// called if there is nothing to write.
    ///
    /// The thread that writes calls it: the caller's, or that of a save in the background. It must not write to the state: the
    /// tensor that is being saved is locked, and a callback that waits for it hangs. It must not use the Fabric that saves: such
    /// a call returns [`Error::Nested`](crate::Error::Nested). Each rank is told of the bytes that it writes, and one rank may ask
    /// where others do not.
    ///
    /// If it panics, nothing was saved and what was there is still there: the panic unwinds out of the save, after the other
    /// ranks were told of it, or is [`Error::Panicked`](crate::Error::Panicked) of a save in the background.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }
}
