//! Where the time of a call goes: a span of `tracing` for the call and for each of its phases, and their sums at the end.
//!
//! All of it has the target `fabric` and the level `DEBUG`; an error of a save in the background has `ERROR`. Nobody need
//! listen: then a phase costs a look at the clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::span::EnteredSpan;
use tracing::{Dispatch, Level, Span, debug, debug_span, dispatcher, enabled, error, field};

use crate::error::Error;

/// What subscribers filter by.
const TARGET: &str = "fabric";

/// What a call does, one after the other. In the background `Snapshot` and `Write` go on at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Of a save: walk the state, match it with the other ranks', decide who writes what.
    Plan,
    /// Of a save in the background: wait for guards, copy tensors.
    Snapshot,
    /// Write files.
    Write,
    /// Wait until they are durable.
    Sync,
    /// Put them in their place.
    Commit,
    /// Of a load: read what the file holds, and where.
    Index,
    /// Match it with the state, decode values, find the tensors' bytes.
    Match,
    /// Read tensors, each block verified.
    Read,
    /// Verify blocks before all that, or when several ranks have read a part of each.
    Verify,
}

const PHASES: usize = Phase::Verify as usize + 1;

impl Phase {
    /// Names of spans are part of the code.
    fn span(self) -> Span {
        macro_rules! span {
            ($name:literal) => {
                debug_span!(target: TARGET, $name, bytes = field::Empty)
            };
        }
        match self {
            Self::Plan => span!("plan"),
            Self::Snapshot => span!("snapshot"),
            Self::Write => span!("write"),
            Self::Sync => span!("sync"),
            Self::Commit => span!("commit"),
            Self::Index => span!("index"),
            Self::Match => span!("match"),
            Self::Read => span!("read"),
            Self::Verify => span!("verify"),
        }
    }
}

/// The phases of one call.
#[derive(Debug)]
pub(crate) struct Phases {
    call: Span,
    /// Who listens where the call was made: threads that it starts have nobody by themselves.
    dispatch: Dispatch,
    started: Instant,
    nanoseconds: [AtomicU64; PHASES],
}

impl Phases {
    fn of(call: Span) -> Self {
        Self {
            call,
            dispatch: dispatcher::get_default(Dispatch::clone),
            started: Instant::now(),
            nanoseconds: Default::default(),
        }
    }

    pub(crate) fn of_save(path: &Path, rank: usize, background: bool) -> Arc<Self> {
        let path = path.display();
        Arc::new(Self::of(
            debug_span!(target: TARGET, "save", %path, rank, background, bytes = field::Empty),
        ))
    }

    pub(crate) fn of_load(path: &Path, rank: usize) -> Self {
        let path = path.display();
        Self::of(debug_span!(target: TARGET, "load", %path, rank, bytes = field::Empty))
    }

    pub(crate) fn of_open(path: &Path, rank: usize) -> Self {
        let path = path.display();
        Self::of(debug_span!(target: TARGET, "open", %path, rank))
    }

    pub(crate) fn of_reshard(from: &Path, path: &Path) -> Self {
        let (from, path) = (from.display(), path.display());
        Self::of(debug_span!(target: TARGET, "reshard", %from, %path, bytes = field::Empty))
    }

    pub(crate) fn of_export(from: &Path, path: &Path) -> Self {
        let (from, path) = (from.display(), path.display());
        Self::of(debug_span!(target: TARGET, "export", %from, %path, bytes = field::Empty))
    }

    /// Does a part of the call, on whatever thread.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.dispatch, || self.call.in_scope(work))
    }

    /// Begins a phase, or goes on with it; it lasts as long as what this gives.
    pub(crate) fn begin(&self, phase: Phase) -> Timed<'_> {
        Timed {
            phases: self,
            phase,
            begun: Instant::now(),
            span: phase.span().entered(),
        }
    }

    /// A short phase.
    pub(crate) fn time<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let _timed = self.begin(phase);
        work()
    }

    /// Tells the sums of a save, with the length of its files.
    pub(crate) fn saved(&self, bytes: u64) {
        self.within(|| {
            debug!(
                target: TARGET,
                bytes,
                plan_ms = self.milliseconds(Phase::Plan),
                snapshot_ms = self.milliseconds(Phase::Snapshot),
                write_ms = self.milliseconds(Phase::Write),
                sync_ms = self.milliseconds(Phase::Sync),
                commit_ms = self.milliseconds(Phase::Commit),
                total_ms = milliseconds(self.started.elapsed()),
                "saved"
            );
        });
        // Behind the event, which says it too.
        self.call.record("bytes", bytes);
    }

    /// Tells the sums of a load, with the bytes of its tensors.
    pub(crate) fn loaded(&self, bytes: u64) {
        self.within(|| {
            debug!(
                target: TARGET,
                bytes,
                index_ms = self.milliseconds(Phase::Index),
                match_ms = self.milliseconds(Phase::Match),
                read_ms = self.milliseconds(Phase::Read),
                verify_ms = self.milliseconds(Phase::Verify),
                total_ms = milliseconds(self.started.elapsed()),
                "loaded"
            );
        });
        // Behind the event, which says it too.
        self.call.record("bytes", bytes);
    }

    /// Tells of an error that the caller is given.
    pub(crate) fn failed(&self, error: &Error) {
        self.within(|| {
            let total_ms = milliseconds(self.started.elapsed());
            debug!(target: TARGET, %error, total_ms, "failed");
        });
    }

    /// Tells of an error that nobody may be waiting for. Whether a subscriber listens.
    pub(crate) fn failed_in_background(&self, path: &Path, error: &Error) -> bool {
        let path = path.display();
        self.within(|| {
            error!(target: TARGET, %path, %error, "the save in the background failed");
            enabled!(target: TARGET, Level::ERROR)
        })
    }

    /// How long a phase has taken; `None` if there was none.
    fn milliseconds(&self, phase: Phase) -> Option<f64> {
        let nanoseconds = self.nanoseconds[phase as usize].load(Ordering::Relaxed);
        (nanoseconds > 0).then(|| milliseconds(Duration::from_nanos(nanoseconds)))
    }
}

/// With as many digits as a person reads.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Whether anybody listens, so that it is worth counting what is not known otherwise.
pub(crate) fn is_anybody_listening() -> bool {
    enabled!(target: TARGET, Level::DEBUG)
}

/// A phase that goes on until this is dropped.
pub(crate) struct Timed<'p> {
    phases: &'p Phases,
    phase: Phase,
    begun: Instant,
    span: EnteredSpan,
}

impl Timed<'_> {
    /// How many bytes it is about.
    pub(crate) fn bytes(&self, bytes: u64) {
        self.span.record("bytes", bytes);
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.phases.nanoseconds[self.phase as usize].fetch_add(elapsed.max(1), Ordering::Relaxed);
    }
}
