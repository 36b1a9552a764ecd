//! The first version of the program.

use candle_core::{Tensor, Var};
use candle_nn::Optimizer;
use fabric_core::Checkpoint;
use fabric_core::optim::AdamW;
use testkit::states::var;

#[derive(Checkpoint)]
struct Attention {
    wq: Var,
    wk: Var,
    wv: Var,
    proj: Var,
}

#[derive(Checkpoint)]
struct Model {
    layers: Vec<Attention>,
    norm: Vec<Var>,
}

#[derive(Checkpoint)]
pub(super) struct State {
    model: Model,
    optimizer: AdamW,
    step: u64,
}

/// A state after two steps.
pub(super) fn trained() -> State {
    let layer = |seed| Attention {
        wq: var(seed, (4, 4)),
        wk: var(seed + 1, (2, 4)),
        wv: var(seed + 2, (2, 4)),
        proj: var(seed + 3, (4, 4)),
    };
    let model = Model {
        layers: vec![layer(1), layer(11)],
        norm: vec![var(21, 4), var(22, 4)],
    };
    let of_layer = |layer: &Attention| [&layer.wq, &layer.wk, &layer.wv, &layer.proj].map(Clone::clone);
    let mut all: Vec<Var> = model.layers.iter().flat_map(of_layer).collect();
    all.extend(model.norm.iter().cloned());
    let mut optimizer = AdamW::new_lr(all.clone(), 0.5).expect("variables");
    for _ in 0..2 {
        let squares: candle_core::Result<Vec<Tensor>> = all.iter().map(|own| own.sqr()?.sum_all()).collect();
        let loss = squares
            .and_then(|all| Tensor::stack(&all, 0)?.sum_all())
            .expect("floats");
        optimizer.backward_step(&loss).expect("a step");
    }
    State {
        model,
        optimizer,
        step: 2,
    }
}
