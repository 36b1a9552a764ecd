//! The progress of a save: the number of bytes that are written, and the entry that is being written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::file::{ByteRun, Contents};
use crate::entry::Row;
use crate::error::Result;
use crate::progress::{Callback, Meter};

/// Longer runs are split, with a report of progress after each part: a part of this many blocks is worth the thread
/// that computes checksums.
const LONGEST: usize = 8;

/// The progress of the writing thread, which any thread may read.
#[derive(Debug)]
pub(crate) struct WriteProgress {
    /// The names of the rows.
    names: Vec<Arc<str>>,
    meter: Meter,
    /// The row that is being written; `usize::MAX` before the first and after the last.
    current: AtomicUsize,
    finished: AtomicBool,
}

impl WriteProgress {
    pub(crate) fn new<T>(rows: &[Row<T>], callback: Option<Callback>) -> Self {
        let meter = Meter::new(callback);
        meter.announce(bytes(rows));
        Self {
            names: rows.iter().map(|row| row.name.clone()).collect(),
            meter,
            current: AtomicUsize::new(usize::MAX),
            finished: AtomicBool::new(false),
        }
    }

    pub(crate) fn finish(&self) {
        self.meter.forget();
        self.current.store(usize::MAX, Ordering::Relaxed);
        self.finished.store(true, Ordering::Release);
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn entry(&self) -> Option<&str> {
        let current = self.current.load(Ordering::Relaxed);
        self.names.get(current).map(|name| &**name)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}

/// The sum of the lengths of rows in bytes.
pub(crate) fn bytes<T>(rows: &[Row<T>]) -> u64 {
    rows.iter().map(|row| row.len() as u64).sum()
}

/// Contents that count the bytes which are read from them.
pub(crate) struct ProgressContents<'c> {
    pub(crate) contents: &'c dyn Contents,
    pub(crate) write_progress: &'c WriteProgress,
}

impl Contents for ProgressContents<'_> {
    fn read(&self, row: usize, take: &mut dyn FnMut(ByteRun<'_>) -> Result<()>) -> Result<()> {
        let WriteProgress {
            names, meter, current, ..
        } = self.write_progress;
        current.store(row, Ordering::Relaxed);
        let name = names.get(row).map_or("", |name| &**name);
        self.contents.read(row, &mut |run| {
            run.split(LONGEST).try_for_each(|run| {
                take(run)?;
                meter.add(name, run.bytes.len() as u64)
            })
        })
    }
}
