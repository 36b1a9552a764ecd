//! The decisions of a prune as they are printed, and the outcome.

use std::collections::BTreeSet;
use std::path::Path;

use fabric_core::run::{Decision, Listing, Pruned};
use serde::Serialize;

use crate::failure::{Failure, sentence};
use crate::screen::{RED, Screen, styled};
use crate::text::{cut, fitted, plain, plural, size};

/// All checkpoints of a run with their decisions: the document of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Decided {
    dry_run: bool,
    checkpoints: Vec<Checkpoint>,
    /// The sentences of the damaged ones.
    damaged: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Checkpoint {
    step: u64,
    path: String,
    /// `None` if its head cannot be read.
    bytes: Option<u64>,
    stays: bool,
    reasons: Vec<String>,
    removed: bool,
}

impl Checkpoint {
    fn of(decision: &Decision) -> Self {
        let one = &decision.checkpoint;
        Self {
            step: one.step,
            path: one.path.to_string_lossy().into_owned(),
            bytes: Some(one.bytes),
            stays: decision.stays(),
            reasons: decision.reasons.iter().map(ToString::to_string).collect(),
            removed: false,
        }
    }

    fn damaged(step: u64, path: &Path, bytes: Option<u64>) -> Self {
        Self {
            step,
            path: path.to_string_lossy().into_owned(),
            bytes,
            stays: true,
            reasons: vec!["damaged".to_owned()],
            removed: false,
        }
    }
}

impl Decided {
    /// The decisions before anything was removed.
    pub(super) fn before(listing: &Listing, decisions: &[Decision]) -> Self {
        Self::new(listing, decisions.iter().map(Checkpoint::of).collect())
    }

    /// The outcome of a prune. `before` are the decisions before it, `after` those about the checkpoints that are left.
    pub(super) fn pruned(listing: &Listing, before: &[Decision], after: &[Decision], pruned: &Pruned) -> Self {
        let is_damaged = |one: &Decision| pruned.damaged.iter().any(|(path, _)| *path == one.checkpoint.path);
        let removed = pruned.removed.iter().map(|one| one.step).collect();
        let (damaged, whole): (Vec<&Decision>, Vec<&Decision>) = before.iter().partition(|one| is_damaged(one));
        let mut checkpoints = outcome(&whole, after, &removed);
        checkpoints.extend(damaged.iter().map(|one| {
            let one = &one.checkpoint;
            Checkpoint::damaged(one.step, &one.path, Some(one.bytes))
        }));
        let mut decided = Self::new(listing, checkpoints);
        let sentences = pruned.damaged.iter().map(|(path, error)| sentence(path, error));
        decided.damaged.extend(sentences);
        decided.dry_run = false;
        decided
    }

    /// The outcome of a prune that failed: a checkpoint that was to go and is not there was removed.
    pub(super) fn stopped(listing: &Listing, before: &[Decision], after: &[Decision]) -> Self {
        let is_gone = |one: &&Decision| !one.stays() && one.checkpoint.path.symlink_metadata().is_err();
        let removed = before.iter().filter(is_gone).map(|one| one.checkpoint.step).collect();
        let whole: Vec<&Decision> = before.iter().collect();
        let mut decided = Self::new(listing, outcome(&whole, after, &removed));
        decided.dry_run = false;
        decided
    }

    fn new(listing: &Listing, mut checkpoints: Vec<Checkpoint>) -> Self {
        let damaged = listing.damaged.iter();
        checkpoints.extend(damaged.map(|one| Checkpoint::damaged(one.step, &one.path, None)));
        checkpoints.sort_by_key(|one| one.step);
        let damaged = listing.damaged.iter();
        Self {
            dry_run: true,
            checkpoints,
            damaged: damaged.map(|one| sentence(&one.path, &one.error)).collect(),
        }
    }

    fn goes(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.iter().filter(|one| !one.stays)
    }

    /// Prints a line for each checkpoint, and the sums.
    pub(super) fn show(&self, screen: &mut Screen) -> Result<(), Failure> {
        let width = screen.width();
        let digits = self.checkpoints.iter().map(|one| one.step.to_string().len()).max();
        let digits = digits.unwrap_or(0);
        for one in &self.checkpoints {
            let verb = if one.stays { "stays" } else { "goes " };
            let bytes = one.bytes.map_or_else(String::new, size);
            let reasons = one.reasons.join(", ");
            let line = format!(
                "{verb}   step {:>digits$}   {bytes:>10}   {}",
                one.step,
                plain(&reasons)
            );
            let line = cut(line.trim_end(), width);
            if one.stays {
                screen.line(line)?;
            } else {
                screen.line(styled(RED, line))?;
            }
        }
        let count = self.goes().count();
        if count == 0 {
            return screen.line(fitted("every checkpoint stays", width));
        }
        let bytes = self.goes().filter_map(|one| one.bytes).sum();
        let stay = self.checkpoints.len() - count;
        let verb = if count == 1 { "goes" } else { "go" };
        let stay_verb = if stay == 1 { "stays" } else { "stay" };
        let count = plural(count, "checkpoint");
        let sums = format!("{count} ({}) {verb}, {stay} {stay_verb}", size(bytes));
        screen.line(fitted(&sums, width))
    }

    /// Prints the damaged checkpoints.
    pub(super) fn show_damaged(&self, screen: &mut Screen) -> Result<(), Failure> {
        for said in &self.damaged {
            screen.line(format_args!("{} {said}", styled(RED, "damaged:")))?;
        }
        Ok(())
    }

    /// Prints the number of checkpoints that were removed.
    pub(super) fn show_removed(&self, screen: &mut Screen) -> Result<(), Failure> {
        let removed: Vec<&Checkpoint> = self.checkpoints.iter().filter(|one| one.removed).collect();
        let line = if removed.is_empty() {
            "nothing was removed".to_owned()
        } else {
            let bytes = removed.iter().filter_map(|one| one.bytes).sum();
            format!("removed {}, {}", plural(removed.len(), "checkpoint"), size(bytes))
        };
        screen.line(fitted(&line, screen.width()))
    }
}

/// The checkpoints with the decisions about those that are left.
fn outcome(before: &[&Decision], after: &[Decision], removed: &BTreeSet<u64>) -> Vec<Checkpoint> {
    let one = |before: &&Decision| {
        let step = before.checkpoint.step;
        let after = after.iter().find(|one| one.checkpoint.step == step);
        let mut one = Checkpoint::of(after.unwrap_or(before));
        if removed.contains(&step) {
            one.removed = true;
            one.stays = false;
            one.reasons.clear();
        }
        one
    };
    before.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use fabric_core::Fabric;
    use fabric_core::run::{Keep, Run, list};
    use testkit::states::var;

    use super::*;

    #[derive(fabric_core::Checkpoint)]
    struct Weight {
        weight: candle_core::Var,
    }

    #[test]
    fn a_prune_that_stopped_tells_the_checkpoints_that_it_removed() {
        let directory = tempfile::tempdir().unwrap();
        let fabric = Fabric::new();
        let mut run = Run::at(directory.path()).open(&fabric).unwrap();
        for step in 1..=4 {
            run.save(step, &Weight { weight: var(1, 10) }, &[]).unwrap();
        }
        let decisions = || {
            let listing = list(&fabric, directory.path()).unwrap();
            let decisions = listing.decide(&Keep::last(1)).unwrap();
            (listing, decisions)
        };
        let (listing, before) = decisions();
        fs::remove_file(&before[0].checkpoint.path).unwrap();
        let decided = Decided::stopped(&listing, &before, &decisions().1);
        let facts = decided.checkpoints.iter().map(|one| (one.step, one.stays, one.removed));
        let facts: Vec<(u64, bool, bool)> = facts.collect();
        assert_eq!(
            facts,
            [(1, false, true), (2, false, false), (3, false, false), (4, true, false)]
        );
        assert!(!decided.dry_run);
    }
}
