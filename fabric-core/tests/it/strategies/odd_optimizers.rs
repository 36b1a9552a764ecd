//! State of optimizers that is not of its parameter's shape: ranks refuse it, one process keeps it.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Optimizer, ParamsAdamW};
use fabric_core::optim::AdamW;
use fabric_core::testing::Memory;
use fabric_core::{
    Checkpoint, Fabric, OptimizerDescription, OptimizerState, ParamGroup, ParamState, SaveOptions, Strategy,
    ValueError, Visitor, VisitorMut,
};

use super::train::elements;
use super::world::{alone, numbers, part, run};

const PATH: &str = "run/last";

/// Keeps one tensor of some shape for its one parameter.
struct Keeps {
    var: Var,
    state: Tensor,
}

impl OptimizerState for Keeps {
    fn describe(&self) -> OptimizerDescription {
        let parameter = ParamState::new(self.var.clone()).tensor("row", &self.state);
        OptimizerDescription::new("Keeps", vec![parameter]).group(ParamGroup::new(vec![0]))
    }

    fn check(&self, _: &[ParamGroup]) -> Result<(), ValueError> {
        Ok(())
    }

    fn restore(&mut self, _: Option<&[ParamGroup]>, _: &[Option<u64>]) {}
}

impl Checkpoint for Keeps {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.optimizer("", self);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.optimizer("", self);
    }
}

#[derive(Checkpoint)]
struct Factored {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    weight: Tensor,
    optimizer: Keeps,
}

/// A weight of 4 rows and 3 columns, cut by rows.
fn factored(fabric: &Fabric, state: &[usize]) -> Factored {
    let place = if fabric.world_size() == 1 {
        (0, 1)
    } else {
        (fabric.rank(), 2)
    };
    let var = Var::from_tensor(&part(&numbers(&[4, 3], 0.), 0, place)).expect("a variable");
    Factored {
        weight: var.as_tensor().clone(),
        optimizer: Keeps {
            var,
            state: numbers(state, 7.),
        },
    }
}

fn errors_of<S: Checkpoint>(state: impl Fn(&Fabric) -> S + Sync) -> Vec<String> {
    let storage = Memory::new();
    let one = alone(&storage);
    one.save(PATH, &state(&one)).expect("one process holds everything");
    let mut again = state(&one);
    one.load(PATH, &mut again).expect("one process holds everything");
    let strategy = Strategy::mesh([("tp", 2)]);
    let errors = run(&strategy, 2, &storage, |fabric| {
        let saved = fabric.save("run/new", &state(fabric)).expect_err("another shape");
        let loaded = fabric.load(PATH, &mut state(fabric)).expect_err("another shape");
        [saved.to_string(), loaded.to_string()]
    });
    errors.into_iter().flatten().collect()
}

#[test]
fn factored_state_of_a_parameter_in_parts_is_refused_by_name() {
    for shape in [&[3][..], &[1], &[2, 1], &[2, 3, 1]] {
        for error in errors_of(|fabric| factored(fabric, shape)) {
            for part in ["optimizer.state.weight.row", "`weight`", "`tp`", "exclude"] {
                assert!(error.contains(part), "{shape:?}: {part} is not in {error}");
            }
        }
    }
}

#[test]
fn state_without_dimensions_and_state_of_the_shape_are_saved() {
    for shape in [&[][..], &[2, 3]] {
        let storage = Memory::new();
        run(&Strategy::mesh([("tp", 2)]), 2, &storage, |fabric| {
            fabric.save(PATH, &factored(fabric, shape)).expect("saved");
            fabric.load(PATH, &mut factored(fabric, shape)).expect("loaded");
        });
    }
}

#[test]
fn a_save_without_the_optimizer_keeps_the_weights() {
    let storage = Memory::new();
    run(&Strategy::mesh([("tp", 2)]), 2, &storage, |fabric| {
        let options = SaveOptions::new().exclude(Factored::FIELDS.optimizer);
        fabric.save_with(PATH, &factored(fabric, &[3]), options).expect("saved");
    });
    let raw = alone(&storage).open(PATH).expect("a checkpoint");
    let saved = raw.tensor("weight", &Device::Cpu).expect("it is there");
    assert_eq!(elements(&saved), elements(&numbers(&[4, 3], 0.)));
}

#[test]
fn factored_state_of_a_parameter_that_is_whole_is_saved() {
    let storage = Memory::new();
    run(&Strategy::ddp(), 2, &storage, |fabric| {
        let mut state = factored(&alone(&storage), &[3]);
        fabric.save(PATH, &state).expect("saved");
        fabric.load(PATH, &mut state).expect("loaded");
    });
}

/// Queries and keys are views of one variable, which the optimizer updates.
#[derive(Checkpoint)]
struct Fused {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    q: Tensor,
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    k: Tensor,
    optimizer: AdamW,
}

impl Fused {
    fn new(fabric: &Fabric) -> Self {
        let place = if fabric.world_size() == 1 {
            (0, 1)
        } else {
            (fabric.rank(), 2)
        };
        let of = |start| part(&numbers(&[4], start), 0, place);
        let fused = Tensor::cat(&[of(1.), of(101.)], 0).expect("one tensor");
        let fused = Var::from_tensor(&fused).expect("a variable");
        let each = fused.dims()[0] / 2;
        let mut optimizer = AdamW::new(vec![fused.clone()], ParamsAdamW::default()).expect("an optimizer");
        let loss = fused
            .as_tensor()
            .sqr()
            .and_then(|squares| squares.sum_all())
            .expect("floats");
        optimizer.step(&loss.backward().expect("a loss")).expect("a step");
        Self {
            q: fused.narrow(0, 0, each).expect("a view"),
            k: fused.narrow(0, each, each).expect("a view"),
            optimizer,
        }
    }
}

#[test]
fn state_of_a_variable_that_the_fields_are_views_of_is_refused_by_name() {
    for error in errors_of(Fused::new) {
        for part in ["optimizer.state.q.exp_avg", "`q`", "view", "exclude"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
}

/// A square matrix and its transposed view have one shape, and other rows.
#[derive(Checkpoint)]
struct Transposed {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    weight: Tensor,
    optimizer: AdamW,
}

#[test]
fn state_of_a_transposed_view_of_one_shape_is_refused_by_name() {
    let state = |_: &Fabric| {
        let var = Var::zeros((2, 2), DType::F32, &Device::Cpu).expect("a variable");
        Transposed {
            weight: var.t().expect("a view"),
            optimizer: AdamW::new(vec![var], ParamsAdamW::default()).expect("an optimizer"),
        }
    };
    for error in errors_of(state) {
        assert!(
            error.contains("optimizer.state.weight.exp_avg") && error.contains("view"),
            "{error}"
        );
    }
}
