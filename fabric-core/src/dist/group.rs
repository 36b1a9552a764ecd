//! Process groups: the ranks of a run, and the messages that they exchange.
//!
//! Ranks exchange small messages, in steps that every rank takes in the same order. Tensors never travel through a
//! group; they go through the files.

#[cfg(feature = "mpi")]
mod mpi;
mod rendezvous;
mod threads;

use std::fmt::Debug;

pub use crate::error::GroupError;
#[cfg(feature = "mpi")]
pub use mpi::MpiGroup;
pub use threads::ThreadGroup;

use crate::io::pages;

/// The ranks that save and load together.
///
/// Every operation is a *step* that all ranks take, in the same order; its name is in the error if one of them does not
/// come. No operation waits for ever: an implementation has a timeout, and every rank that waits gets an error when it
/// has passed.
///
/// An implementation needs [`all_gather`](Self::all_gather); an engine that knows better ways for the others overrides
/// them.
pub trait ProcessGroup: Send + Sync + Debug {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn world_size(&self) -> usize;

    /// Gives every rank the bytes of every rank, in the order of ranks. The messages may differ in length.
    ///
    /// # Errors
    /// [`GroupError::Timeout`] if a rank does not arrive at the step in time, [`GroupError::Left`] if a rank has left
    /// the group, and [`GroupError::OutOfStep`] if a rank is at another step.
    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError>;

    /// Gives every rank the bytes of rank `root`; the bytes of the other ranks are ignored.
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather); and [`GroupError::NoSuchRank`].
    fn broadcast(&self, step: &str, root: usize, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        let mut all = self.all_gather(step, if self.rank() == root { bytes } else { &[] })?;
        if root < all.len() {
            return Ok(all.swap_remove(root));
        }
        Err(GroupError::NoSuchRank {
            step: step.to_owned(),
            rank: root,
            world_size: self.world_size(),
        })
    }

    /// Waits until every rank has arrived.
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather).
    fn barrier(&self, step: &str) -> Result<(), GroupError> {
        self.all_gather(step, &[]).map(drop)
    }

    /// A second group of the same ranks, whose steps do not mix with those of this one: for work in the background. A
    /// step itself: all ranks call it together.
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather); and if the engine cannot do it.
    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, GroupError>;
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

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        let bytes = pages::copied(bytes).map_err(|error| GroupError::Engine {
            step: step.to_owned(),
            what: error.to_string(),
        })?;
        Ok(vec![bytes])
    }

    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, GroupError> {
        Ok(Box::new(*self))
    }
}
