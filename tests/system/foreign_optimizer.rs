//! An optimizer of another crate, which this crate wraps in a type of its own and makes a field of a state.

use candle_core::Var;
use candle_nn::Optimizer;
use fabric_core::{
    Checkpoint, OptimizerDescription, OptimizerState, ParamGroup, ParamState, ValueError, Visitor, VisitorMut,
};
use testkit::adagrad::{Adagrad, AdagradParams};

use crate::states::{Mlp, PATH, descend, fabric, image, variables, weights};

/// The wrapper: neither the trait nor the optimizer is of this crate, and the wrapper is.
struct Saved(Adagrad);

impl OptimizerState for Saved {
    fn describe(&self) -> OptimizerDescription {
        let of = |one: &testkit::adagrad::Accumulated| {
            ParamState::new(one.var.clone())
                .tensor("sum", &one.sum)
                .step(self.0.steps)
        };
        let members = (0..self.0.parameters.len()).collect();
        let AdagradParams { lr, lr_decay } = self.0.params;
        OptimizerDescription::new("Adagrad", self.0.parameters.iter().map(of).collect())
            .group(ParamGroup::new(members).option("lr", lr).option("lr_decay", lr_decay))
    }

    fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError> {
        groups.iter().try_for_each(|group| params(group).map(drop))
    }

    fn restore(&mut self, groups: Option<&[ParamGroup]>, steps: &[Option<u64>]) {
        if let Some(params) = groups.and_then(|groups| params(groups.first()?).ok()) {
            self.0.params = params;
        }
        if let Some(steps) = steps.iter().flatten().max() {
            self.0.steps = *steps;
        }
    }
}

fn params(group: &ParamGroup) -> Result<AdagradParams, ValueError> {
    Ok(AdagradParams {
        lr: group.get("lr")?,
        lr_decay: group.get("lr_decay")?,
    })
}

impl Checkpoint for Saved {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.optimizer("", self);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.optimizer("", self);
    }
}

#[derive(Checkpoint)]
struct State {
    model: Mlp,
    optimizer: Saved,
}

impl State {
    fn new(seed: u64, params: AdagradParams) -> Self {
        let model = Mlp::new(seed);
        let vars: Vec<Var> = variables(&model);
        let optimizer = Saved(Adagrad::new(vars, params).unwrap());
        Self { model, optimizer }
    }

    fn train(&mut self, steps: usize) {
        (0..steps).for_each(|_| descend(&self.model, &mut self.optimizer.0));
    }
}

const PARAMS: AdagradParams = AdagradParams { lr: 0.1, lr_decay: 0.2 };

const OTHER: AdagradParams = AdagradParams { lr: 0.7, lr_decay: 0. };

#[test]
fn a_wrapped_optimizer_of_another_crate_resumes_bit_for_bit() {
    let fabric = fabric();
    let mut saved = State::new(1, PARAMS);
    saved.train(3);
    fabric.save(PATH, &saved).unwrap();
    let names = fabric.open(PATH).unwrap().names().join(" ");
    assert!(
        names.contains("optimizer.state.model.fc1.weight.sum")
            && names.contains("optimizer.state.model.fc1.weight.step"),
        "{names}"
    );

    let mut resumed = State::new(2, OTHER);
    resumed.train(1);
    fabric.load(PATH, &mut resumed).unwrap();
    assert!(image(&resumed) == image(&saved));
    assert_eq!(resumed.optimizer.0.params, PARAMS);
    saved.train(4);
    resumed.train(4);
    assert!(image(&resumed) == image(&saved));

    // An optimizer that begins anew goes another way.
    let mut cold = State::new(2, PARAMS);
    let model_alone = fabric_core::LoadOptions::new().only(State::FIELDS.model);
    fabric.load_with(PATH, &mut cold, model_alone).unwrap();
    cold.train(4);
    assert!(weights(&cold) != weights(&saved));
}

#[test]
fn a_checkpoint_of_another_optimizer_is_refused_by_the_wrapped_one() {
    #[derive(Checkpoint)]
    struct WithAdamW {
        model: Mlp,
        optimizer: fabric_core::optim::AdamW,
    }
    let fabric = fabric();
    let model = Mlp::new(1);
    let optimizer = fabric_core::optim::AdamW::new_lr(variables(&model), 0.1).unwrap();
    fabric.save(PATH, &WithAdamW { model, optimizer }).unwrap();
    let mut state = State::new(2, PARAMS);
    let before = image(&state);
    let error = fabric.load(PATH, &mut state).unwrap_err().to_string();
    assert!(error.contains("AdamW") && error.contains("Adagrad"), "{error}");
    assert!(image(&state) == before);
}
