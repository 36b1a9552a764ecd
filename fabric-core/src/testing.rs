//! Storages for tests: in memory, with faults, and counting.

mod counting;
mod faulty;
mod memory;

pub use counting::Counting;
pub use faulty::{Fault, Faulty};
pub use memory::Memory;

/// The cost of planning for thousands of ranks, for benchmarks; no part of the public interface.
#[doc(hidden)]
pub use crate::dist::scale;
