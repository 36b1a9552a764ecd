//! The hot loops, and all `unsafe` of the default build: copy with checksum, mapped reads, new memory.

pub(crate) mod bytes;
#[cfg_attr(
    not(fabric_x86_64),
    allow(dead_code, reason = "only the loop of that processor calls it")
)]
pub(crate) mod checksum;
#[cfg_attr(
    not(fabric_x86_64),
    allow(dead_code, reason = "only the loop of that processor calls it")
)]
pub(crate) mod lent;
pub(crate) mod pages;
pub(crate) mod processor;
#[cfg_attr(
    not(fabric_x86_64),
    allow(dead_code, reason = "only the loop of that processor calls it")
)]
pub(crate) mod streaming;
