//! A training run that is killed and resumed, and ends with the weights of a run that was never stopped.
//!
//! `cargo run --bin train` starts a training process, kills it in the middle, starts another that resumes from the last
//! checkpoint, and compares the end with an uninterrupted run, bit for bit; then with one that restored everything but
//! the optimizer, which ends elsewhere.
//!
//! `cargo run --bin train -- DIRECTORY` trains in a directory of your own: stop it whenever you like, and start it again.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;
use std::{env, fs, thread};

use candle_core::{DType, Device};
use candle_nn::{VarBuilder, VarMap};
use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
use fabric_core::{Checkpoint, Fabric, LoadOptions, named_parameters};
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
    iteration: usize,
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
    iterations: usize,
    save_every: usize,
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
            .batch(self.iteration, self.hparams.batch_size)?
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

/// Trains in `directory` to the end, from wherever the last run got to; if `warm`, with its optimizer.
fn train(directory: &Path, warm: bool) -> Result<()> {
    let fabric = Fabric::new();
    let last = directory.join("last.ckpt");
    let mut state = TrainState::new(Device::Cpu)?;
    if last.exists() {
        resume(&fabric, &last, &mut state, warm)?;
    } else {
        // Candle draws initial weights without a seed. Runs that are to be compared start from one file.
        let start = directory.join("start.ckpt");
        if start.exists() {
            fabric.load(&start, &mut state)?;
        } else {
            fabric.save(&start, &state)?;
        }
    }
    let wine = Wine::load(&state.device)?;
    let bar = ProgressBar::new(state.hparams.iterations as u64).with_position(state.iteration as u64);
    bar.set_style(ProgressStyle::with_template("   {wide_bar} {pos}/{len} {msg}")?);
    while state.iteration < state.hparams.iterations {
        let loss = state.step(&wine)?;
        bar.inc(1);
        if state.iteration % state.hparams.save_every == 0 {
            let validation = wine.validation.loss(&state.model)?.to_scalar()?;
            state.validation_losses.push(validation);
            fabric.save(&last, &state)?;
            bar.set_message(format!("loss {loss:.3}, validation {validation:.3}"));
        }
    }
    bar.finish();
    end_line_of_bar();
    Ok(())
}

fn resume(fabric: &Fabric, last: &Path, state: &mut TrainState, warm: bool) -> Result<()> {
    let options = LoadOptions::new();
    let options = if warm {
        options
    } else {
        options
            .only(TrainState::FIELDS.model)
            .only(TrainState::FIELDS.iteration)
            .only(TrainState::FIELDS.validation_losses)
            .only(TrainState::FIELDS.hparams)
    };
    let loaded = fabric.load_with(last, state, options)?;
    println!(
        "   restored: {}",
        by_component(loaded.report.restored.iter().map(String::as_str))
    );
    println!("   remained: {}", by_component(loaded.remainder.names()));
    println!(
        "   goes on at iteration {} of {}",
        state.iteration, state.hparams.iterations
    );
    Ok(())
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
    fs::copy(stopped.join("last.ckpt"), cold.join("last.ckpt"))?;

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
    let same_file = fs::read(stopped.join("last.ckpt"))? == fs::read(straight.join("last.ckpt"))?;
    if resumed != uninterrupted || !same_file {
        return Err("the resumed run differs from the uninterrupted one".into());
    }
    if without == uninterrupted {
        return Err("the optimizer's state made no difference".into());
    }
    println!("\nThe resumed run equals the uninterrupted one, bit for bit; so do their checkpoints, byte for byte.");
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
fn train_and_kill(fabric: &Fabric, directory: &Path) -> Result<usize> {
    let last = directory.join("last.ckpt");
    for _ in 0..5 {
        if let Some(iteration) = kill_in_the_middle(fabric, &last, start(directory, &[])?)? {
            return Ok(iteration);
        }
        fs::remove_file(&last)?;
    }
    Err("the training process was done before it could be killed, five times".into())
}

/// Kills the process when a quarter is done; returns the iteration of the checkpoint that it left, or nothing if it came
/// to its end before.
///
/// The checkpoint is opened while the process replaces it: at every instant it is a complete one.
fn kill_in_the_middle(fabric: &Fabric, last: &Path, mut process: Child) -> Result<Option<usize>> {
    loop {
        if process.try_wait()?.is_some() {
            return finish(process).map(|()| None);
        }
        if last.exists() {
            let checkpoint = fabric.open(last)?;
            let hparams: HParams = checkpoint.value("hparams")?;
            if checkpoint.value::<usize>("iteration")? >= hparams.iterations / 4 {
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
    Ok(Some(fabric.open(last)?.value("iteration")?))
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
    let checkpoint = fabric.open(directory.join("last.ckpt"))?;
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
