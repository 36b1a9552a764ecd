//! Contents that say how far their writing has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::file::{Contents, Run};
use crate::entry::Row;
use crate::error::Result;
use crate::progress::{Callback, Meter};

/// Runs of more blocks are written in turns, with a word in between: long enough to be worth the thread that computes checksums.
const LONGEST: usize = 8;

/// The tensors that this process writes, and how much of them is written: the thread that writes counts, any thread may ask.
#[derive(Debug)]
pub(crate) struct Writing {
    /// The names of the rows.
    names: Vec<Arc<str>>,
    meter: Meter,
    /// The row that is being written; none before the first and after the end.
    current: AtomicUsize,
    finished: AtomicBool,
}

impl Writing {
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

/// The bytes of rows.
pub(crate) fn bytes<T>(rows: &[Row<T>]) -> u64 {
    rows.iter().map(|row| row.len() as u64).sum()
}

/// Contents on their way to a file.
pub(crate) struct Watched<'c> {
    pub(crate) contents: &'c dyn Contents,
    pub(crate) writing: &'c Writing,
}

impl Contents for Watched<'_> {
    fn read(&self, row: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
        let Writing {
            names, meter, current, ..
        } = self.writing;
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
