//! Hyper-parameters that come from a file.

use candle_core::DType;
use candle_nn::Optimizer;
use serde::Serialize;

use super::vars;
use crate::optim::{AdamW, Group, ParamsAdamW, ParamsSgd, Sgd};
use crate::state::{OptimizerState, ParamGroup};
use crate::value::Value;

/// The options of the first group that the optimizer describes, with one of them replaced, added or (`None`) removed.
fn with(optimizer: &impl OptimizerState, name: &str, value: impl Into<Option<Value>>) -> ParamGroup {
    let mut group = optimizer.describe().groups[0].clone();
    group.options.retain(|(key, _)| key != name);
    group.options.extend(value.into().map(|value| (name.to_owned(), value)));
    group
}

fn value(value: impl Serialize) -> Value {
    Value::of(&value).unwrap()
}

fn adamw() -> AdamW {
    AdamW::new(vars(DType::F32), ParamsAdamW::default()).unwrap()
}

fn sgd(momentum: f64) -> Sgd {
    Sgd::new(
        vars(DType::F32),
        ParamsSgd {
            momentum,
            ..ParamsSgd::default()
        },
    )
    .unwrap()
}

#[track_caller]
fn assert_refused(optimizer: &impl OptimizerState, name: &str, found: impl Into<Option<Value>>, says: &[&str]) {
    let error = optimizer
        .check(&[with(optimizer, name, found)])
        .unwrap_err()
        .to_string();
    for words in says {
        assert!(error.contains(words), "`{error}` does not say `{words}`");
    }
}

#[test]
fn adamw_refuses_what_it_cannot_take_over() {
    let adamw = adamw();
    let nan = f64::NAN;
    assert_refused(&adamw, "amsgrad", value(true), &["amsgrad", "true"]);
    assert_refused(&adamw, "maximize", value(true), &["maximize", "true"]);
    assert_refused(
        &adamw,
        "decoupled_weight_decay",
        value(false),
        &["decoupled_weight_decay", "false"],
    );
    assert_refused(&adamw, "amsgrad", value("yes"), &["amsgrad"]);
    for name in ["lr", "eps", "weight_decay", "betas"] {
        assert_refused(&adamw, name, None, &["no hyper-parameter", name]);
        assert_refused(&adamw, name, value("fast"), &[name]);
        assert_refused(&adamw, name, value(true), &[name]);
        assert_refused(&adamw, name, Value::null(), &[name]);
    }
    for name in ["lr", "eps", "weight_decay"] {
        assert_refused(&adamw, name, value(nan), &[name, "NaN", "finite"]);
        assert_refused(&adamw, name, value(f64::NEG_INFINITY), &[name, "-inf", "finite"]);
    }
    for betas in [[0.9, 1.0], [-0.1, 0.9], [2.0, 0.9]] {
        assert_refused(&adamw, "betas", value(betas), &["betas", "below 1"]);
    }
    assert_refused(&adamw, "betas", value([0.9, nan]), &["betas", "finite"]);
    assert_refused(&adamw, "betas", value([0.9]), &["betas"]);
    assert_refused(&adamw, "betas", value([0.9, 0.9, 0.9]), &["betas"]);
    assert_refused(&adamw, "betas", value(0.9), &["betas"]);
}

#[test]
fn sgd_refuses_what_it_cannot_take_over() {
    let plain = sgd(0.0);
    assert_refused(&plain, "maximize", value(true), &["maximize", "true"]);
    assert_refused(&plain, "dampening", value(0.1), &["dampening", "0.1"]);
    assert_refused(&plain, "dampening", value("0"), &["dampening"]);
    for name in ["lr", "momentum", "weight_decay"] {
        assert_refused(&plain, name, None, &["no hyper-parameter", name]);
        assert_refused(&plain, name, value("fast"), &[name]);
        assert_refused(&plain, name, value(f64::INFINITY), &[name, "finite"]);
    }
    assert_refused(&plain, "momentum", value(-0.5), &["momentum", "negative"]);
    assert_refused(&plain, "nesterov", value(true), &["nesterov", "momentum"]);
    assert_refused(&plain, "nesterov", value(1), &["nesterov"]);
}

#[test]
fn a_momentum_without_buffers_is_refused_and_so_are_buffers_without_momentum() {
    assert_refused(
        &sgd(0.0),
        "momentum",
        value(0.9),
        &["no momentum buffers", "ParamsSgd { momentum: 0.9, .. }"],
    );
    assert_refused(&sgd(0.9), "momentum", value(0.0), &["ParamsSgd { momentum: 0.0, .. }"]);
    assert_refused(&sgd(0.9), "momentum", value(0), &["ParamsSgd { momentum: 0.0, .. }"]);
    sgd(0.9).check(&[with(&sgd(0.9), "momentum", value(0.5))]).unwrap();
}

#[test]
fn flags_that_older_files_do_not_have_may_be_absent() {
    let (adamw, sgd) = (adamw(), sgd(0.9));
    for name in ["amsgrad", "maximize"] {
        adamw.check(&[with(&adamw, name, None)]).unwrap();
    }
    for name in ["dampening", "maximize", "nesterov"] {
        sgd.check(&[with(&sgd, name, None)]).unwrap();
    }
    adamw.check(&[with(&adamw, "fused", Value::null())]).unwrap();
}

#[test]
fn integers_are_numbers() {
    let mut adamw = adamw();
    let mut group = with(&adamw, "weight_decay", value(0));
    group.options.retain(|(key, _)| key != "betas" && key != "lr");
    let group = group.option("betas", (0, 0.5)).option("lr", 2u64);
    adamw.check(std::slice::from_ref(&group)).unwrap();
    adamw.restore(Some(&[group]), &[]);
    let params = adamw.params();
    let found = [params.lr, params.beta1, params.beta2, params.weight_decay];
    assert_eq!(found.map(f64::to_bits), [2.0, 0.0, 0.5, 0.0].map(f64::to_bits));
}

#[test]
fn what_each_optimizer_describes_passes_its_own_check() {
    let (adamw, plain, heavy) = (adamw(), sgd(0.0), sgd(0.9));
    adamw.check(&adamw.describe().groups).unwrap();
    plain.check(&plain.describe().groups).unwrap();
    heavy.check(&heavy.describe().groups).unwrap();
}

#[test]
fn hyper_parameters_go_to_the_group_they_came_from() {
    let groups = |lrs: [f64; 2]| {
        let vars = vars(DType::F32);
        let group = |index: usize| {
            let params = ParamsAdamW {
                lr: lrs[index],
                ..ParamsAdamW::default()
            };
            Group::new(vars[3 * index..3 * index + 3].to_vec(), params)
        };
        AdamW::with_groups([group(0), group(1)]).unwrap()
    };
    let (saved, mut restored) = (groups([0.5, 0.25]), groups([0.0, 0.0]));
    let described = saved.describe();
    assert_eq!(described.groups[1].parameters(), [3, 4, 5]);
    restored.check(&described.groups).unwrap();
    restored.restore(Some(&described.groups), &[None; 6]);
    let lrs: Vec<u64> = restored.groups().iter().map(|params| params.lr.to_bits()).collect();
    assert_eq!(lrs, [0.5f64.to_bits(), 0.25f64.to_bits()]);
    assert!((restored.learning_rate() - 0.5).abs() < f64::EPSILON);
}
