//! The readers and writers of foreign formats: `torch.save`, PyTorch's Distributed Checkpoint, and hub directories;
//! and deltas between exported files.

pub(crate) mod dcp;
pub(crate) mod delta;
pub(crate) mod export;
pub(crate) mod hub;
mod pairs;
mod param_groups;
mod pickle;
pub(crate) mod torch;
mod zip;
