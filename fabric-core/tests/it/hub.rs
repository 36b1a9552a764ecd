//! Directories from a model hub.

mod index;
mod several;
mod shards;
