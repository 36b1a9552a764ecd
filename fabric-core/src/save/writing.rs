//! Contents that say how far their writing has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::image::{Contents, Piece, Run};
use crate::error::Result;
use crate::progress::{Callback, Meter};

/// Runs of more blocks are written in turns, with a word in between: long enough to be worth the thread that computes checksums.
const LONGEST: usize = 8;

/// What a rank writes, and how much of it is written: told by the thread that writes, read by whoever wants to know.
#[derive(Debug)]
pub(crate) struct Writing {
    /// The pieces that this rank writes.
    names: Vec<Arc<str>>,
    meter: Meter,
    /// The piece that is being written; none before the first and after the end.
    current: AtomicUsize,
    finished: AtomicBool,
}

impl Writing {
    pub(crate) fn new(pieces: &[Piece], callback: Option<Callback>) -> Self {
        let meter = Meter::new(callback);
        meter.announce(bytes(pieces));
        Self {
            names: pieces.iter().map(|piece| piece.name.clone()).collect(),
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

/// The bytes of pieces.
pub(crate) fn bytes(pieces: &[Piece]) -> u64 {
    let lens = pieces.iter().map(|piece| piece.info().byte_len().unwrap_or_default());
    lens.map(|len| len as u64).sum()
}

/// Contents on their way to a file.
pub(crate) struct Watched<'c> {
    pub(crate) contents: &'c dyn Contents,
    pub(crate) writing: &'c Writing,
}

impl Contents for Watched<'_> {
    fn read(&self, piece: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
        let Writing {
            names, meter, current, ..
        } = self.writing;
        current.store(piece, Ordering::Relaxed);
        let name = names.get(piece).map_or("", |name| &**name);
        self.contents.read(piece, &mut |run| {
            run.split(LONGEST).try_for_each(|run| {
                take(run)?;
                meter.add(name, run.bytes.len() as u64)
            })
        })
    }
}
