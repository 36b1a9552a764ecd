//! The phases of a call: a span of `tracing` for the call and for each of its phases, and an event with the sums at the
//! end.
//!
//! Spans and events have the target `fabric` and the level `DEBUG`; an error of a save in the background has `ERROR`.
//! Without a subscriber, a phase costs one look at the clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::span::EnteredSpan;
use tracing::{Dispatch, Level, Span, debug, debug_span, dispatcher, enabled, error, field};

use crate::error::Error;

/// The target by which subscribers filter.
const TARGET: &str = "fabric";

/// The phases of a call, one after the other. In the background `Snapshot` and `Write` run at the same time.
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
    /// The span of a phase; `tracing` needs its name at compile time.
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
    /// The subscriber of the calling thread: the threads that it starts have none by themselves.
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

    pub(crate) fn of_verify(path: &Path, rank: usize) -> Self {
        let path = path.display();
        Self::of(debug_span!(target: TARGET, "verification", %path, rank, bytes = field::Empty))
    }

    pub(crate) fn of_reshard(from: &Path, path: &Path) -> Self {
        let (from, path) = (from.display(), path.display());
        Self::of(debug_span!(target: TARGET, "reshard", %from, %path, bytes = field::Empty))
    }

    pub(crate) fn of_export(from: &Path, path: &Path) -> Self {
        let (from, path) = (from.display(), path.display());
        Self::of(debug_span!(target: TARGET, "export", %from, %path, bytes = field::Empty))
    }

    pub(crate) fn of_apply(from: &Path, path: &Path) -> Self {
        let (from, path) = (from.display(), path.display());
        Self::of(debug_span!(target: TARGET, "apply", %from, %path, bytes = field::Empty))
    }

    /// Runs a part of the call on any thread.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.dispatch, || self.call.in_scope(work))
    }

    /// Begins or continues a phase, until the returned value is dropped.
    pub(crate) fn begin(&self, phase: Phase) -> Timed<'_> {
        Timed {
            phases: self,
            phase,
            begun: Instant::now(),
            span: phase.span().entered(),
        }
    }

    /// Runs `work` as a phase.
    pub(crate) fn time<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let _timed = self.begin(phase);
        work()
    }

    /// Emits the event with the times of a save and the length of its files in bytes.
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

    /// Emits the event with the times of a load and the bytes of its tensors.
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

    /// Emits the event with the times of a verification and the bytes that it read.
    pub(crate) fn verified(&self, bytes: u64) {
        self.within(|| {
            debug!(
                target: TARGET,
                bytes,
                index_ms = self.milliseconds(Phase::Index),
                match_ms = self.milliseconds(Phase::Match),
                read_ms = self.milliseconds(Phase::Read),
                total_ms = milliseconds(self.started.elapsed()),
                "verified"
            );
        });
        // Behind the event, which says it too.
        self.call.record("bytes", bytes);
    }

    /// Emits the event of an error that the call returns.
    pub(crate) fn failed(&self, error: &Error) {
        self.within(|| {
            let total_ms = milliseconds(self.started.elapsed());
            debug!(target: TARGET, %error, total_ms, "failed");
        });
    }

    /// Emits the event of an error that perhaps no call returns. True if a subscriber receives it.
    pub(crate) fn failed_in_background(&self, path: &Path, error: &Error) -> bool {
        let path = path.display();
        self.within(|| {
            error!(target: TARGET, %path, %error, "the save in the background failed");
            enabled!(target: TARGET, Level::ERROR)
        })
    }

    /// The time of a phase; `None` if there was none.
    fn milliseconds(&self, phase: Phase) -> Option<f64> {
        let nanoseconds = self.nanoseconds[phase as usize].load(Ordering::Relaxed);
        (nanoseconds > 0).then(|| milliseconds(Duration::from_nanos(nanoseconds)))
    }
}

/// Milliseconds with three decimals.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Returns true if a subscriber listens, so that figures for it are worth computing.
pub(crate) fn is_anybody_listening() -> bool {
    enabled!(target: TARGET, Level::DEBUG)
}

/// A phase, which ends when this is dropped.
pub(crate) struct Timed<'p> {
    phases: &'p Phases,
    phase: Phase,
    begun: Instant,
    span: EnteredSpan,
}

impl Timed<'_> {
    /// Records the bytes of the phase.
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
