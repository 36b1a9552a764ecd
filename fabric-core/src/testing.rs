//! For tests: storages in memory, with faults, counting, and layers of your own, and a comparison of the two methods of a
//! hand-written [`Checkpoint`](crate::Checkpoint).

mod counting;
mod faulty;
mod layer;
mod memory;
mod schema;
mod symmetric;

pub use counting::Counting;
pub use faulty::{Fault, Faulty};
pub use layer::Layer;
pub use memory::Memory;
pub use schema::{assert_all_load, assert_schema};
pub use symmetric::assert_symmetric;

/// The cost of planning for thousands of ranks, for benchmarks; no part of the public interface.
#[doc(hidden)]
pub use crate::dist::planner_bench;
