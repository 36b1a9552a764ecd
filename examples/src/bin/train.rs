//! A training run that is killed and resumed, and ends with the weights of a run that was never stopped.
//!
//! `cargo run --bin train` starts a training process, kills it in the middle, starts another that resumes from the last
//! checkpoint, and compares the end with an uninterrupted run, bit for bit; then with one that restored everything but
//! the optimizer, which ends elsewhere.
//!
//! `cargo run --bin train -- DIRECTORY` trains in a directory of your own: stop it whenever you like, and start it again.

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;
use std::{env, fs, thread};

use candle_core::{DType, Device};
use candle_nn::{VarBuilder, VarMap};
use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
use fabric_core::run::{self, Every, Keep, Resumed, Run};
use fabric_core::{Checkpoint, DiffOptions, Fabric, LoadOptions, named_parameters};
use fabric_examples::mlp::Mlp;
use fabric_examples::wine::{FEATURES, MARKS, Wine};
use fabric_examples::{Result, by_component, digest, exit, scratch};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

/// All that a run needs to go on: this is what the checkpoint holds.
#[derive(Checkpoint)]
struct TrainState {
    model: Mlp,
    optimizer: AdamW,
    iteration: u64,
    validation_losses: Vec<f32>,
    #[checkpoint(metadata)]
    hparams: HParams,
    #[checkpoint(skip)]
    device: Device,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct HParams {
    hidden: usize,
    learning_rate: f64,
    batch_size: usize,
    iterations: u64,
    save_every: u64,
}

/// The model by itself: a smaller state, which takes its part of the same checkpoint.
#[derive(Checkpoint)]
struct ModelOnly {
    model: Mlp,
}

impl TrainState {
    fn new(device: Device) -> Result<Self> {
        let hparams = HParams {
            hidden: 64,
            learning_rate: 2e-4,
            batch_size: 64,
            iterations: 3000,
            save_every: 250,
        };
        let model = new_model(hparams.hidden, &device)?;
        let params = ParamsAdamW {
            lr: hparams.learning_rate,
            ..ParamsAdamW::default()
        };
        Ok(Self {
            optimizer: AdamW::from_named(named_parameters(&model), params)?,
            model,
            iteration: 0,
            validation_losses: Vec::new(),
            hparams,
            device,
        })
    }

    /// One step; returns the loss.
    fn step(&mut self, wine: &Wine) -> Result<f32> {
        let loss = wine
            .train
            .batch(usize::try_from(self.iteration)?, self.hparams.batch_size)?
            .loss(&self.model)?;
        self.optimizer.backward_step(&loss)?;
        self.iteration += 1;
        Ok(loss.to_scalar()?)
    }
}

fn new_model(hidden: usize, device: &Device) -> Result<Mlp> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, device);
    Ok(Mlp::new(FEATURES, hidden, MARKS, &builder)?)
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    exit(match (arguments.next(), arguments.next()) {
        (None, _) => demonstrate(&scratch("train")),
        (Some(directory), option) => train(Path::new(&directory), option.is_none()),
    })
}

/// Trains in `directory` to the end, or until a signal asks it to stop, from wherever the last process got to; if `warm`, with
/// its optimizer.
fn train(directory: &Path, warm: bool) -> Result<()> {
    let fabric = Fabric::new();
    let mut state = TrainState::new(Device::Cpu)?;
    let mut run = Run::at(directory)
        .keep(Keep::last(2))
        .save_every(Every::steps(state.hparams.save_every))
        .stop_on_signals()
        .open(&fabric)?;
    match run.resume_with(&mut state, restored(warm))? {
        Some(resumed) => show(&resumed, &state),
        None => start_from_one_file(&fabric, directory, &mut state)?,
    }
    let wine = Wine::load(&state.device)?;
    let bar = ProgressBar::new(state.hparams.iterations).with_position(state.iteration);
    bar.set_style(ProgressStyle::with_template("   {wide_bar} {pos}/{len} {msg}")?);
    while state.iteration < state.hparams.iterations {
        let loss = state.step(&wine)?;
        bar.inc(1);
        let stop = run.stop_requested()?;
        let due = run.due(state.iteration);
        if due {
            let validation = wine.validation.loss(&state.model)?.to_scalar()?;
            state.validation_losses.push(validation);
            bar.set_message(format!("loss {loss:.3}, validation {validation:.3}"));
        }
        if due || stop {
            let validation = state.validation_losses.last().copied().unwrap_or(f32::NAN);
            run.save_async(state.iteration, &state, &[("val_loss", f64::from(validation))])?;
        }
        if stop {
            break;
        }
    }
    run.wait()?;
    bar.finish();
    end_line_of_bar();
    Ok(())
}

/// Candle draws initial weights without a seed. Runs that are to be compared start from one file.
fn start_from_one_file(fabric: &Fabric, directory: &Path, state: &mut TrainState) -> Result<()> {
    let start = directory.join("start.ckpt");
    if start.exists() {
        fabric.load(&start, state)?;
    } else {
        fabric.save(&start, state)?;
    }
    Ok(())
}

/// The components that a resume restores.
fn restored(warm: bool) -> LoadOptions {
    if warm {
        return LoadOptions::new();
    }
    LoadOptions::new()
        .only(TrainState::FIELDS.model)
        .only(TrainState::FIELDS.iteration)
        .only(TrainState::FIELDS.validation_losses)
        .only(TrainState::FIELDS.hparams)
}

fn show(resumed: &Resumed, state: &TrainState) {
    println!(
        "   restored: {}",
        by_component(resumed.report.restored.iter().map(String::as_str))
    );
    println!("   remained: {}", by_component(resumed.remainder.names()));
    println!(
        "   goes on at iteration {} of {}",
        state.iteration, state.hparams.iterations
    );
}

/// The newest checkpoint of a run, which another process may be training.
fn newest(fabric: &Fabric, directory: &Path) -> Result<Option<PathBuf>> {
    Ok(run::list(fabric, directory)?.latest().map(|kept| kept.path.clone()))
}

fn newest_of(fabric: &Fabric, directory: &Path) -> Result<PathBuf> {
    Ok(newest(fabric, directory)?.ok_or("the run has no checkpoint")?)
}

fn demonstrate(root: &Path) -> Result<()> {
    let fabric = Fabric::new();
    let [stopped, straight, cold] = ["stopped", "uninterrupted", "cold"].map(|run| root.join(run));
    for directory in [&stopped, &straight, &cold] {
        fs::create_dir_all(directory)?;
    }
    fabric.save(stopped.join("start.ckpt"), &TrainState::new(Device::Cpu)?)?;
    // A checkpoint is a file like any other: copy it, move it, send it.
    fs::copy(stopped.join("start.ckpt"), straight.join("start.ckpt"))?;

    println!("\n1. A process trains, and is killed.");
    let iteration = train_and_kill(&fabric, &stopped)?;
    println!("   killed; its last checkpoint is of iteration {iteration}");
    let last = newest_of(&fabric, &stopped)?;
    fs::copy(&last, cold.join(last.file_name().ok_or("a name")?))?;

    println!("\n2. A new process resumes.");
    finish(start(&stopped, &[])?)?;

    println!("\n3. For comparison, a process with the same start that nobody stops.");
    finish(start(&straight, &[])?)?;

    println!("\n4. And one that resumes without the optimizer's state.");
    finish(start(&cold, &["cold"])?)?;

    println!("\n5. The weights at the end:");
    let resumed = judge(&fabric, "killed and resumed", &stopped)?;
    let uninterrupted = judge(&fabric, "uninterrupted", &straight)?;
    let without = judge(&fabric, "cold optimizer", &cold)?;
    if resumed != uninterrupted || !same_entries(&fabric, &stopped, &straight)? {
        return Err("the resumed run differs from the uninterrupted one".into());
    }
    if without == uninterrupted {
        return Err("the optimizer's state made no difference".into());
    }
    println!("\nThe resumed run equals the uninterrupted one, bit for bit; so do their checkpoints, entry for entry.");
    println!("The one with the cold optimizer does not: weights alone are not enough to resume.");
    Ok(())
}

/// Starts this program again, as a process that trains.
fn start(directory: &Path, arguments: &[&str]) -> Result<Child> {
    Ok(Command::new(env::current_exe()?)
        .arg(directory)
        .args(arguments)
        .spawn()?)
}

fn finish(mut process: Child) -> Result<()> {
    match process.wait()? {
        status if status.success() => Ok(()),
        status => Err(format!("the training process failed: {status}").into()),
    }
}

/// Trains in a process that is killed in the middle; returns the iteration of the checkpoint that it left.
///
/// On a machine that is busy elsewhere the process may be done before this one gets to kill it; then it starts over.
fn train_and_kill(fabric: &Fabric, directory: &Path) -> Result<u64> {
    for _ in 0..5 {
        if let Some(iteration) = kill_in_the_middle(fabric, directory, start(directory, &[])?)? {
            return Ok(iteration);
        }
        for kept in run::list(fabric, directory)?.checkpoints {
            fs::remove_file(kept.path)?;
        }
    }
    Err("the training process was done before it could be killed, five times".into())
}

/// Kills the process when a quarter is done; returns the iteration of the checkpoint that it left, or nothing if it came
/// to its end before.
///
/// The run is listed while the process saves into it: every checkpoint under its name is a complete one.
fn kill_in_the_middle(fabric: &Fabric, directory: &Path, mut process: Child) -> Result<Option<u64>> {
    loop {
        if process.try_wait()?.is_some() {
            return finish(process).map(|()| None);
        }
        if let Some(last) = newest(fabric, directory)?
            // The process removes its third checkpoint when the next one is durable.
            && let Ok(checkpoint) = fabric.open(last)
        {
            let hparams: HParams = checkpoint.value("hparams")?;
            if checkpoint.value::<u64>("iteration")? >= hparams.iterations / 4 {
                break;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    process.kill()?;
    if process.wait()?.success() {
        return Ok(None);
    }
    end_line_of_bar();
    Ok(Some(fabric.open(newest_of(fabric, directory)?)?.value("iteration")?))
}

/// Returns true if the last checkpoints of two runs have the same entries. Only the times of the saves differ.
fn same_entries(fabric: &Fabric, one: &Path, other: &Path) -> Result<bool> {
    let (one, other) = (newest_of(fabric, one)?, newest_of(fabric, other)?);
    let diff = fabric.open(one)?.diff(&fabric.open(other)?, DiffOptions::new())?;
    Ok(diff.is_empty())
}

/// Goes to the next line where a progress bar, which only terminals show, was left on its own.
fn end_line_of_bar() {
    if stderr().is_terminal() {
        eprintln!();
    }
}

/// Loads the model of a run, and nothing else; prints how good it is.
fn judge(fabric: &Fabric, title: &str, directory: &Path) -> Result<u64> {
    let device = Device::Cpu;
    let checkpoint = fabric.open(newest_of(fabric, directory)?)?;
    let hparams: HParams = checkpoint.value("hparams")?;
    let mut state = ModelOnly {
        model: new_model(hparams.hidden, &device)?,
    };
    checkpoint.load(&mut state)?;
    let accuracy = Wine::load(&device)?.validation.accuracy(&state.model)?;
    let digest = digest(&state.model)?;
    println!("   {title:<20} {digest:016x}   accuracy {:.1} %", 100.0 * accuracy);
    Ok(digest)
}
