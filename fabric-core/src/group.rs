//! Who else is there: the ranks of a run, and how they agree.

use std::fmt::Debug;

/// The ranks that save and load together.
pub trait ProcessGroup: Send + Sync + Debug {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn world_size(&self) -> usize;
}

/// One process by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Single;

impl ProcessGroup for Single {
    fn rank(&self) -> usize {
        0
    }

    fn world_size(&self) -> usize {
        1
    }
}
