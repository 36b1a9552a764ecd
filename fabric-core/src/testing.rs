//! Storages for tests: in memory, with faults, and counting.

mod counting;
mod faulty;
mod memory;

pub use counting::Counting;
pub use faulty::{Fault, Faulty};
pub use memory::Memory;
