//! A recipe on many ranks: each rank reads its part of tensors that are joined, cut and turned, with the optimizer's state.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use candle_nn::Optimizer;
use fabric_core::optim::AdamW;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions, Migrations, Strategy, named_optimizer_state};
use testkit::states;

use super::world::{alone, along, part, run};

type Tensors = BTreeMap<String, Tensor>;

#[derive(Checkpoint)]
struct Rows {
    #[checkpoint(shard(dim = 0))]
    model: Tensors,
    optimizer: AdamW,
}

#[derive(Checkpoint)]
struct Columns {
    #[checkpoint(shard(dim = 1))]
    model: Tensors,
    optimizer: AdamW,
}

/// A rank's part of a training.
struct Training {
    vars: BTreeMap<String, Var>,
    optimizer: AdamW,
}

fn held(fabric: &Fabric, whole: &Tensor, dim: usize) -> Tensor {
    let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp");
    part(whole, dim, along)
}

impl Training {
    fn new(fabric: &Fabric, whole: &Tensors, dim: usize) -> Self {
        let var = |tensor: &Tensor| Var::from_tensor(&held(fabric, tensor, dim)).expect("a variable");
        let vars: BTreeMap<String, Var> = whole.iter().map(|(name, tensor)| (name.clone(), var(tensor))).collect();
        let named = vars.iter().map(|(name, var)| (name.clone(), var.clone()));
        let optimizer = AdamW::from_named(named, candle_nn::ParamsAdamW::default()).expect("an optimizer");
        Self { vars, optimizer }
    }

    fn step(&mut self, fabric: &Fabric, gradients: &Tensors, dim: usize) {
        let term = |(name, var): (&String, &Var)| {
            let gradient = held(fabric, &gradients[name], dim);
            (var.as_tensor() * gradient)
                .and_then(|product| product.sum_all())
                .expect("a term")
        };
        let loss = self
            .vars
            .iter()
            .map(term)
            .reduce(|a, b| (a + b).expect("a sum"))
            .expect("parameters");
        self.optimizer.backward_step(&loss).expect("a step");
    }

    fn model(&self) -> Tensors {
        self.vars
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect()
    }
}

fn shapes() -> [(&'static str, &'static [usize]); 6] {
    [
        ("wq", &[9, 6]),
        ("wk", &[4, 6]),
        ("wv", &[5, 6]),
        ("out", &[7, 12]),
        ("up", &[8, 5]),
        ("gate", &[8, 6]),
    ]
}

fn tensors(seed: u64) -> Tensors {
    let numbered = (seed..).zip(shapes());
    numbered
        .map(|(seed, (name, shape))| (name.to_owned(), states::tensor(seed, shape)))
        .collect()
}

fn recipe(m: &mut Migrations) {
    m.concat(["model.wq", "model.wk", "model.wv"], "model.qkv", 0)
        .transpose("model.out", 0, 1)
        .reshape("model.out", (4, 3, 7))
        .concat(["model.gate", "model.up"], "model.mlp", 1)
        .split("model.mlp", [("model.left", 7), ("model.right", 4)], 1);
}

fn rearranged(old: &Tensors) -> Tensors {
    let cat = |names: &[&str], dim| {
        let parts: Vec<&Tensor> = names.iter().map(|name| &old[*name]).collect();
        Tensor::cat(&parts, dim).expect("parts of equal widths")
    };
    let mlp = cat(&["gate", "up"], 1);
    let out = old["out"]
        .t()
        .and_then(|turned| turned.contiguous())
        .and_then(|turned| turned.reshape((4, 3, 7)));
    [
        ("qkv", cat(&["wq", "wk", "wv"], 0)),
        ("out", out.expect("as many elements")),
        ("left", mlp.narrow(1, 0, 7).expect("inside")),
        ("right", mlp.narrow(1, 7, 4).expect("inside")),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor.force_contiguous().expect("a copy")))
    .into()
}

fn bits(tensor: &Tensor) -> Vec<u8> {
    states::bits(&tensor.force_contiguous().expect("a copy"))
}

/// The parameters, and the moments by parameter and name, of one process that took the same steps.
fn expected() -> (Tensors, BTreeMap<String, Tensors>) {
    let fabric = Fabric::new();
    let mut training = Training::new(&fabric, &tensors(1), 0);
    for step in 0..3 {
        training.step(&fabric, &tensors(100 * (step + 1)), 0);
    }
    let state = Rows {
        model: training.model(),
        optimizer: training.optimizer,
    };
    let moments = named_optimizer_state(&state).expect("named").into_iter();
    let mut by_name: BTreeMap<String, Tensors> = BTreeMap::new();
    for own in moments {
        let parameter = own.parameter.trim_start_matches("model.").to_owned();
        for (name, tensor) in own.tensors {
            by_name.entry(name).or_default().insert(parameter.clone(), tensor);
        }
    }
    let moments = by_name
        .iter()
        .map(|(name, tensors)| (name.clone(), rearranged(tensors)));
    (rearranged(&state.model), moments.collect())
}

fn saved(strategy: &Strategy, ranks: usize, dim: usize) -> Memory {
    let storage = Memory::new();
    run(strategy, ranks, &storage, |fabric| {
        let mut training = Training::new(fabric, &tensors(1), dim);
        for step in 0..3 {
            training.step(fabric, &tensors(100 * (step + 1)), dim);
        }
        let (model, optimizer) = (training.model(), training.optimizer);
        let saved = match dim {
            0 => fabric.save("run", &Rows { model, optimizer }),
            _ => fabric.save("run", &Columns { model, optimizer }),
        };
        saved.expect("saved");
    });
    storage
}

fn check(fabric: &Fabric, dim: usize) {
    let (model, moments) = expected();
    let zeros: Tensors = model
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.zeros_like().expect("zeros")))
        .collect();
    let training = Training::new(fabric, &zeros, dim);
    let (mine, optimizer) = (training.model(), training.optimizer);
    let options = LoadOptions::new().migrations(recipe);
    let states = if dim == 0 {
        let mut state = Rows {
            model: mine.clone(),
            optimizer,
        };
        fabric.load_with("run", &mut state, options).expect("loaded");
        named_optimizer_state(&state)
    } else {
        let mut state = Columns {
            model: mine.clone(),
            optimizer,
        };
        fabric.load_with("run", &mut state, options).expect("loaded");
        named_optimizer_state(&state)
    };
    for (name, whole) in &model {
        assert_eq!(bits(&mine[name]), bits(&held(fabric, whole, dim)), "{name}");
    }
    for own in states.expect("named") {
        let parameter = own.parameter.trim_start_matches("model.");
        assert_eq!(own.step, Some(3), "{parameter}");
        for (name, tensor) in &own.tensors {
            assert_eq!(
                bits(tensor),
                bits(&held(fabric, &moments[name][parameter], dim)),
                "{name} of {parameter}"
            );
        }
    }
}

#[test]
fn four_ranks_save_and_two_load_through_a_recipe() {
    for (saved_dim, loaded_dim) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let storage = saved(&Strategy::fsdp(), 4, saved_dim);
        run(&Strategy::fsdp(), 2, &storage, |fabric| check(fabric, loaded_dim));
        run(&Strategy::fsdp(), 3, &storage, |fabric| check(fabric, loaded_dim));
        check(&alone(&storage), loaded_dim);
    }
}

#[test]
fn one_process_saves_and_four_ranks_load_through_a_recipe() {
    let storage = saved(&Strategy::single_device(), 1, 0);
    run(&Strategy::fsdp(), 4, &storage, |fabric| check(fabric, 0));
    run(&Strategy::fsdp(), 4, &storage, |fabric| check(fabric, 1));
}
