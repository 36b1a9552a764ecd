//! Ranks that save and load together: strategies, meshes, process groups, and the files of each rank.

pub(crate) mod directory;
pub mod group;
pub(crate) mod load;
pub(crate) mod manifest;
pub(crate) mod mesh;
pub(crate) mod partial_crc;
#[cfg(any(test, feature = "testing"))]
pub mod planner_bench;
pub(crate) mod rank_channels;
pub(crate) mod ranks;
pub(crate) mod reshard;
pub(crate) mod save;
pub(crate) mod shard;
mod shard_attributes;
pub(crate) mod strategy;
