//! State of optimizers that cannot follow the elements of its parameters: an error that names the parameter, and the way out.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use candle_nn::{Optimizer, ParamsAdamW};
use fabric_core::optim::{AdamW, Group};
use fabric_core::{
    Checkpoint, LoadOptions, Migrations, Moments, OptimizerDescription, OptimizerState, ParamGroup, ParamState,
    ValueError, Visitor, VisitorMut, named_optimizer_state,
};

use crate::states::{PATH, bits, fabric, tensor, var};

#[derive(Checkpoint)]
struct State<O> {
    model: BTreeMap<String, Tensor>,
    optimizer: O,
}

fn state<O>(vars: &[(&str, &Var)], optimizer: O) -> State<O> {
    State {
        model: vars
            .iter()
            .map(|(name, var)| ((*name).to_owned(), var.as_tensor().clone()))
            .collect(),
        optimizer,
    }
}

/// Loads with a recipe, or with one that resets the moments.
fn load<O: Checkpoint>(old: &impl Checkpoint, new: &mut State<O>, recipe: fn(&mut Migrations)) -> Result<(), String> {
    let fabric = fabric();
    fabric.save(PATH, old).unwrap();
    let loaded = fabric.load_with(PATH, new, LoadOptions::new().migrations(recipe));
    loaded.map(drop).map_err(|error| error.to_string())
}

#[track_caller]
fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

/// The state of Adafactor: a mean for each row, and one for each column.
struct Factored {
    var: Var,
    row: Tensor,
    column: Tensor,
    steps: u64,
}

impl Factored {
    fn new(seed: u64, (rows, columns): (usize, usize)) -> Self {
        Self {
            var: var(seed, (rows, columns)),
            row: tensor(seed + 1, rows),
            column: tensor(seed + 2, columns),
            steps: seed,
        }
    }
}

impl OptimizerState for Factored {
    fn describe(&self) -> OptimizerDescription {
        let parameter = ParamState::new(self.var.clone())
            .tensor("exp_avg_sq_row", &self.row)
            .tensor("exp_avg_sq_col", &self.column)
            .step(self.steps);
        OptimizerDescription::new("Factored", vec![parameter]).group(ParamGroup::new(vec![0]))
    }

    fn check(&self, _: &[ParamGroup]) -> Result<(), ValueError> {
        Ok(())
    }

    fn restore(&mut self, _: Option<&[ParamGroup]>, steps: &[Option<u64>]) {
        self.steps = steps.first().copied().flatten().unwrap_or(self.steps);
    }
}

impl Checkpoint for Factored {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.optimizer("", self);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.optimizer("", self);
    }
}

fn factored(seed: u64, name: &str, shape: (usize, usize)) -> State<Factored> {
    let optimizer = Factored::new(seed, shape);
    state(&[(name, &optimizer.var.clone())], optimizer)
}

#[test]
fn factored_state_follows_no_word_that_moves_elements() {
    let old = factored(10, "w", (2, 3));
    let mut new = factored(20, "w", (3, 2));
    let error = load(&old, &mut new, |m| {
        m.transpose("model.w", 0, 1);
    })
    .unwrap_err();
    let col = "the optimizer's state `exp_avg_sq_col` of `model.w` has the shape [3], and the parameter [2, 3]";
    says(&error, &[col, ".moments(Moments::Reset)", "the state is unchanged"]);
    assert_eq!(bits(&new.model["w"]), bits(&factored(20, "w", (3, 2)).model["w"]));
    load(&old, &mut new, |m| {
        m.transpose("model.w", 0, 1).moments(Moments::Reset);
    })
    .unwrap();
    assert_eq!(new.optimizer.row.to_vec1::<f32>().unwrap(), [0.; 3]);
    assert_eq!(new.optimizer.steps, 0);
    // A new name moves no element.
    let mut renamed = factored(20, "v", (2, 3));
    load(&old, &mut renamed, |m| {
        m.rename("model.w", "model.v");
    })
    .unwrap();
    assert_eq!(bits(&renamed.optimizer.row), bits(&old.optimizer.row));
    assert_eq!(renamed.optimizer.steps, 10);
}

const RATES: ParamsAdamW = ParamsAdamW {
    lr: 0.5,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 0.,
};

/// `a` and `b`, each in a group of its own.
fn two_groups() -> State<AdamW> {
    let (a, b) = (var(1, (2, 2)), var(2, (2, 2)));
    let groups = [
        Group::named([("a".to_owned(), a.clone())], RATES),
        Group::named([("b".to_owned(), b.clone())], ParamsAdamW { lr: 0.25, ..RATES }),
    ];
    let mut old = state(&[("a", &a), ("b", &b)], AdamW::with_groups(groups).unwrap());
    let loss = (a.as_tensor() * b.as_tensor()).unwrap().sum_all().unwrap();
    old.optimizer.backward_step(&loss).unwrap();
    old
}

/// Only `a` is trained.
fn frozen() -> State<AdamW> {
    let (a, b) = (var(1, (2, 2)), var(2, (2, 2)));
    let optimizer = AdamW::from_named([("a".to_owned(), a.clone())], RATES).unwrap();
    state(&[("a", &a), ("b", &b)], optimizer)
}

fn joined() -> State<AdamW> {
    let both = var(3, (4, 2));
    let optimizer = AdamW::from_named([("ab".to_owned(), both.clone())], RATES).unwrap();
    state(&[("ab", &both)], optimizer)
}

#[test]
fn parameters_of_unlike_groups_and_frozen_ones_do_not_join() {
    let recipe: fn(&mut Migrations) = |m| {
        m.concat(["model.a", "model.b"], "model.ab", 0);
    };
    let reset: fn(&mut Migrations) = |m| {
        m.concat(["model.a", "model.b"], "model.ab", 0).moments(Moments::Reset);
    };
    for (old, part) in [
        (two_groups(), "with other hyper-parameters"),
        (frozen(), "has state of `model.a` and none of `model.b`"),
    ] {
        let mut new = joined();
        let error = load(&old, &mut new, recipe).unwrap_err();
        says(&error, &[part, "concat", ".moments(Moments::Reset)"]);
        load(&old, &mut new, reset).unwrap();
        assert_eq!(named_optimizer_state(&new).unwrap()[0].step, Some(0));
    }
}

/// Hyper-parameters that are not used need not be equal.
#[test]
fn parameters_of_unlike_groups_join_where_the_program_keeps_its_own() {
    let fabric = fabric();
    fabric.save(PATH, &two_groups()).unwrap();
    let options = LoadOptions::new().keep_hyperparameters().migrations(|m| {
        m.concat(["model.a", "model.b"], "model.ab", 0);
    });
    let mut new = joined();
    fabric.load_with(PATH, &mut new, options).unwrap();
    let old = named_optimizer_state(&two_groups()).unwrap();
    let all: Vec<&Tensor> = old.iter().map(|own| own.tensor("exp_avg").unwrap()).collect();
    let moments = named_optimizer_state(&new).unwrap();
    assert_eq!(
        bits(moments[0].tensor("exp_avg").unwrap()),
        bits(&Tensor::cat(&all, 0).unwrap())
    );
}

/// A load that restores no optimizer asks nothing of its state.
#[test]
fn weights_alone_take_any_recipe() {
    #[derive(Checkpoint)]
    struct Weights {
        model: BTreeMap<String, Tensor>,
    }
    for old in [two_groups(), frozen()] {
        let fabric = fabric();
        fabric.save(PATH, &old).unwrap();
        let mut new = Weights { model: joined().model };
        let options = LoadOptions::new().migrations(|m| {
            m.concat(["model.a", "model.b"], "model.ab", 0);
        });
        fabric.load_with(PATH, &mut new, options).unwrap();
        let expected = Tensor::cat(&[&old.model["a"], &old.model["b"]], 0).unwrap();
        assert_eq!(bits(&new.model["ab"]), bits(&expected));
    }
}

#[test]
fn moments_of_a_value_are_a_mistake() {
    let old = frozen();
    let mut new = frozen();
    let recipes: [fn(&mut Migrations); 2] = [
        |m| {
            m.insert("more", 1).moments(Moments::Reset);
        },
        |m| {
            m.value("more", "more", |old: u64| old).moments(Moments::Reset);
        },
    ];
    for recipe in recipes {
        let error = load(&old, &mut new, recipe).unwrap_err();
        says(&error, &["makes a value, which has no optimizer's state"]);
    }
}

/// The words of the state itself: a parameter that was removed under one of its two names is still trained under the other.
#[test]
fn a_tied_parameter_keeps_its_moments_when_one_name_goes() {
    let shared = var(5, (2, 2));
    let optimizer = AdamW::from_named([("head".to_owned(), shared.clone())], RATES).unwrap();
    let mut old = state(&[("embedding", &shared), ("head", &shared)], optimizer);
    let loss = shared.sqr().unwrap().sum_all().unwrap();
    old.optimizer.backward_step(&loss).unwrap();
    let moment = |state: &State<AdamW>| {
        let all = named_optimizer_state(state).unwrap();
        bits(all[0].tensor("exp_avg").unwrap())
    };
    for (gone, left) in [("embedding", "head"), ("head", "embedding")] {
        let one = var(9, (2, 2));
        let optimizer = AdamW::from_named([(left.to_owned(), one.clone())], RATES).unwrap();
        let mut new = state(&[(left, &one)], optimizer);
        let recipe: fn(&mut Migrations) = match gone {
            "head" => |m| {
                m.remove("model.head");
            },
            _ => |m| {
                m.remove("model.embedding");
            },
        };
        load(&old, &mut new, recipe).unwrap();
        assert_eq!(moment(&new), moment(&old), "without {gone}");
    }
}
