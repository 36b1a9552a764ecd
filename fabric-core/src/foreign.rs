//! The formats that other programs write and read: sources and writers, nothing else.

pub(crate) mod dcp;
pub(crate) mod export;
pub(crate) mod hub;
mod pairs;
mod param_groups;
mod pickle;
pub(crate) mod torch;
mod zip;
