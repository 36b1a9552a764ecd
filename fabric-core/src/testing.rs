//! Storages for tests: in memory, with faults, counting, and layers of your own.

mod counting;
mod faulty;
mod layer;
mod memory;

pub use counting::Counting;
pub use faulty::{Fault, Faulty};
pub use layer::Layer;
pub use memory::Memory;

/// The cost of planning for thousands of ranks, for benchmarks; no part of the public interface.
#[doc(hidden)]
pub use crate::dist::scale;
