//! `ckpt prune DIR`: removes the checkpoints of a run that no rule keeps.

mod decided;
mod rules;

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::PathBuf;
use std::process::ExitCode;

use fabric_core::Fabric;
use fabric_core::run::{Decision, Keep, Kept, Listing, Metric, Run};

use self::decided::Decided;
use self::rules::Rules;
use super::runs::{listed, no_metric};
use crate::failure::Failure;
use crate::screen::{DIM, Screen, styled};
use crate::text::{cut, plural};
use crate::{USAGE, json};

/// Removes the checkpoints of a run that no rule keeps.
///
/// A checkpoint stays if any rule keeps it, and the newest one always stays. Every checkpoint that stays is read and verified
/// before another one is removed: a damaged one stays too, and the rules keep another one in its place. Of the checkpoints that go,
/// only the heads are read, and one whose head is damaged stays. All other files stay. Takes the lock of the run: while a training
/// has the run open, nothing is removed, and the command fails.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory of the run.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    rules: Rules,
    /// Shows the decisions, and removes nothing. Takes no lock, and verifies nothing.
    #[arg(long)]
    dry_run: bool,
    /// Removes without a question. Without a terminal there is nobody to ask, and the option is needed.
    #[arg(long)]
    yes: bool,
    /// Prints one document of JSON. Needs --yes or --dry-run.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// If the directory is no run, no checkpoint has the metric of a rule, a training has the run open, or nobody can be asked.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let keep = arguments.rules.keep();
    let failed = |error: fabric_core::Error| Failure::of(&arguments.directory, &error);
    let fabric = Fabric::new();
    let listing = listed(&fabric, &arguments.directory)?;
    has_metrics(arguments, &listing)?;
    if arguments.dry_run {
        let decided = Decided::before(&listing, &listing.decide(&keep).map_err(failed)?);
        if arguments.json {
            json::print(screen, &decided)?;
        } else {
            decided.show(screen)?;
            decided.show_damaged(screen)?;
            let remark = cut("a dry run: nothing was removed", screen.width());
            screen.line(styled(DIM, remark))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let can_ask = !arguments.json && stdin().is_terminal() && stderr().is_terminal();
    if !arguments.yes && !can_ask {
        let text = "prune asks before it removes a checkpoint, and there is no terminal: --yes removes without a question, \
                    --dry-run shows the decisions";
        return Err(Failure::new(text).with_status(USAGE));
    }
    let mut run = opened(&fabric, arguments, &keep)?;
    let decisions = run.decisions().map_err(failed)?;
    if arguments.yes || decisions.iter().all(Decision::stays) {
        let (decided, outcome) = pruned(&mut run, &listing, &decisions);
        if arguments.json {
            json::print(screen, &decided)?;
        } else {
            decided.show(screen)?;
            decided.show_damaged(screen)?;
            decided.show_removed(screen)?;
        }
        return outcome.map(|()| ExitCode::SUCCESS).map_err(failed);
    }
    // A training may begin while the question waits.
    drop(run);
    Decided::before(&listing, &decisions).show(screen)?;
    screen.flush()?;
    if !is_confirmed(&decisions)? {
        screen.line("nothing was removed")?;
        return Ok(ExitCode::FAILURE);
    }
    let mut run = opened(&fabric, arguments, &keep)?;
    if steps_that_go(&run.decisions().map_err(failed)?) != steps_that_go(&decisions) {
        let text = "the run has changed since the question; nothing was removed, repeat the command";
        return Err(Failure::new(text));
    }
    let (decided, outcome) = pruned(&mut run, &listing, &decisions);
    decided.show_damaged(screen)?;
    decided.show_removed(screen)?;
    outcome.map(|()| ExitCode::SUCCESS).map_err(failed)
}

/// Removes, and tells the outcome also if the removal stops at an error.
fn pruned(run: &mut Run, listing: &Listing, before: &[Decision]) -> (Decided, fabric_core::Result<()>) {
    let outcome = run.prune();
    let after = run.decisions().unwrap_or_default();
    match outcome {
        Ok(pruned) => (Decided::pruned(listing, before, &after, &pruned), Ok(())),
        Err(error) => (Decided::stopped(listing, before, &after), Err(error)),
    }
}

/// A rule with a metric that no checkpoint has keeps nothing: its name may be mistyped.
fn has_metrics(arguments: &Arguments, listing: &Listing) -> Result<(), Failure> {
    let is_missing = |metric: &Metric| {
        let mut kept = listing.checkpoints.iter();
        kept.all(|one| !one.metrics.contains_key(metric.name()))
    };
    let mut metrics = arguments.rules.metrics().map(|(_, metric)| metric);
    match metrics.find(is_missing).filter(|_| !listing.checkpoints.is_empty()) {
        Some(metric) => Err(no_metric(&arguments.directory, listing, metric.name())),
        None => Ok(()),
    }
}

/// The run with its lock.
fn opened(fabric: &Fabric, arguments: &Arguments, keep: &Keep) -> Result<Run, Failure> {
    let opened = Run::at(&arguments.directory).keep(keep.clone()).open(fabric);
    opened.map_err(|error| Failure::of(&arguments.directory, &error))
}

fn steps_that_go(decisions: &[Decision]) -> Vec<u64> {
    goes(decisions).map(|one| one.step).collect()
}

fn goes(decisions: &[Decision]) -> impl Iterator<Item = &Kept> {
    decisions.iter().filter(|one| !one.stays()).map(|one| &one.checkpoint)
}

fn is_confirmed(decisions: &[Decision]) -> Result<bool, Failure> {
    let checkpoints = plural(goes(decisions).count(), "checkpoint");
    let mut out = stderr();
    write!(out, "remove {checkpoints}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
