//! How much memory a file takes: a program by itself, because its allocator counts.

mod bombs;
mod dcp_scale;
mod fuzz_smoke;
mod streaming;

use std::sync::{Mutex, MutexGuard, PoisonError};

use testkit::allocations::Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// The tally is of the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
