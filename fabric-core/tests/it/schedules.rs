//! Learning rates by step and clipped gradients, beside the numbers that PyTorch wrote.

#![allow(clippy::float_cmp, reason = "these numbers are exact")]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::optim::{AdamW, Optimizer, Schedule, clip_grad_norm};
use fabric_core::{Checkpoint, Fabric};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn fixture<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/optim")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn near(found: f64, expected: f64, most: f64) -> bool {
    (found - expected).abs() <= most * expected.abs().max(1e-3)
}

#[test]
fn every_learning_rate_is_that_of_pytorch() {
    let cosine = Schedule::cosine(0.1, 15).floor(0.01);
    let step = Schedule::step(0.1, 4, 0.5);
    let ours = [
        ("constant", Schedule::constant(0.1)),
        ("linear", Schedule::linear(0.1, 12).floor(0.025)),
        ("cosine", cosine.clone()),
        ("step", step.clone()),
        ("warm_cosine", cosine.warm_up_from(0.1, 5)),
        ("warm_step", step.warm_up_from(0.1, 5)),
    ];
    let theirs: BTreeMap<String, Vec<f64>> = fixture("schedules.json");
    assert_eq!(theirs.len(), ours.len());
    for (name, schedule) in ours {
        for (at, (step, expected)) in (0..).zip(&theirs[name]).enumerate() {
            let found = schedule.at(step);
            assert!(
                near(found, *expected, 1e-12),
                "{name}, step {at}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn a_curve_that_has_ended_keeps_its_last_learning_rate() {
    for schedule in [Schedule::linear(0.1, 10), Schedule::cosine(0.1, 10)] {
        let schedule = schedule.floor(0.01).warm_up(5);
        assert_eq!(schedule.at(0), 0.);
        assert_eq!(schedule.at(5), 0.1);
        for step in [15, 16, 1000, u64::MAX] {
            assert!(near(schedule.at(step), 0.01, 1e-12), "step {step}");
        }
    }
    let stairs = Schedule::step(0.1, 10, 0.5).floor(0.01);
    assert_eq!(
        [10, 20, 40, u64::MAX].map(|step| stairs.at(step)),
        [0.05, 0.025, 0.01, 0.01]
    );
    assert_eq!(Schedule::step(0.1, 0, 0.5).at(7), 0.1);
    assert_eq!(Schedule::cosine(0.1, 0).at(0), 0.);
}

#[derive(Checkpoint)]
struct State {
    weight: Var,
    optimizer: AdamW,
    schedule: Schedule,
    /// One for each phase of a training.
    phases: Vec<Schedule>,
    step: u64,
}

#[test]
fn a_schedule_is_saved_and_restored_with_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let state = |schedule: Schedule| {
        let weight = Var::zeros(2, DType::F32, &Device::Cpu).unwrap();
        State {
            optimizer: AdamW::new_lr(vec![weight.clone()], 0.).unwrap(),
            weight,
            phases: vec![schedule.clone(), Schedule::constant(1e-5)],
            schedule,
            step: 0,
        }
    };
    let mut saved = state(Schedule::cosine(0.1, 100).floor(0.01).warm_up(10));
    saved.step = 37;
    saved.optimizer.set_learning_rate(saved.schedule.at(37));
    Fabric::new().save(&path, &saved).unwrap();

    let mut resumed = state(Schedule::constant(0.7));
    resumed.phases.clear();
    Fabric::new().load(&path, &mut resumed).unwrap();
    assert_eq!(resumed.schedule, saved.schedule);
    assert_eq!(resumed.phases, saved.phases);
    assert_eq!(resumed.optimizer.learning_rate(), resumed.schedule.at(resumed.step));
}

#[derive(Deserialize)]
struct Clipped {
    limit: f64,
    norm: f64,
    grads: Vec<Vec<f64>>,
}

/// Variables whose gradients are those of the fixture.
fn variables() -> (Vec<Var>, candle_core::backprop::GradStore) {
    let grads = [
        Tensor::new(&[[0.5f32, -1.5, 2.0], [0.25, 3.0, -0.125]], &Device::Cpu).unwrap(),
        Tensor::new(&[4f32, -0.75], &Device::Cpu).unwrap(),
    ];
    let vars = grads
        .iter()
        .map(|grad| Var::from_tensor(&grad.zeros_like().unwrap()).unwrap());
    let vars: Vec<Var> = vars.collect();
    let parts = vars
        .iter()
        .zip(&grads)
        .map(|(var, grad)| (var.as_tensor() * grad).unwrap().sum_all().unwrap());
    let loss = parts.reduce(|a, b| (a + b).unwrap()).unwrap();
    let store = loss.backward().unwrap();
    (vars, store)
}

#[test]
fn clipped_gradients_are_those_of_pytorch() {
    for Clipped { limit, norm, grads } in fixture::<Vec<Clipped>>("clipped.json") {
        let (mut vars, mut store) = variables();
        // A variable that two modules share counts once.
        vars.push(vars[0].clone());
        let found = clip_grad_norm(&mut store, &vars, limit).unwrap();
        assert!(near(found, norm, 1e-6), "limit {limit}: {found}, not {norm}");
        for (var, expected) in vars.iter().zip(&grads) {
            let clipped = store.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (found, expected) in clipped.iter().zip(expected) {
                assert!(
                    near(f64::from(*found), *expected, 1e-6),
                    "limit {limit}: {found}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn a_norm_that_is_not_finite_is_returned_and_changes_nothing() {
    let (vars, mut store) = variables();
    store.insert(&vars[1], Tensor::new(&[f32::INFINITY, 1.], &Device::Cpu).unwrap());
    assert_eq!(clip_grad_norm(&mut store, &vars, 1.).unwrap(), f64::INFINITY);
    assert_eq!(
        store.get(&vars[1]).unwrap().to_vec1::<f32>().unwrap(),
        [f32::INFINITY, 1.]
    );
    for limit in [-1., f64::NAN] {
        let error = clip_grad_norm(&mut store, &vars, limit).unwrap_err();
        assert!(error.to_string().contains("max_norm"), "{error}");
    }
    // Without any gradient there is nothing to clip.
    let (other, _) = variables();
    assert_eq!(clip_grad_norm(&mut store, &other, 1.).unwrap(), 0.);
}
