//! The checkpoints that the sessions in documents look into.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::{Tensor, Var};
use candle_nn::Optimizer;
use fabric_core::optim::AdamW;
use fabric_core::run::{Keep, Metric, Run};
use fabric_core::{Checkpoint, ExportOptions, Fabric, Strategy};
use testkit::states::var;

/// A block of a small transformer.
#[derive(Checkpoint)]
struct Block {
    norm: Var,
    qkv: Var,
    proj: Var,
    up: Var,
    down: Var,
}

#[derive(Checkpoint)]
struct Gpt {
    embed: Var,
    blocks: Vec<Block>,
    /// Tied to `embed`: both fields hold one variable.
    head: Var,
}

#[derive(Checkpoint)]
struct TrainState {
    model: Gpt,
    optimizer: AdamW,
    iteration: u64,
    val_loss: f64,
    hparams: BTreeMap<String, u64>,
}

/// A struct that has changed since the first version of the program.
#[derive(Checkpoint)]
#[checkpoint(version = 3)]
struct Attention {
    qkv: Var,
    out: Var,
}

#[derive(Checkpoint)]
#[checkpoint(version = 2)]
struct Layer {
    attention: Attention,
}

#[derive(Checkpoint)]
#[checkpoint(version = 5)]
struct Changed {
    layers: Vec<Layer>,
    last: Attention,
}

const WIDTH: usize = 48;
const VOCABULARY: usize = 1000;
const LAYERS: u64 = 12;

impl TrainState {
    fn new() -> Self {
        let block = |layer: u64| Block {
            norm: var(layer, WIDTH),
            qkv: var(layer, (3 * WIDTH, WIDTH)),
            proj: var(layer, (WIDTH, WIDTH)),
            up: var(layer, (4 * WIDTH, WIDTH)),
            down: var(layer, (WIDTH, 4 * WIDTH)),
        };
        let embed = var(100, (VOCABULARY, WIDTH));
        let model = Gpt {
            head: embed.clone(),
            blocks: (0..LAYERS).map(block).collect(),
            embed,
        };
        let optimizer = AdamW::new_lr(model.variables(), 3e-4).expect("variables");
        let hparams = [
            ("layers", LAYERS),
            ("width", WIDTH as u64),
            ("vocabulary", VOCABULARY as u64),
        ];
        Self {
            model,
            optimizer,
            iteration: 0,
            val_loss: 4.0,
            hparams: hparams.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// A step of a training whose loss is the sum of squares.
    fn step(&mut self) {
        let squares: Vec<Tensor> = self.model.variables().iter().map(|var| sum_of_squares(var)).collect();
        let loss = Tensor::stack(&squares, 0).expect("scalars").sum_all().expect("a sum");
        self.optimizer.backward_step(&loss).expect("a step");
        self.iteration += 500;
        self.val_loss -= 0.25;
    }
}

impl Gpt {
    fn variables(&self) -> Vec<Var> {
        let blocks = self.blocks.iter();
        let of_block = |block: &Block| [&block.norm, &block.qkv, &block.proj, &block.up, &block.down].map(Clone::clone);
        std::iter::once(self.embed.clone())
            .chain(blocks.flat_map(of_block))
            .collect()
    }
}

fn sum_of_squares(tensor: &Tensor) -> Tensor {
    tensor.sqr().expect("floats").sum_all().expect("a sum")
}

impl Changed {
    fn new() -> Self {
        let attention = |seed| Attention {
            qkv: var(seed, (24, 8)),
            out: var(seed, (8, 8)),
        };
        Self {
            layers: (0..2).map(attention).map(|attention| Layer { attention }).collect(),
            last: attention(3),
        }
    }
}

/// Writes the samples into a directory.
pub(crate) fn write(directory: &Path) {
    let at = |name: &str| directory.join(name);
    let fabric = Fabric::new();
    let mut state = TrainState::new();
    let keep = Keep::last(3).best(1, Metric::lowest("val_loss"));
    let mut run = Run::at(at("runs/gpt")).keep(keep).open(&fabric).expect("a run");
    for step in [500, 1000, 1500] {
        state.step();
        run.save(step, &state, &[("val_loss", state.val_loss)]).expect("a save");
    }
    drop(run);
    fabric.save(at("gpt.ckpt"), &state).expect("a save");
    fabric
        .reshard(at("gpt.ckpt"), at("sharded"), Strategy::fsdp().ranks(4))
        .expect("four files");
    let weights = ExportOptions::new().subtree("model");
    fabric
        .export(at("gpt.ckpt"), at("model.safetensors"), weights)
        .expect("an export");
    fabric
        .export(at("gpt.ckpt"), at("gpt.pt"), ExportOptions::new())
        .expect("an export");
    fabric.save(at("changed.ckpt"), &Changed::new()).expect("a save");
    let mut bytes = fs::read(at("gpt.ckpt")).expect("it is there");
    bytes[20_000] ^= 1;
    fs::write(at("damaged.ckpt"), bytes).expect("it is writable");
    fs::write(at("notes.txt"), "try a larger width\n").expect("it is writable");
}
