//! When a save is due.

use std::time::{Duration, Instant};

/// The interval of a run's saves, by which [`Run::due`](super::Run::due) answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every(Interval);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interval {
    Steps(u64),
    Time(Duration),
    Idle,
}

impl Every {
    /// A save is due when a multiple of `count` lies behind the last save: at steps 500, 1000, ... for `steps(500)`. A
    /// program whose steps pass over a multiple saves at its next step.
    #[must_use]
    pub const fn steps(count: u64) -> Self {
        Self(Interval::Steps(count))
    }

    /// A save is due when this many minutes have gone by since the last one, or since the run was opened. Where several ranks
    /// save, the clock of rank 0 counts.
    #[must_use]
    pub const fn minutes(count: u64) -> Self {
        Self(Interval::Time(Duration::from_secs(count.saturating_mul(60))))
    }

    /// A save is due whenever no save is on its way.
    #[must_use]
    pub const fn when_idle() -> Self {
        Self(Interval::Idle)
    }

    /// Returns true if all ranks know the answer without exchanging a message.
    pub(super) const fn is_by_steps(self) -> bool {
        matches!(self.0, Interval::Steps(_))
    }

    /// Returns true if a save is due by the clock and the saves of this rank.
    pub(super) fn is_due(self, step: u64, last: Last, is_idle: impl FnOnce() -> bool) -> bool {
        match self.0 {
            Interval::Steps(0) => false,
            Interval::Steps(count) => step / count > last.step / count,
            Interval::Time(interval) => last.at.elapsed() >= interval,
            Interval::Idle => is_idle(),
        }
    }
}

/// The last save of a run, or its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) step: u64,
    pub(super) at: Instant,
}
