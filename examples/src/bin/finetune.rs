//! Fine-tuning: another head on a trained backbone, and a checkpoint that holds the head only.
//!
//! 1. A model learns the marks that wines were given, six classes.
//! 2. Its backbone is loaded into a model with two classes, good and not: a partial load. The head is trained, the
//!    backbone is frozen.
//! 3. Only the head is saved: a filter on the save.
//! 4. A third model is put together from the two checkpoints, and equals the second bit for bit.

use std::path::Path;
use std::process::ExitCode;

use candle_core::{DType, Device};
use fabric_core::optim::{AdamW, Optimizer};
use fabric_core::{Checkpoint, Fabric, LoadOptions, OnMismatch, SaveOptions, named_parameters};
use fabric_examples::mlp::Mlp;
use fabric_examples::quality::{Quality, fresh};
use fabric_examples::trainer::{Checkpoints, Trainer};
use fabric_examples::wine::{Split, Wine};
use fabric_examples::{Result, digest, exit, scratch};

/// The state of the fine-tuning run.
#[derive(Checkpoint)]
struct FineTune {
    model: Mlp,
    optimizer: AdamW,
    step: usize,
}

impl FineTune {
    /// A fresh model with two classes. The optimizer is given the head's parameters: the others stay as they are.
    fn new(device: &Device) -> Result<Self> {
        let model = fresh(2, device)?;
        let head = named_parameters(&model.head)
            .into_iter()
            .map(|(_, parameter)| parameter);
        Ok(Self {
            optimizer: AdamW::new_lr(head.collect(), 5e-3)?,
            model,
            step: 0,
        })
    }
}

fn main() -> ExitCode {
    exit(run(&scratch("finetune"), &Device::Cpu))
}

fn run(directory: &Path, device: &Device) -> Result<()> {
    let fabric = Fabric::new();
    let head_only = directory.join("head.ckpt");

    println!("\n1. Learns the marks.");
    let mut trainer = Trainer::new(8, Checkpoints::open(&fabric, directory, 1000, 1)?);
    let pretrained = trainer.fit(Quality::new(device)?)?.task;
    let backbone = trainer.checkpoints().best()?;
    println!(
        "   accuracy {:.1} %",
        100.0 * pretrained.wine.validation.accuracy(&pretrained.model)?
    );

    println!("\n2. Learns which wines are good, with a new head on a frozen backbone.");
    let wine = good_or_not(Wine::load(device)?)?;
    let mut state = FineTune::new(device)?;
    load_backbone(&fabric, &backbone, &mut state)?;
    while state.step < 300 {
        let loss = wine.train.batch(state.step, 64)?.loss(&state.model)?;
        state.optimizer.backward_step(&loss)?;
        state.step += 1;
    }
    println!("   accuracy {:.1} %", 100.0 * wine.validation.accuracy(&state.model)?);

    println!("\n3. Saves the head, with its optimizer.");
    let only_head = |name: &str, _: &_| name.starts_with("head.");
    let saved = fabric.save_with(
        &head_only,
        &state,
        SaveOptions::new().filter(FineTune::FIELDS.model, only_head),
    )?;
    println!("   {} entries; left out: {}", saved.entries, saved.filtered.join(", "));

    println!("\n4. Puts a model together from the two.");
    let mut whole = FineTune::new(device)?;
    if let Err(error) = fabric.load(&head_only, &mut whole) {
        println!(
            "   the head's checkpoint alone is refused:\n{}",
            indented(&error.to_string())
        );
    }
    load_backbone(&fabric, &backbone, &mut whole)?;
    let loaded = fabric.load_with(&head_only, &mut whole, LoadOptions::new().strict(false))?;
    println!("   restored: {}", loaded.report.restored.join(", "));

    let (tuned, assembled) = (digest(&state.model)?, digest(&whole.model)?);
    println!("   weights: fine-tuned {tuned:016x}, put together {assembled:016x}");
    if tuned != assembled {
        return Err("the model put together differs from the fine-tuned one".into());
    }
    Ok(())
}

/// Takes from a checkpoint what fits: the model, except for a head of another shape.
fn load_backbone(fabric: &Fabric, path: &Path, state: &mut FineTune) -> Result<()> {
    let options = LoadOptions::new()
        .only(FineTune::FIELDS.model)
        .on_mismatch(OnMismatch::Skip);
    let report = fabric.load_with(path, state, options)?.report;
    println!("   restored: {}", report.restored.join(", "));
    for skipped in &report.mismatched {
        println!("   left as it is: {skipped}");
    }
    Ok(())
}

/// Two classes: a mark of 6 or more, and less.
fn good_or_not(wine: Wine) -> Result<Wine> {
    let good = |split: Split| -> Result<Split> {
        let labels = split.labels.ge(3u32)?.to_dtype(DType::U32)?;
        Ok(Split { labels, ..split })
    };
    Ok(Wine {
        train: good(wine.train)?,
        validation: good(wine.validation)?,
    })
}

fn indented(text: &str) -> String {
    format!("      {}", text.replace('\n', "\n      "))
}
