//! Data-parallel training with an optimizer whose state is shared out.
//!
//! `cargo run --bin zero` trains on four ranks, then on three, then on one. Every rank holds the whole model; of the
//! optimizer, each holds the moments of some rows of every parameter, updates those rows, and gathers the others (Rajbhandari
//! et al., *`ZeRO`*, 2019, stage 1). The run begins with a checkpoint of a plain program, ends with one that the plain program
//! loads, and its weights are those of the plain program, up to rounding.
//!
//! Ranks are threads of this process.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use fabric_core::group::{ProcessGroup, ThreadGroup};
use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
use fabric_core::{Checkpoint, Fabric, Strategy, named_parameters};
use fabric_examples::mlp::Mlp;
use fabric_examples::parallel::all_reduce::average_gradients;
use fabric_examples::parallel::part;
use fabric_examples::parallel::ranks::on_threads;
use fabric_examples::wine::{FEATURES, MARKS, Split, Wine};
use fabric_examples::{Result, exit, scratch};

/// The state of a program on one device.
#[derive(Checkpoint)]
struct Plain {
    model: Mlp,
    optimizer: AdamW,
    iteration: usize,
}

/// The same state where every rank has some rows of the optimizer's moments.
#[derive(Checkpoint)]
struct Sharded {
    model: Mlp,
    #[checkpoint(shard(dim = 0))]
    optimizer: AdamW,
    iteration: usize,
    /// What the optimizer updates: this rank's rows of each parameter, by its name in the checkpoint.
    #[checkpoint(skip)]
    rows: Vec<(String, Var)>,
    #[checkpoint(skip)]
    group: Arc<dyn ProcessGroup>,
}

/// Divisible by one, three and four: then the mean of the ranks' losses is that of the whole batch.
const BATCH: usize = 60;

/// How far weights may be from those of the plain program. Sums have another order, and where a gradient is next to
/// nothing, `AdamW` makes whole steps of what that changes: about 1e-7 is usual, 5e-4 was seen. A run that loses its moments
/// is off by 0.14.
const TOLERANCE: f32 = 1e-2;

fn params() -> ParamsAdamW {
    ParamsAdamW {
        lr: 1e-3,
        ..ParamsAdamW::default()
    }
}

fn new_model() -> Result<Mlp> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    Ok(Mlp::new(FEATURES, 32, MARKS, &builder)?)
}

impl Plain {
    fn new() -> Result<Self> {
        let model = new_model()?;
        Ok(Self {
            optimizer: AdamW::from_named(named_parameters(&model), params())?,
            model,
            iteration: 0,
        })
    }

    fn train(&mut self, wine: &Wine, until: usize) -> Result<()> {
        while self.iteration < until {
            let loss = wine.train.batch(self.iteration, BATCH)?.loss(&self.model)?;
            self.optimizer.backward_step(&loss)?;
            self.iteration += 1;
        }
        Ok(())
    }
}

impl Sharded {
    fn new(group: Arc<dyn ProcessGroup>) -> Result<Self> {
        let model = new_model()?;
        let row = |(name, whole): (String, Var)| -> Result<_> {
            let rows = part(&whole, 0, group.rank(), group.world_size())?;
            Ok((format!("model.{name}"), rows))
        };
        let rows: Vec<_> = named_parameters(&model).into_iter().map(row).collect::<Result<_>>()?;
        Ok(Self {
            optimizer: AdamW::from_named(rows.clone(), params())?,
            model,
            iteration: 0,
            rows,
            group,
        })
    }

    /// The rows as the model has them now: after a load.
    fn take_rows(&self) -> Result<()> {
        for ((_, rows), (_, whole)) in self.rows.iter().zip(named_parameters(&self.model)) {
            let own = part(&whole, 0, self.group.rank(), self.group.world_size())?;
            rows.set(&own)?;
        }
        Ok(())
    }

    /// One step: this rank's share of the batch, the mean of all gradients, an update of its rows, the rows of the others.
    fn step(&mut self, wine: &Wine) -> Result<()> {
        let (rank, ranks) = (self.group.rank(), self.group.world_size());
        let batch = share(&wine.train.batch(self.iteration, BATCH)?, rank, ranks)?;
        let mut gradients = batch.loss(&self.model)?.backward()?;
        let (_, wholes): (Vec<_>, Vec<_>) = named_parameters(&self.model).into_iter().unzip();
        average_gradients(&*self.group, &wholes, &mut gradients)?;
        for ((_, rows), whole) in self.rows.iter().zip(&wholes) {
            if let Some(gradient) = gradients.remove(whole) {
                gradients.insert(rows, part(&gradient, 0, rank, ranks)?.into_inner());
            }
        }
        self.optimizer.step(&gradients)?;
        for ((name, rows), whole) in self.rows.iter().zip(&wholes) {
            whole.set(&gather_rows(&*self.group, name, rows, whole)?)?;
        }
        self.iteration += 1;
        Ok(())
    }
}

/// This rank's share of a batch.
fn share(batch: &Split, rank: usize, ranks: usize) -> Result<Split> {
    let count = batch.len() / ranks;
    Ok(Split {
        features: batch.features.narrow(0, rank * count, count)?,
        labels: batch.labels.narrow(0, rank * count, count)?,
    })
}

/// A parameter out of all ranks' rows of it.
fn gather_rows(group: &dyn ProcessGroup, name: &str, rows: &Var, whole: &Var) -> Result<Tensor> {
    let rows: Vec<f32> = rows.flatten_all()?.to_vec1()?;
    let bytes: Vec<u8> = rows.into_iter().flat_map(f32::to_le_bytes).collect();
    let all = group.all_gather(name, &bytes)?.concat();
    let (numbers, _) = all.as_chunks();
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Tensor::from_vec(numbers, whole.shape(), whole.device())?)
}

/// Goes on from `path` on `ranks` ranks, and saves there.
fn go_on(path: &Path, wine: &Wine, ranks: usize, until: usize) -> Result<()> {
    on_threads(ranks, |group: ThreadGroup| {
        let steps: Arc<dyn ProcessGroup> = Arc::from(group.duplicate()?);
        let fabric = Fabric::builder()
            .strategy(Strategy::fsdp())
            .process_group(group)
            .build()?;
        let mut state = Sharded::new(steps)?;
        fabric.load(path, &mut state)?;
        state.take_rows()?;
        let first = state.iteration;
        while state.iteration < until {
            state.step(wine)?;
        }
        fabric.save(path, &state)?;
        if fabric.rank() == 0 {
            let moments: usize = state.rows.iter().map(|(_, rows)| 2 * rows.elem_count()).sum();
            println!("   iterations {first} to {until} on {ranks} ranks; rank 0 holds {moments} moments");
        }
        Ok(())
    })
}

fn demonstrate(root: &Path) -> Result<()> {
    std::fs::create_dir_all(root)?;
    let fabric = Fabric::new();
    let (path, wine) = (root.join("run.ckpt"), Wine::load(&Device::Cpu)?);
    let mut plain = Plain::new()?;
    fabric.save(&path, &plain)?;

    println!("\n1. From a checkpoint of one device:");
    for (ranks, until) in [(4, 100), (3, 200), (1, 300)] {
        go_on(&path, &wine, ranks, until)?;
    }

    println!("\n2. For comparison, one device that nobody stops; it then loads what the ranks have left.");
    plain.train(&wine, 300)?;
    let mut loaded = Plain::new()?;
    fabric.load(&path, &mut loaded)?;
    let mut differences: Vec<f32> = Vec::new();
    for ((_, found), (_, expected)) in named_parameters(&loaded.model)
        .iter()
        .zip(named_parameters(&plain.model))
    {
        let difference = (found.as_tensor() - expected.as_tensor())?.abs()?;
        differences.push(difference.max_all()?.to_scalar()?);
    }
    for (title, state) in [("ranks", &loaded), ("one device", &plain)] {
        let loss: f32 = wine.validation.loss(&state.model)?.to_scalar()?;
        println!(
            "   {title:<12} iteration {}, validation loss {loss:.6}",
            state.iteration
        );
    }
    let difference = differences.iter().copied().fold(0.0, f32::max);
    let close = differences.iter().all(|difference| *difference <= TOLERANCE);
    if !close || loaded.iteration != plain.iteration {
        return Err(format!("the weights differ by up to {difference:e}").into());
    }
    println!("\nThe weights differ by at most {difference:.1e}: rounding, in sums of another order.");
    Ok(())
}

fn main() -> ExitCode {
    exit(demonstrate(&scratch("zero")))
}
