//! The training of a small GPT that is killed again and again, and ends with the state of a training that nobody stopped.
//!
//! `cargo run --bin gpt` trains in processes of which three are killed, then in one that runs through, and compares every loss and the
//! last checkpoints, bit for bit. The model, its state and its step are in `src/gpt.rs`.
//!
//! `cargo run --bin gpt -- DIRECTORY` trains in a directory of your own: stop it whenever you like, and start it again.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use fabric_core::run::{self, Every, Keep, Metric, Run};
use fabric_core::{DiffOptions, Fabric, RawCheckpoint};
use fabric_examples::gpt::{STEPS, Training};
use fabric_examples::{Result, exit, scratch};

const SEED: u64 = 1;

/// The steps after which a process is killed.
const KILLED_AT: [u64; 3] = [3, 17, 28];

fn main() -> ExitCode {
    exit(match env::args_os().nth(1) {
        Some(directory) => train(Path::new(&directory)),
        None => demonstrate(&scratch("gpt")),
    })
}

/// Trains to the end, or until a signal asks for one, from the newest checkpoint in `directory` if there is one.
fn train(directory: &Path) -> Result<()> {
    let mut training = Training::new(SEED)?;
    let mut run = Run::at(directory)
        .keep(Keep::last(2).best(1, Metric::lowest("loss")))
        .save_every(Every::steps(5))
        .stop_on_signals()
        .open(&Fabric::new())?;
    if let Some(resumed) = run.resume(&mut training)? {
        println!("resumed after step {}", resumed.step);
    }
    while training.step < STEPS {
        let loss = training.advance()?;
        println!("step {} loss {loss}", training.step);
        let stop = run.stop_requested()?;
        if run.due(training.step) || stop {
            run.save_async(training.step, &training, &[("loss", f64::from(loss))])?;
        }
        if stop {
            break;
        }
    }
    run.wait()?;
    println!("it writes: {}", training.continued("the river ", 30)?);
    Ok(())
}

fn demonstrate(root: &Path) -> Result<()> {
    let [stopped, straight] = ["stopped", "uninterrupted"].map(|name| root.join(name));
    let mut losses = Losses::new();
    for step in KILLED_AT {
        println!("\na process trains, and is killed after step {step}");
        follow(&stopped, Some(step), &mut losses)?;
    }
    println!("\na process goes on to the end");
    follow(&stopped, None, &mut losses)?;

    println!("\nanother training, which nobody stops");
    let mut uninterrupted = Losses::new();
    follow(&straight, None, &mut uninterrupted)?;

    if losses != uninterrupted {
        return Err(format!("the losses differ: {losses:?}, and {uninterrupted:?} without a stop").into());
    }
    let diff = newest(&stopped)?.diff(&newest(&straight)?, DiffOptions::new())?;
    if !diff.is_empty() {
        return Err(format!("the last checkpoints differ: {diff:?}").into());
    }
    println!(
        "\nAll {} losses are equal, and so is every entry of the last checkpoints, bit for bit.",
        losses.len()
    );
    Ok(())
}

/// The loss of each step, as it was printed.
type Losses = BTreeMap<u64, String>;

/// Starts this program again as a process that trains, and collects its losses; kills it after the step `until`. A step that two
/// processes took must have one loss.
fn follow(directory: &Path, until: Option<u64>, losses: &mut Losses) -> Result<()> {
    let mut process = Command::new(env::current_exe()?)
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = process.stdout.take().ok_or("no output")?;
    let mut killed = false;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let Some((step, loss)) = line.strip_prefix("step ").and_then(|rest| rest.split_once(" loss ")) else {
            println!("   {line}");
            continue;
        };
        let step: u64 = step.parse()?;
        if let Some(other) = losses.insert(step, loss.to_owned())
            && other != loss
        {
            return Err(format!("step {step} had the loss {other}, and has {loss} after a resume").into());
        }
        if step.is_multiple_of(10) {
            println!("   step {step:>2}: loss {loss}");
        }
        if until.is_some_and(|until| step >= until) && !killed {
            process.kill()?;
            killed = true;
        }
    }
    let status = process.wait()?;
    if killed || status.success() {
        return Ok(());
    }
    Err(format!("the training process failed: {status}").into())
}

/// The newest checkpoint of a run.
fn newest(directory: &Path) -> Result<RawCheckpoint> {
    let fabric = Fabric::new();
    let listing = run::list(&fabric, directory)?;
    let latest = listing.latest().ok_or("the run has no checkpoint")?;
    Ok(fabric.open(&latest.path)?)
}
