//! A trainer with callbacks that keeps the last three checkpoints and the best one, and resumes from the latest.
//!
//! The trainer is in `src/trainer.rs`, made to be copied; the task is in `src/quality.rs`. `cargo run --bin trainer` trains
//! until a callback stops it, and a second trainer goes on from there. `cargo run --bin trainer -- DIRECTORY` keeps the
//! checkpoints in a directory of your own: stop it, and start it again. `RUST_LOG=fabric=debug` tells where the time of saves
//! and loads goes.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use candle_core::Device;
use fabric_core::Fabric;
use fabric_core::run::Resumed;
use fabric_examples::observing::log;
use fabric_examples::quality::Quality;
use fabric_examples::trainer::{Callback, Checkpoints, Flow, RunState, Task, Trainer};
use fabric_examples::{Result, by_component, exit, scratch};
use indicatif::{MultiProgress, ProgressBar};

const EPOCHS: u64 = 25;

/// Prints what happens.
struct Progress {
    bar: ProgressBar,
}

impl Callback<Quality> for Progress {
    fn on_train_start(&mut self, state: &RunState<Quality>, resumed: Option<&Resumed>) -> Result<Flow> {
        match resumed {
            None => println!("starts"),
            Some(resumed) => {
                let restored = by_component(resumed.report.restored.iter().map(String::as_str));
                println!("resumes after step {}; restored {restored}", state.step);
            }
        }
        self.bar.set_length(EPOCHS * state.task.steps_per_epoch());
        self.bar.set_position(state.step);
        Ok(Flow::Continue)
    }

    fn on_step_end(&mut self, _: &RunState<Quality>, loss: f32) -> Result<Flow> {
        self.bar.inc(1);
        self.bar.set_message(format!("loss {loss:.3}"));
        Ok(Flow::Continue)
    }

    fn on_epoch_end(&mut self, state: &RunState<Quality>, metric: f32) -> Result<Flow> {
        let best = state.best.is_some_and(|best| best >= metric);
        let mark = if best { ", the best so far" } else { "" };
        self.bar
            .suspend(|| println!("   epoch {:>2}: validation loss {metric:.4}{mark}", state.epoch()));
        Ok(Flow::Continue)
    }

    fn on_train_end(&mut self, _: &RunState<Quality>) -> Result<Flow> {
        self.bar.finish_and_clear();
        Ok(Flow::Continue)
    }
}

/// Stops in the middle of an epoch, as a time limit would.
struct StopAfter(u64);

impl Callback<Quality> for StopAfter {
    fn on_step_end(&mut self, state: &RunState<Quality>, _: f32) -> Result<Flow> {
        Ok(if state.step == self.0 {
            Flow::Stop
        } else {
            Flow::Continue
        })
    }
}

/// Stops when the validation metric has not improved for so many epochs. The history that it looks at is part of the
/// state, so that it goes on counting in a resumed run.
struct EarlyStopping {
    patience: usize,
}

impl Callback<Quality> for EarlyStopping {
    fn on_epoch_end(&mut self, state: &RunState<Quality>, _: f32) -> Result<Flow> {
        let waited = state
            .history
            .iter()
            .rev()
            .take_while(|&&metric| Some(metric) != state.best);
        let stop = waited.count() >= self.patience;
        Ok(if stop { Flow::Stop } else { Flow::Continue })
    }
}

fn main() -> ExitCode {
    let bars = MultiProgress::new();
    log(&bars);
    exit(match env::args_os().nth(1) {
        Some(directory) => run(Path::new(&directory), &bars),
        None => {
            let directory = scratch("trainer");
            stop_early(&directory, &bars).and_then(|()| run(&directory, &bars))
        }
    })
}

/// Trains to the end, from the newest checkpoint in `directory` if there is one.
fn run(directory: &Path, bars: &MultiProgress) -> Result<()> {
    let mut trainer = trainer(directory, bars)?;
    let state = trainer.fit(Quality::new(&Device::Cpu)?)?;
    println!("done after step {}", state.step);
    show(trainer.checkpoints())
}

fn stop_early(directory: &Path, bars: &MultiProgress) -> Result<()> {
    let mut trainer = trainer(directory, bars)?.with(StopAfter(100));
    let state = trainer.fit(Quality::new(&Device::Cpu)?)?;
    println!("stopped after step {}\n", state.step);
    Ok(())
}

/// A trainer that saves every 30 steps, and keeps the last three checkpoints and the best one.
fn trainer(directory: &Path, bars: &MultiProgress) -> Result<Trainer<Quality>> {
    let checkpoints = Checkpoints::open(&Fabric::new(), directory, 30, 3)?.with_bars(bars);
    let bar = bars.add(ProgressBar::no_length());
    Ok(Trainer::new(EPOCHS, checkpoints)
        .with(Progress { bar })
        .with(EarlyStopping { patience: 5 }))
}

/// Prints which checkpoints stay, and loads the best.
fn show(checkpoints: &Checkpoints) -> Result<()> {
    let kept = checkpoints.kept()?;
    let names = kept.iter().filter_map(|one| one.path.file_name()?.to_str());
    println!("kept: {}", names.collect::<Vec<_>>().join(", "));

    let mut best = Quality::new(&Device::Cpu)?;
    let loaded = Fabric::new().load(checkpoints.best()?, &mut best)?;
    let step: u64 = loaded.remainder.value("step")?;
    let accuracy = best.wine.validation.accuracy(&best.model)?;
    println!("best: step {step}, validation accuracy {:.1} %", 100.0 * accuracy);
    Ok(())
}
