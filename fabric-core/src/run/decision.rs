//! The decision of a run's rules about each checkpoint.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, SystemTime};

use super::Kept;
use super::keep::{Keep, Metric};

/// The decision of the rules about a checkpoint of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The checkpoint.
    pub checkpoint: Kept,
    /// The reasons why it stays; without one, the next save or [`Run::prune`](super::Run::prune) removes it.
    pub reasons: Vec<Reason>,
}

impl Decision {
    /// Returns true if a rule keeps the checkpoint.
    #[must_use]
    pub fn stays(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// A reason why a checkpoint stays. Its text is a part of a sentence: `one of the last 3`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It was saved last.
    Newest,
    /// Every checkpoint stays: [`Keep::all`].
    All,
    /// It is one of so many that were saved last: [`Keep::last`].
    Last(usize),
    /// It is one of so many with the best values of a metric: [`Keep::best`].
    Best(usize, Metric),
    /// It is the first one at or after a multiple of so many steps: [`Keep::every`].
    Every(u64),
    /// It is younger than this: [`Keep::newer_than`].
    NewerThan(Duration),
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => write!(f, "newest"),
            Self::All => write!(f, "all stay"),
            Self::Last(1) => write!(f, "the last one"),
            Self::Last(count) => write!(f, "one of the last {count}"),
            Self::Best(count, metric) => {
                let side = if metric.is_highest() { "highest" } else { "lowest" };
                match count {
                    1 => write!(f, "{side} {}", metric.name()),
                    count => write!(f, "one of the {count} {side} {}", metric.name()),
                }
            }
            Self::Every(steps) => write!(f, "first at or after a multiple of {steps}"),
            Self::NewerThan(age) => write!(f, "younger than {}", Age(*age)),
        }
    }
}

/// A duration in the largest unit that divides it.
struct Age(Duration);

impl Display for Age {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min")];
        let seconds = self.0.as_secs();
        match UNITS
            .iter()
            .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{} {name}", seconds / unit),
            None => write!(f, "{} s", self.0.as_secs_f64()),
        }
    }
}

/// The decisions about all checkpoints, in their order. `kept` are in the order in which they were saved.
pub(super) fn decide(keep: &Keep, kept: &[Kept]) -> Vec<Decision> {
    let mut reasons = keep.reasons(kept, SystemTime::now());
    let decision = |checkpoint: &Kept| Decision {
        checkpoint: checkpoint.clone(),
        reasons: reasons.remove(&checkpoint.step).unwrap_or_default(),
    };
    kept.iter().map(decision).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_part_of_a_sentence() {
        let reasons = [
            Reason::Last(3),
            Reason::Best(1, Metric::lowest("val_loss")),
            Reason::Best(2, Metric::highest("accuracy")),
            Reason::Every(500),
            Reason::NewerThan(Duration::from_secs(7 * 86_400)),
            Reason::NewerThan(Duration::from_secs(90)),
        ];
        assert_eq!(
            reasons.map(|reason| reason.to_string()),
            [
                "one of the last 3",
                "lowest val_loss",
                "one of the 2 highest accuracy",
                "first at or after a multiple of 500",
                "younger than 7 d",
                "younger than 90 s",
            ]
        );
    }
}
