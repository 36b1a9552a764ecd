//! Deltas between exported files of weights: writes one against a base, and applies one to its base.
//!
//! Both go through the tensors block by block, in the order of the new file. They hold a few blocks in memory, and read the
//! blocks of the base that the new file has tensors for.

mod applying;
mod base;
mod options;
mod reading;
mod writing;

pub(crate) use applying::apply_delta;
pub use options::{ApplyOptions, ApplyReport, DeltaOptions, DeltaReport};
pub(crate) use writing::export_delta;
