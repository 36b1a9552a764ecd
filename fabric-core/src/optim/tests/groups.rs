use candle_core::{DType, Var};
use candle_nn::Optimizer;

use super::{assert_same, gradients, train, twins, var, vars};
use crate::optim::{AdamW, Group, ParamsAdamW, ParamsSgd, Sgd};

fn two_params() -> [ParamsAdamW; 2] {
    let first = ParamsAdamW {
        lr: 0.1,
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    let second = ParamsAdamW {
        lr: 0.01,
        beta1: 0.8,
        ..ParamsAdamW::default()
    };
    [first, second]
}

/// Takes ten steps with one optimizer of two groups, and with two optimizers, and compares their variables.
fn assert_alike<O: Optimizer>((together, both): (&[Var], &mut O), (apart, [one, other]): (&[Var], [&mut O; 2])) {
    for step in 1..=10 {
        both.step(&gradients(together, step)).unwrap();
        let grads = gradients(apart, step);
        one.step(&grads).unwrap();
        other.step(&grads).unwrap();
    }
    assert_same(together, apart, "after ten steps");
}

#[test]
fn groups_of_adamw_are_two_optimizers() {
    let together = vars(DType::F32);
    let apart = twins(&together);
    let [first, second] = two_params();
    let (left, right) = together.split_at(3);
    let mut both = AdamW::with_groups([
        Group::new(left.to_vec(), first.clone()),
        Group::new(right.to_vec(), second.clone()),
    ])
    .unwrap();
    let mut one = AdamW::new(apart[..3].to_vec(), first).unwrap();
    let mut other = AdamW::new(apart[3..].to_vec(), second).unwrap();
    assert_alike((&together, &mut both), (&apart, [&mut one, &mut other]));
}

#[test]
fn groups_of_sgd_are_two_optimizers() {
    let together = vars(DType::F64);
    let apart = twins(&together);
    let heavy = ParamsSgd {
        momentum: 0.9,
        nesterov: true,
        ..ParamsSgd::from(0.05)
    };
    let (left, right) = together.split_at(4);
    let groups: [Group<ParamsSgd>; 2] = [Group::new(left.to_vec(), 0.1), Group::new(right.to_vec(), heavy)];
    let mut both = Sgd::with_groups(groups).unwrap();
    let mut one = Sgd::new(apart[..4].to_vec(), 0.1).unwrap();
    let mut other = Sgd::new(apart[4..].to_vec(), heavy).unwrap();
    assert_alike((&together, &mut both), (&apart, [&mut one, &mut other]));
}

#[test]
fn the_learning_rate_is_read_from_the_first_group_and_set_in_all() {
    let [first, second] = two_params();
    let vars = vars(DType::F32);
    let groups = [
        Group::new([vars[0].clone()], first),
        Group::new([vars[1].clone()], second),
    ];
    let mut adamw = AdamW::with_groups(groups).unwrap();
    assert!((adamw.learning_rate() - 0.1).abs() < f64::EPSILON);
    adamw.set_learning_rate(0.5);
    assert!(
        adamw
            .groups()
            .iter()
            .all(|params| (params.lr - 0.5).abs() < f64::EPSILON)
    );
    adamw.groups_mut()[1].lr = 0.25;
    assert!((adamw.learning_rate() - 0.5).abs() < f64::EPSILON);
    assert!((adamw.groups()[1].lr - 0.25).abs() < f64::EPSILON);
}

#[test]
fn a_parameter_in_two_groups_is_refused() {
    let weight = var(1, &3.into(), DType::F32);
    let [first, second] = two_params();
    let groups = [
        Group::new([weight.clone()], first),
        Group::new([weight.clone()], second),
    ];
    let error = AdamW::with_groups(groups).unwrap_err().to_string();
    assert!(error.contains("group 1"), "{error}");
    let groups: [Group<ParamsSgd>; 2] = [Group::new([weight.clone()], 0.1), Group::new([weight], 0.2)];
    Sgd::with_groups(groups).unwrap_err();
}

#[test]
fn no_group_at_all_is_refused() {
    AdamW::with_groups([]).unwrap_err();
    Sgd::with_groups([]).unwrap_err();
}

#[test]
fn a_group_without_parameters_keeps_its_hyper_parameters() {
    let [first, second] = two_params();
    let mut adamw = AdamW::with_groups([Group::new([], first), Group::new(vars(DType::F32), second)]).unwrap();
    train(&mut adamw, &[], 1..=2).unwrap();
    assert_eq!(adamw.groups().len(), 2);
}
