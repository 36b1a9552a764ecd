//! Threads that share a piece of work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::error::Result;

/// Calls `step` on several threads until it gives nothing more, or an error, which is returned.
pub(crate) fn in_parallel(threads: usize, step: impl Fn() -> Option<Result<()>> + Sync) -> Result<()> {
    let failure = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            match step() {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    stop.store(true, Ordering::Relaxed);
                    failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}

/// How many threads share the reading: more than a few gain nothing on one device, and fewer leave it idle while they
/// compute.
pub(crate) fn threads() -> usize {
    // The system looks into several files to tell.
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).clamp(4, 8))
}
