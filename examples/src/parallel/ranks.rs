//! Where ranks come from, and the groups that a rank of a mesh is in.

use std::sync::Arc;

use fabric_core::group::{GroupError, ProcessGroup, ThreadGroup};

use crate::Result;

/// A process group that can be taken apart.
pub trait Split: ProcessGroup + Sized + 'static {
    /// The ranks of equal `color`, by themselves, in the order of their numbers.
    ///
    /// # Errors
    /// If the ranks do not come together.
    fn split(&self, color: usize) -> Result<Self, GroupError>;
}

impl Split for ThreadGroup {
    fn split(&self, color: usize) -> Result<Self, GroupError> {
        self.split("split the mesh", color, self.rank())
    }
}

#[cfg(feature = "mpi")]
impl Split for fabric_core::group::MpiGroup {
    fn split(&self, color: usize) -> Result<Self, GroupError> {
        self.split("split the mesh", color, self.rank())
    }
}

/// The neighbours of a rank in a mesh of `dp` x `tp`.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// The ranks that hold the same part of the model, and train on other sequences.
    pub dp: Arc<dyn ProcessGroup>,
    /// The ranks that hold the other parts of the same model, and train on the same sequences.
    pub tp: Arc<dyn ProcessGroup>,
}

impl Mesh {
    /// The neighbours of this rank of `world`: `tp` ranks in a row are one model, as in `Strategy::mesh([("dp", ..),
    /// ("tp", ..)])`.
    ///
    /// # Errors
    /// If the ranks do not come together.
    pub fn new(world: &impl Split, tp: usize) -> Result<Self> {
        let (model, place) = (world.rank() / tp, world.rank() % tp);
        Ok(Self {
            dp: Arc::new(world.split(place)?),
            tp: Arc::new(world.split(model)?),
        })
    }
}

/// Runs a rank's program on `ranks` threads, and returns the first error.
///
/// # Errors
/// If a rank's program fails; the others are told so by their group.
pub fn on_threads(ranks: usize, program: impl Fn(ThreadGroup) -> Result<()> + Sync) -> Result<()> {
    let program = &program;
    std::thread::scope(|scope| {
        let started = ThreadGroup::new(ranks)
            .into_iter()
            .map(|group| scope.spawn(move || program(group)));
        let started: Vec<_> = started.collect();
        let ends = started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a rank panicked".into())));
        ends.fold(Ok(()), Result::and)
    })
}
