//! The hot loops of saves and loads, and all `unsafe` of the default build.
//!
//! | loop | door | portable version |
//! |---|---|---|
//! | copy with checksum | [`streaming::copy`] | safe loads and stores, with checksums by crc-fast |
//! | mapped reads | [`mapped::Mapped`] | `unmapped.rs`: `pread` |
//! | direct writes | [`direct::DirectWriter`] | `direct/portable.rs`: blocks, written through the page cache |
//! | new memory in large pages | [`pages::zeroed`] | the allocator's pages |
//! | bytes of a save back to the cache | [`read_back::start`] | `read_back/portable.rs`: they are there |
//!
//! The module of each loop states the run that it serves and a measured figure. `FABRIC_PORTABLE=1` builds and tests
//! the portable versions on Linux; all other systems and processors use them.

pub(crate) mod bytes;
#[cfg_attr(
    not(fabric_x86_64),
    allow(dead_code, reason = "only the loop of that processor calls it")
)]
pub(crate) mod checksum;
pub(crate) mod direct;
#[cfg(fabric_linux)]
pub(crate) mod file_system;
#[cfg(fabric_linux)]
pub(crate) mod free_memory;
#[cfg_attr(
    not(fabric_x86_64),
    allow(dead_code, reason = "only the loop of that processor calls it")
)]
pub(crate) mod lent;
#[cfg(all(fabric_linux, fabric_x86_64))]
pub(crate) mod mapped;
#[cfg(not(all(fabric_linux, fabric_x86_64)))]
#[path = "io/unmapped.rs"]
pub(crate) mod mapped;
pub(crate) mod pages;
#[cfg_attr(
    not(fabric_x86_64),
    allow(dead_code, reason = "the copies of that processor call the rest")
)]
mod polynomial;
pub(crate) mod processor;
#[cfg(fabric_linux)]
pub(crate) mod read_back;
#[cfg(not(fabric_linux))]
#[path = "io/read_back/portable.rs"]
pub(crate) mod read_back;
#[cfg_attr(
    not(fabric_x86_64),
    allow(dead_code, reason = "only the loop of that processor calls it")
)]
pub(crate) mod streaming;
