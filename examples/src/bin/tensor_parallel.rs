//! A transformer that is trained on four ranks, dies, goes on on two, and then on one.
//!
//! `cargo run --bin tensor_parallel` trains a small transformer in parts: on 2 x 2 ranks (two replicas, each cut in two),
//! until one rank dies; from the last checkpoint on two ranks, one model cut in two; from there on one rank. Its losses are
//! those of a model that was never cut and never stopped, up to rounding.
//!
//! Ranks are threads of one process. With `--features mpi` they are processes, which `mpirun` starts; as root it wants
//! `OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1`.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::str::FromStr;

use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
use fabric_core::{Checkpoint, Fabric, Strategy, named_parameters};
use fabric_examples::parallel::all_reduce::{average_gradients, mean};
use fabric_examples::parallel::ranks::{Mesh, Split};
use fabric_examples::parallel::text::{CONTEXT, batch, vocabulary};
use fabric_examples::parallel::transformer::{Config, Transformer};
use fabric_examples::{Result, exit, scratch};

/// What a rank holds: its parts of the model and of the optimizer's moments. Where they are cut is said in the layers.
#[derive(Checkpoint)]
struct TrainState {
    model: Transformer,
    optimizer: AdamW,
    iteration: usize,
    losses: Vec<f32>,
}

/// A piece of a run, as its processes are told.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Replicas, and ranks of each.
    dp: usize,
    tp: usize,
    /// Where it ends.
    until: usize,
    /// Where its last rank dies; never, if that is after the end.
    dies_at: usize,
}

const SAVE_EVERY: usize = 10;

const NEVER: usize = usize::MAX;

/// How far the losses of a run in parts may be from those of the whole model: sums have another order, and what that
/// changes grows from step to step.
const TOLERANCE: f32 = 1e-4;

impl TrainState {
    fn new(mesh: &Mesh) -> Result<Self> {
        let config = Config {
            vocabulary: vocabulary().len(),
            context: CONTEXT,
            width: 32,
            heads: 4,
            depth: 2,
        };
        let model = Transformer::new(config, &mesh.tp)?;
        let params = ParamsAdamW {
            lr: 3e-3,
            ..ParamsAdamW::default()
        };
        Ok(Self {
            optimizer: AdamW::from_named(named_parameters(&model), params)?,
            model,
            iteration: 0,
            losses: Vec::new(),
        })
    }

    /// One step of this rank's replica, with the mean of all replicas' gradients.
    fn step(&mut self, mesh: &Mesh) -> Result<()> {
        let (inputs, targets) = batch(self.iteration, mesh.dp.rank(), mesh.dp.world_size())?;
        let loss = self.model.loss(&inputs, &targets)?;
        let mut gradients = loss.backward()?;
        let (_, parameters): (Vec<_>, Vec<_>) = named_parameters(&self.model).into_iter().unzip();
        average_gradients(&*mesh.dp, &parameters, &mut gradients)?;
        self.optimizer.step(&gradients)?;
        self.losses.push(mean(&*mesh.dp, &loss)?.to_scalar()?);
        self.iteration += 1;
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    exit(match arguments.split_first() {
        None => demonstrate(&scratch("tensor_parallel")),
        Some((directory, piece)) => piece
            .join(" ")
            .parse()
            .and_then(|piece| train(Path::new(directory), piece)),
    })
}

/// Trains one piece of a run: on processes if the program can, else on threads.
#[cfg(feature = "mpi")]
fn train(directory: &Path, piece: Piece) -> Result<()> {
    train_rank(fabric_core::group::MpiGroup::world()?, directory, piece)
}

#[cfg(not(feature = "mpi"))]
fn train(directory: &Path, piece: Piece) -> Result<()> {
    let ranks = piece.dp * piece.tp;
    fabric_examples::parallel::ranks::on_threads(ranks, |world| train_rank(world, directory, piece))
}

/// What each rank does: load the last checkpoint, whoever wrote it; train; save.
fn train_rank(world: impl Split, directory: &Path, piece: Piece) -> Result<()> {
    let mesh = Mesh::new(&world, piece.tp)?;
    let last_rank = world.rank() + 1 == world.world_size();
    let fabric = Fabric::builder()
        .strategy(Strategy::mesh([("dp", piece.dp), ("tp", piece.tp)]))
        .process_group(world)
        .build()?;
    let mut state = TrainState::new(&mesh)?;
    let last = directory.join("last.ckpt");
    if last.exists() {
        fabric.load(&last, &mut state)?;
    }
    let first = state.iteration;
    while state.iteration < piece.until {
        if last_rank && state.iteration == piece.dies_at {
            println!("   the last rank dies after iteration {}", state.iteration);
            std::process::abort();
        }
        state.step(&mesh)?;
        if state.iteration.is_multiple_of(SAVE_EVERY) {
            fabric.save(&last, &state)?;
        }
    }
    if fabric.rank() == 0 {
        println!(
            "   iterations {first} to {} on {} ranks",
            state.iteration,
            fabric.world_size()
        );
    }
    Ok(())
}

fn demonstrate(root: &Path) -> Result<()> {
    let [cut, whole] = ["cut", "whole"].map(|run| root.join(run));
    for directory in [&cut, &whole] {
        std::fs::create_dir_all(directory)?;
    }
    let piece = |dp, tp, until| Piece {
        dp,
        tp,
        until,
        dies_at: NEVER,
    };
    println!("\n1. Four ranks, 2 x 2.");
    if run(
        &cut,
        Piece {
            dies_at: 25,
            ..piece(2, 2, 60)
        },
    )? {
        return Err("a rank was to die, and the run went on".into());
    }
    println!("\n2. Two ranks, from the checkpoint of iteration {}.", iteration(&cut)?);
    finish(&cut, piece(1, 2, 40))?;
    println!("\n3. One rank, from the checkpoint of iteration {}.", iteration(&cut)?);
    finish(&cut, piece(1, 1, 60))?;
    println!("\n4. For comparison, one rank that nobody stops.");
    finish(&whole, piece(1, 1, 60))?;

    println!("\n5. The losses:");
    let (cut, whole) = (losses(&cut)?, losses(&whole)?);
    println!("   iteration    2 x 2, 2, 1    one rank");
    for at in [0, 19, 20, 39, 40, 59] {
        println!("   {:>9}    {:>11.6}    {:>8.6}", at + 1, cut[at], whole[at]);
    }
    let differences: Vec<f32> = cut.iter().zip(&whole).map(|(cut, whole)| (cut - whole).abs()).collect();
    let difference = differences.iter().copied().fold(0.0, f32::max);
    let close = differences.iter().all(|difference| *difference <= TOLERANCE);
    if cut.len() != 60 || whole.len() != 60 || !close {
        return Err(format!("the losses differ by up to {difference:e}").into());
    }
    println!("\nThey differ by at most {difference:.1e}: rounding, in sums of another order.");
    Ok(())
}

/// Runs a piece in processes of its own; returns whether it came to its end.
fn run(directory: &Path, piece: Piece) -> Result<bool> {
    let program = env::current_exe()?;
    let mut command = if cfg!(feature = "mpi") {
        let mut mpirun = Command::new("mpirun");
        // Open MPI counts cores otherwise; others do not look at this.
        mpirun.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
        mpirun.args(["-n", &(piece.dp * piece.tp).to_string()]).arg(program);
        mpirun
    } else {
        Command::new(program)
    };
    let numbers = [piece.dp, piece.tp, piece.until, piece.dies_at];
    command.arg(directory).args(numbers.map(|number| number.to_string()));
    Ok(command.status()?.success())
}

fn finish(directory: &Path, piece: Piece) -> Result<()> {
    if run(directory, piece)? {
        return Ok(());
    }
    Err(format!("the run failed: {piece:?}").into())
}

fn iteration(directory: &Path) -> Result<usize> {
    Ok(Fabric::new().open(directory.join("last.ckpt"))?.value("iteration")?)
}

fn losses(directory: &Path) -> Result<Vec<f32>> {
    Ok(Fabric::new().open(directory.join("last.ckpt"))?.value("losses")?)
}

impl FromStr for Piece {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Vec<usize> = text.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [dp, tp, until, dies_at] = numbers[..] else {
            return Err("arguments: DIRECTORY REPLICAS RANKS-OF-EACH UNTIL DIES-AT, or none".into());
        };
        Ok(Self { dp, tp, until, dies_at })
    }
}
