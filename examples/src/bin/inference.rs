//! Inference loads the model and leaves the rest of the checkpoint where it is.
//!
//! Two ways are shown. A smaller state takes its part into tensors that exist already. A `VarBuilder` over the checkpoint
//! builds a model of the size that the file says, from the file, with no initialisation wasted.
//!
//! `cargo run --bin inference -- CHECKPOINT` takes a checkpoint of one of the other programs; without, it trains one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use candle_core::{D, DType, Device};
use candle_nn::Module;
use fabric_core::{Checkpoint, Fabric};
use fabric_examples::mlp::Mlp;
use fabric_examples::quality::{Quality, fresh};
use fabric_examples::trainer::{Checkpoints, Trainer};
use fabric_examples::wine::{MARKS, Wine};
use fabric_examples::{Result, by_component, exit, scratch};

/// The part of a training state that inference needs.
#[derive(Checkpoint)]
struct Inference {
    model: Mlp,
}

fn main() -> ExitCode {
    exit(match env::args_os().nth(1) {
        Some(path) => predict(Path::new(&path)),
        None => train(&scratch("inference")).and_then(|path| predict(&path)),
    })
}

fn predict(path: &Path) -> Result<()> {
    let (device, fabric) = (Device::Cpu, Fabric::new());
    let wine = Wine::load(&device)?.validation;

    // Built from the file: it knows the sizes. Nothing else of it is read.
    let checkpoint = fabric.open(path)?;
    let weights = checkpoint.subtree("model");
    let size = |name| weights.info(name).map(|info| info.shape().to_vec());
    let (Some(first), Some(last)) = (size("fc1.weight"), size("head.weight")) else {
        return Err(format!("{} holds no model of this kind", path.display()).into());
    };
    let builder = weights.var_builder(DType::F32, &device);
    let built = Mlp::new(first[1], first[0], last[0], &builder)?;

    // Or restored in place.
    let mut state = Inference {
        model: fresh(MARKS, &device)?,
    };
    let loaded = fabric.load(path, &mut state)?;
    println!(
        "restored: {}",
        by_component(loaded.report.restored.iter().map(String::as_str))
    );
    println!("not read: {}", by_component(loaded.remainder.names()));

    let marks = |model: &Mlp| model.forward(&wine.features)?.argmax(D::Minus1)?.to_vec1::<u32>();
    let found = marks(&built)?;
    for (wine, (found, given)) in found.iter().zip(wine.labels.to_vec1::<u32>()?).take(5).enumerate() {
        println!("wine {wine}: predicted mark {}, given {}", found + 3, given + 3);
    }
    println!(
        "accuracy: {:.1} % of {} wines",
        100.0 * wine.accuracy(&built)?,
        wine.len()
    );
    if found != marks(&state.model)? {
        return Err("the model built from the file and the one restored in place differ".into());
    }
    println!("the model built from the file and the one restored in place agree on every wine");
    Ok(())
}

/// Trains for a few epochs; returns the best checkpoint.
fn train(directory: &Path) -> Result<PathBuf> {
    let mut trainer = Trainer::new(8, Checkpoints::open(&Fabric::new(), directory, 1000, 1)?);
    trainer.fit(Quality::new(&Device::Cpu)?)?;
    trainer.checkpoints().best()
}
