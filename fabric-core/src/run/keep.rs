//! The rules by which checkpoints of a run stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::Kept;
use super::decision::Reason;
use crate::error::{Error, Result};

/// The rules by which checkpoints of a run stay: a checkpoint that any rule keeps is not removed.
///
/// The newest checkpoint always stays. A save removes the others when it is durable, so for a moment a run holds one
/// checkpoint more than its rules ask for.
///
/// | rules | room, in checkpoints |
/// |---|---|
/// | `last(n)` | n + 1; 2 for `last(0)` and `last(1)` |
/// | `best(n, metric)` | n more |
/// | `every(steps)` | one more for each multiple of `steps` that the training has passed |
/// | `newer_than(age)` | one more for each save within `age` |
///
/// A checkpoint that two rules keep is counted once. Damaged checkpoints need room too until the user removes them, and a
/// directory of several ranks needs on each file system the room of the files there. A save without room is an error
/// ([`Error::Io`]) and leaves all checkpoints as they are: nothing is removed to make room for it.
///
/// ```
/// use std::time::Duration;
///
/// use fabric_core::run::{Keep, Metric};
///
/// let keep = Keep::last(3).best(2, Metric::lowest("val_loss")).every(10_000).newer_than(Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
    /// All stay.
    all: bool,
    last: usize,
    pub(super) best: Vec<(usize, Metric)>,
    every: Vec<u64>,
    newer_than: Option<Duration>,
}

impl Default for Keep {
    fn default() -> Self {
        Self::all()
    }
}

impl Keep {
    /// Keeps every checkpoint.
    #[must_use]
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::last(0)
        }
    }

    /// Keeps the `count` checkpoints that were saved last.
    #[must_use]
    pub fn last(count: usize) -> Self {
        Self {
            all: false,
            last: count,
            best: Vec::new(),
            every: Vec::new(),
            newer_than: None,
        }
    }

    /// Also keeps the `count` checkpoints whose metric is best. A checkpoint without the metric, or with NaN, is never among
    /// them; of equal ones the later save counts as better.
    #[must_use]
    pub fn best(mut self, count: usize, metric: Metric) -> Self {
        self.best.push((count, metric));
        self
    }

    /// Also keeps the first checkpoint at or after each multiple of `steps`, from `steps` on.
    #[must_use]
    pub fn every(mut self, steps: u64) -> Self {
        self.every.push(steps);
        self
    }

    /// Also keeps the checkpoints that are younger than `age`.
    #[must_use]
    pub fn newer_than(mut self, age: Duration) -> Self {
        self.newer_than = Some(self.newer_than.map_or(age, |other| other.max(age)));
        self
    }

    /// # Errors
    /// If a rule can keep nothing, or two rules disagree about a metric.
    pub(super) fn check(&self) -> Result<()> {
        if self.every.contains(&0) {
            let what = "Keep::every(0) names no step: give the number of steps between the checkpoints that stay";
            return Err(Error::Options(what.to_owned()));
        }
        for (at, (_, metric)) in self.best.iter().enumerate() {
            let mut others = self.best[..at].iter().map(|(_, other)| other);
            if others.any(|other| other.name == metric.name && other.highest != metric.highest) {
                return Err(Error::Options(format!(
                    "Keep::best asks for the lowest and for the highest `{}`: keep one of the two",
                    metric.name
                )));
            }
        }
        Ok(())
    }

    /// The metric of this name, as the rules know it.
    pub(super) fn metric(&self, name: &str) -> Option<&Metric> {
        self.best
            .iter()
            .map(|(_, metric)| metric)
            .find(|metric| metric.name == name)
    }

    /// The reasons of the checkpoints that stay, by their steps. `kept` are in the order in which they were saved.
    pub(super) fn reasons(&self, kept: &[Kept], now: SystemTime) -> BTreeMap<u64, Vec<Reason>> {
        let mut reasons: BTreeMap<u64, Vec<Reason>> = BTreeMap::new();
        let mut stays = |step: u64, reason: Reason| reasons.entry(step).or_default().push(reason);
        if let Some(newest) = kept.last() {
            stays(newest.step, Reason::Newest);
        }
        if self.all {
            for one in kept {
                stays(one.step, Reason::All);
            }
        }
        for one in kept.iter().rev().take(self.last) {
            stays(one.step, Reason::Last(self.last));
        }
        for (count, metric) in &self.best {
            for one in metric.sorted(kept).take(*count) {
                stays(one.step, Reason::Best(*count, metric.clone()));
            }
        }
        for steps in &self.every {
            for step in first_of_each(*steps, kept) {
                stays(step, Reason::Every(*steps));
            }
        }
        if let Some(age) = self.newer_than {
            // An age before all times that the system can tell keeps every checkpoint.
            let oldest = now.checked_sub(age);
            for one in kept.iter().filter(|one| oldest.is_none_or(|oldest| one.time > oldest)) {
                stays(one.step, Reason::NewerThan(age));
            }
        }
        reasons
    }
}

/// The first step at or after each multiple. Checkpoints of a branch that was left count where the branch that was taken
/// has not come yet.
fn first_of_each(steps: u64, kept: &[Kept]) -> BTreeSet<u64> {
    let is_left = |at: usize| kept[at + 1..].iter().any(|later| later.step <= kept[at].step);
    let (left, taken): (Vec<usize>, Vec<usize>) = (0..kept.len()).partition(|&at| is_left(at));
    let mut stay = BTreeSet::new();
    let mut multiples = BTreeSet::new();
    for branch in [taken, left] {
        let mut branch: Vec<u64> = branch.into_iter().map(|at| kept[at].step).collect();
        branch.sort_unstable();
        for step in branch {
            let multiple = step / steps.max(1);
            if multiple > 0 && multiples.insert(multiple) {
                stay.insert(step);
            }
        }
    }
    stay
}

/// A metric, and which of its values is best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    pub(super) name: String,
    highest: bool,
}

impl Metric {
    /// A metric that is best where it is lowest: a loss.
    #[must_use]
    pub fn lowest(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            highest: false,
        }
    }

    /// A metric that is best where it is highest: an accuracy.
    #[must_use]
    pub fn highest(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            highest: true,
        }
    }

    /// The name of the metric.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns true if the highest value is best, and false if the lowest one is.
    #[must_use]
    pub fn is_highest(&self) -> bool {
        self.highest
    }

    /// The checkpoints that have the metric, the best first.
    pub(super) fn sorted<'k>(&self, kept: &'k [Kept]) -> impl Iterator<Item = &'k Kept> + use<'k> {
        let value = |one: &Kept| one.metrics.get(&self.name).copied().filter(|value| !value.is_nan());
        let mut with: Vec<(f64, &Kept)> = kept.iter().rev().filter_map(|one| Some((value(one)?, one))).collect();
        with.sort_by(|(a, _), (b, _)| if self.highest { b.total_cmp(a) } else { a.total_cmp(b) });
        with.into_iter().map(|(_, one)| one)
    }
}
