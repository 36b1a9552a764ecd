//! The hot loops, and all `unsafe` of the default build: copy with checksum, mapped reads, new memory.

pub(crate) mod blank;
pub(crate) mod bytes;
pub(crate) mod checksum;
pub(crate) mod lent;
pub(crate) mod pages;
pub(crate) mod streaming;
