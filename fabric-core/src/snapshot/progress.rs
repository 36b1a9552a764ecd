//! How far a save has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Told by the thread that writes, read by whoever wants to know.
#[derive(Debug)]
pub(super) struct Progress {
    /// The pieces that this rank writes.
    names: Vec<Arc<str>>,
    total: u64,
    done: AtomicU64,
    /// The piece that is being written; none before the first.
    current: AtomicUsize,
    finished: AtomicBool,
}

impl Progress {
    pub(super) fn new(names: Vec<Arc<str>>, total: u64) -> Self {
        Self {
            names,
            total,
            done: AtomicU64::new(0),
            current: AtomicUsize::new(usize::MAX),
            finished: AtomicBool::new(false),
        }
    }

    pub(super) fn enter(&self, piece: usize) {
        self.current.store(piece, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: usize) {
        self.done.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn finish(&self) {
        self.current.store(usize::MAX, Ordering::Relaxed);
        self.finished.store(true, Ordering::Release);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn entry(&self) -> Option<&str> {
        let current = self.current.load(Ordering::Relaxed);
        self.names.get(current).map(|name| &**name)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}
