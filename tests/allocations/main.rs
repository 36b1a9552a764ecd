//! How much memory a file takes: a program by itself, because its allocator counts.

mod bombs;
mod dcp_scale;
mod fuzz_smoke;

#[path = "../system/dcp/archive.rs"]
mod archive;
#[path = "../../fabric-core/tests/allocations/counting.rs"]
mod counting;
#[allow(dead_code, reason = "the tests of hostile files use the rest")]
#[path = "../system/hostile/files.rs"]
mod files;
#[path = "../fuzzing/mod.rs"]
mod fuzzing;
#[allow(dead_code, reason = "the tests of distributed checkpoints use the rest")]
#[path = "../system/dcp/made.rs"]
mod made;
#[allow(dead_code, reason = "the tests of distributed checkpoints use the rest")]
#[path = "../system/dcp/pickle.rs"]
mod pickle;
#[path = "../system/dcp/zip.rs"]
mod zip;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tally is of the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
