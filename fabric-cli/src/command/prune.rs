//! `ckpt prune DIR`: removes the checkpoints of a run that no rule keeps.

mod rules;

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::PathBuf;
use std::process::ExitCode;

use fabric_core::Fabric;
use fabric_core::run::{Decision, Keep, Kept, Pruned, Run};
use serde::Serialize;

use self::rules::Rules;
use super::runs::listed;
use crate::failure::{Failure, sentence};
use crate::screen::{DIM, RED, Screen, styled};
use crate::text::{plain, plural, size};
use crate::{USAGE, json};

/// Removes the checkpoints of a run that no rule keeps.
///
/// A checkpoint stays if any rule keeps it, and the newest one always stays. Damaged checkpoints and all other files stay. The
/// newest checkpoint is read and verified before another one is removed. Takes the lock of the run: while a training has the run
/// open, nothing is removed, and the command fails.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory of the run.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    rules: Rules,
    /// Shows the decisions, and removes nothing. Takes no lock.
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
/// If the directory is no run, a training has it open, or nobody can be asked.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let keep = arguments.rules.keep();
    let failed = |error: fabric_core::Error| Failure::of(&arguments.directory, &error);
    let fabric = Fabric::new();
    let listing = listed(&fabric, &arguments.directory)?;
    if arguments.dry_run {
        let decisions = listing.decide(&keep).map_err(failed)?;
        return told(arguments, screen, &decisions, None);
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
        let pruned = run.prune().map_err(failed)?;
        return told(arguments, screen, &decisions, Some(&pruned));
    }
    // A training may begin while the question waits.
    drop(run);
    show(screen, &decisions)?;
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
    report(screen, &run.prune().map_err(failed)?)?;
    Ok(ExitCode::SUCCESS)
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

/// Prints the decisions and the outcome; without an outcome nothing was removed.
fn told(
    arguments: &Arguments,
    screen: &mut Screen,
    decisions: &[Decision],
    pruned: Option<&Pruned>,
) -> Result<ExitCode, Failure> {
    if arguments.json {
        json::print(screen, &Document::new(decisions, pruned))?;
        return Ok(ExitCode::SUCCESS);
    }
    show(screen, decisions)?;
    match pruned {
        Some(pruned) => report(screen, pruned)?,
        None => screen.line(styled(DIM, "a dry run: nothing was removed"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each checkpoint, and the sums.
fn show(screen: &mut Screen, decisions: &[Decision]) -> Result<(), Failure> {
    let width = decisions.iter().map(|one| one.checkpoint.step.to_string().len()).max();
    let width = width.unwrap_or(0);
    for decision in decisions {
        let Kept { step, bytes, .. } = &decision.checkpoint;
        let bytes = size(*bytes);
        let line = if decision.stays() {
            format!(
                "stays   step {step:>width$}   {bytes:>10}   {}",
                plain(&reasons(decision).join(", "))
            )
        } else {
            styled(RED, format!("goes    step {step:>width$}   {bytes:>10}"))
        };
        screen.line(line)?;
    }
    let count = goes(decisions).count();
    if count == 0 {
        return screen.line("every checkpoint stays");
    }
    let bytes = goes(decisions).map(|one| one.bytes).sum();
    let stay = decisions.len() - count;
    let verb = if count == 1 { "goes" } else { "go" };
    let stay_verb = if stay == 1 { "stays" } else { "stay" };
    let count = plural(count, "checkpoint");
    screen.line(format_args!("{count} ({}) {verb}, {stay} {stay_verb}", size(bytes)))
}

fn report(screen: &mut Screen, pruned: &Pruned) -> Result<(), Failure> {
    for (path, error) in &pruned.damaged {
        screen.line(format_args!("{} {}", styled(RED, "damaged:"), sentence(path, error)))?;
    }
    if pruned.removed.is_empty() {
        return screen.line("nothing was removed");
    }
    let removed = plural(pruned.removed.len(), "checkpoint");
    let bytes = pruned.removed.iter().map(|one| one.bytes).sum();
    screen.line(format_args!("removed {removed}, {}", size(bytes)))
}

fn reasons(decision: &Decision) -> Vec<String> {
    decision.reasons.iter().map(ToString::to_string).collect()
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    dry_run: bool,
    checkpoints: Vec<Decided>,
    damaged: Vec<String>,
}

#[derive(Serialize)]
struct Decided {
    step: u64,
    path: String,
    bytes: u64,
    stays: bool,
    reasons: Vec<String>,
    removed: bool,
}

impl Document {
    fn new(decisions: &[Decision], pruned: Option<&Pruned>) -> Self {
        let is_removed = |step: u64| pruned.is_some_and(|pruned| pruned.removed.iter().any(|one| one.step == step));
        let decided = decisions.iter().map(|decision| Decided {
            step: decision.checkpoint.step,
            path: decision.checkpoint.path.to_string_lossy().into_owned(),
            bytes: decision.checkpoint.bytes,
            stays: decision.stays(),
            reasons: reasons(decision),
            removed: is_removed(decision.checkpoint.step),
        });
        let damaged = pruned.into_iter().flat_map(|pruned| &pruned.damaged);
        Self {
            dry_run: pruned.is_none(),
            checkpoints: decided.collect(),
            damaged: damaged.map(|(path, error)| sentence(path, error)).collect(),
        }
    }
}
