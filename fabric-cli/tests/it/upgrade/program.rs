//! The source of a program: it is compiled here, and given to `ckpt upgrade --recipe`.

use candle_core::Var;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Migrations, Moments};
use testkit::states::var;

#[derive(Checkpoint)]
#[checkpoint(version = 3, migrate = Attention::migrations)]
pub(super) struct Attention {
    pub(super) qkv: Var,
    pub(super) out: Var,
    #[checkpoint(metadata)]
    pub(super) dropout: f64,
}

impl Attention {
    fn migrations(m: &mut Migrations) {
        m.from(1, "one matrix for q, k and v")
            .concat(["wq", "wk", "wv"], "qkv", 0)
            .insert("dropout", 0.125)
            .remove("mask")
            .if_present();
        m.from(2, "out as PyTorch has it")
            .rename("proj", "out")
            .transpose("out", 0, 1);
    }
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = self::recipe)]
pub(super) struct Model {
    pub(super) layers: Vec<Attention>,
    pub(super) norms: Var,
}

fn recipe(recipe: &mut Migrations) {
    recipe.from(1, "the norms in one tensor");
    recipe.stack("norm.*", "norms", 0).moments(Moments::Follow);
}

#[derive(Checkpoint)]
pub(super) struct State {
    pub(super) model: Model,
    pub(super) optimizer: AdamW,
    pub(super) step: u64,
}

impl State {
    pub(super) fn new() -> Self {
        let layer = |seed| Attention {
            qkv: var(seed, (8, 4)),
            out: var(seed + 1, (4, 4)),
            dropout: 0.5,
        };
        let model = Model {
            layers: vec![layer(50), layer(60)],
            norms: var(70, (2, 4)),
        };
        let of_layer = |layer: &Attention| [layer.qkv.clone(), layer.out.clone()];
        let mut all: Vec<Var> = model.layers.iter().flat_map(of_layer).collect();
        all.push(model.norms.clone());
        Self {
            optimizer: AdamW::new_lr(all, 0.5).expect("variables"),
            model,
            step: 0,
        }
    }
}
