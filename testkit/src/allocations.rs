//! The system's allocator with a tally: a proof of what is *not* allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static TOTAL: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a tally. A program that calls [`tally`] makes it its `#[global_allocator]`.
#[derive(Debug)]
pub struct Counting;

#[allow(unsafe_code, reason = "an allocator cannot be written without; this one only counts")]
// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TOTAL.fetch_add(layout.size(), Ordering::Relaxed);
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What some work allocated, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// All allocations together.
    pub total: usize,
    /// The largest one.
    pub largest: usize,
    /// The most that was held at one time, beyond what was held before.
    pub peak: usize,
}

/// Runs `work` and counts the allocations of the whole process meanwhile.
pub fn tally<T>(work: impl FnOnce() -> T) -> (T, Tally) {
    let (total, live) = (TOTAL.load(Ordering::Relaxed), LIVE.load(Ordering::Relaxed));
    LARGEST.store(0, Ordering::Relaxed);
    PEAK.store(live, Ordering::Relaxed);
    let done = work();
    let tally = Tally {
        total: TOTAL.load(Ordering::Relaxed) - total,
        largest: LARGEST.load(Ordering::Relaxed),
        peak: PEAK.load(Ordering::Relaxed).saturating_sub(live),
    };
    (done, tally)
}
