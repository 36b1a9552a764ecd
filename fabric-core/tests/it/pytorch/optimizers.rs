//! State dicts of PyTorch's optimizers.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Optimizer, ParamsAdamW};
use fabric_core::optim::{AdamW, Group, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, SaveOptions};

use super::{Mlp, bits, expected, fixture};

/// The parameters in PyTorch's order.
fn parameters() -> Vec<Var> {
    let (mlp, _) = Mlp::new();
    fabric_core::named_parameters(&mlp)
        .into_iter()
        .map(|(_, var)| var)
        .collect()
}

/// What an optimizer holds, by saving it.
fn state_of<O: Checkpoint>(optimizer: &O) -> fabric_core::RawCheckpoint {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("optimizer.ckpt");
    Fabric::new().save_with(&path, optimizer, SaveOptions::new()).unwrap();
    Fabric::new().open(&path).unwrap()
}

fn assert_moments<O: Checkpoint>(optimizer: &O, file: &str, names: &[&str]) {
    let (state, expected) = (state_of(optimizer), expected(file));
    for at in 0..6 {
        for name in names {
            let entry = format!("state.{at}.{name}");
            let found = state.tensor(&entry, &Device::Cpu).unwrap();
            assert_eq!(bits(&found), bits(&expected[&entry]), "{file}: {entry}");
        }
    }
}

#[test]
fn adamw_by_itself_takes_over_moments_steps_and_hyper_parameters() {
    let mut optimizer = AdamW::new_lr(parameters(), 0.5).unwrap();
    let loaded = Fabric::new()
        .load_raw(fixture("optim_adamw.pt"), &mut optimizer)
        .unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    assert_moments(&optimizer, "optim_adamw.pt", &["exp_avg", "exp_avg_sq"]);
    let params = optimizer.params();
    assert_eq!((params.lr, params.weight_decay, params.beta2), (0.01, 0.1, 0.999));
    let state = state_of(&optimizer);
    assert!((0..6).all(|at| state.value::<u64>(&format!("state.{at}.step")).unwrap() == 3));
}

#[test]
fn groups_keep_their_own_hyper_parameters() {
    let vars = parameters();
    let plain = ParamsAdamW::default();
    let groups = [
        Group::new(vars[..2].to_vec(), plain.clone()),
        Group::new(vars[2..].to_vec(), plain),
    ];
    let mut optimizer = AdamW::with_groups(groups).unwrap();
    Fabric::new()
        .load_raw(fixture("optim_adamw_two_groups.pt"), &mut optimizer)
        .unwrap();
    assert_moments(&optimizer, "optim_adamw_two_groups.pt", &["exp_avg", "exp_avg_sq"]);
    let rates: Vec<f64> = optimizer.groups().iter().map(|group| group.lr).collect();
    assert_eq!(rates, [1e-3, 1e-2]);
}

#[test]
fn groups_of_another_division_are_refused() {
    let vars = parameters();
    let groups = |at: usize| {
        let (first, second) = vars.split_at(at);
        [
            Group::new(first.to_vec(), ParamsAdamW::default()),
            Group::new(second.to_vec(), ParamsAdamW::default()),
        ]
    };
    let mut optimizer = AdamW::with_groups(groups(3)).unwrap();
    let file = fixture("optim_adamw_two_groups.pt");
    let error = Fabric::new().load_raw(&file, &mut optimizer).unwrap_err().to_string();
    assert!(
        error.contains("expected 3 parameters in group 0, the file has 2"),
        "{error}"
    );
    let mut single = AdamW::new_lr(vars.clone(), 0.1).unwrap();
    let error = Fabric::new().load_raw(&file, &mut single).unwrap_err().to_string();
    assert!(error.contains("1 groups of parameters, the file has 2"), "{error}");
}

#[test]
fn amsgrad_is_refused_with_a_sentence() {
    let mut optimizer = AdamW::new_lr(parameters(), 0.5).unwrap();
    for strict in [true, false] {
        let options = LoadOptions::new().strict(strict);
        let error = Fabric::new()
            .load_raw_with(fixture("optim_adam_amsgrad.pt"), &mut optimizer, options)
            .unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::Mismatch(_)) && text.contains("`amsgrad` is true"),
            "{text}"
        );
    }
    assert_eq!(optimizer.params().lr, 0.5);
}

#[test]
fn sgd_loads_with_and_without_momentum() {
    let params = |momentum| ParamsSgd {
        lr: 0.5,
        momentum,
        ..ParamsSgd::default()
    };
    let mut plain = Sgd::new(parameters(), params(0.0)).unwrap();
    let loaded = Fabric::new()
        .load_raw(fixture("optim_sgd_plain.pt"), &mut plain)
        .unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    assert_eq!(plain.learning_rate(), 0.01);

    let mut heavy = Sgd::new(parameters(), params(0.9)).unwrap();
    Fabric::new()
        .load_raw(fixture("optim_sgd_momentum.pt"), &mut heavy)
        .unwrap();
    assert_moments(&heavy, "optim_sgd_momentum.pt", &["momentum_buffer"]);

    let error = Fabric::new()
        .load_raw(fixture("optim_sgd_momentum.pt"), &mut plain)
        .unwrap_err();
    assert!(error.to_string().contains("no momentum buffers"), "{error}");
    let error = Fabric::new()
        .load_raw(fixture("optim_adamw.pt"), &mut plain)
        .unwrap_err();
    assert!(error.report().is_some(), "{error}");
}

/// The opcodes of `{'state': {…}, 'param_groups': [{'lr': 0.25, 'momentum': 0.9, …, 'params': [0, 1]}]}`.
fn sgd_file(state: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(X\x05\0\0\0state".to_vec();
    pickle.extend(state);
    pickle.extend(b"X\x0c\0\0\0param_groups]}(X\x02\0\0\0lrG\x3f\xd0\0\0\0\0\0\0X\x08\0\0\0momentumG\x3f\xec\xcc\xcc\xcc\xcc\xcc\xcd");
    pickle.extend(
        b"X\x0c\0\0\0weight_decayK\0X\x09\0\0\0dampeningK\0X\x08\0\0\0nesterov\x89X\x06\0\0\0params](K\0K\x01euau.",
    );
    testkit::zip::zip(&[("data.pkl", &pickle)])
}

#[test]
fn momentum_that_is_not_there_yet_is_zero() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sgd.pt");
    // Never stepped; stepped without momentum buffers; one parameter without an entry.
    for state in [
        &b"}"[..],
        b"}(K\0}X\x0f\0\0\0momentum_bufferNsK\x01}X\x0f\0\0\0momentum_bufferNsu",
        b"}K\0}X\x0f\0\0\0momentum_bufferNss",
    ] {
        std::fs::write(&path, sgd_file(state)).unwrap();
        let vars: Vec<Var> = (0..2)
            .map(|_| Var::ones(2, DType::F32, &Device::Cpu).unwrap())
            .collect();
        let params = ParamsSgd {
            lr: 0.5,
            momentum: 0.9,
            ..ParamsSgd::default()
        };
        let mut optimizer = Sgd::new(vars.clone(), params).unwrap();
        // Momentum from an earlier life.
        let loss = (vars[0].as_tensor() + vars[1].as_tensor()).unwrap().sum_all().unwrap();
        optimizer.backward_step(&loss).unwrap();
        let loaded = Fabric::new().load_raw(&path, &mut optimizer).unwrap();
        assert!(loaded.report.is_complete(), "{}", loaded.report);
        assert_eq!(optimizer.learning_rate(), 0.25);
        let state = state_of(&optimizer);
        for at in 0..2 {
            let buffer = state
                .tensor(&format!("state.{at}.momentum_buffer"), &Device::Cpu)
                .unwrap();
            assert_eq!(buffer.to_vec1::<f32>().unwrap(), [0., 0.]);
        }
    }
    // State under names that are not known: nothing is assumed.
    std::fs::write(&path, sgd_file(b"}X\x01\0\0\0x}X\x0f\0\0\0momentum_bufferK\x01ss")).unwrap();
    let vars: Vec<Var> = (0..2)
        .map(|_| Var::ones(2, DType::F32, &Device::Cpu).unwrap())
        .collect();
    let mut optimizer = Sgd::new(
        vars,
        ParamsSgd {
            momentum: 0.9,
            ..ParamsSgd::default()
        },
    )
    .unwrap();
    let error = Fabric::new().load_raw(&path, &mut optimizer).unwrap_err();
    assert_eq!(error.report().unwrap().missing.len(), 2, "{error}");
}

#[test]
fn the_order_of_a_map_of_variables_does_not_matter() {
    // A `VarMap` hands out its variables in random order; numbers in a file follow the declared order of the model.
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        optimizer: AdamW,
    }
    for _ in 0..4 {
        let (model, variables) = Mlp::new();
        let mut state = State {
            model,
            optimizer: AdamW::new_lr(variables.all_vars(), 0.5).unwrap(),
        };
        let options = LoadOptions::new().only(State::FIELDS.optimizer);
        Fabric::new()
            .load_with(fixture("fabric_single.ckpt"), &mut state, options)
            .unwrap();
        let expected = expected("fabric_single.ckpt");
        let saved = state_of(&state);
        for (at, (name, _)) in fabric_core::named_parameters(&state.model).iter().enumerate() {
            for moment in ["exp_avg", "exp_avg_sq"] {
                let found: Tensor = saved
                    .tensor(&format!("optimizer.state.model.{name}.{moment}"), &Device::Cpu)
                    .unwrap();
                assert_eq!(
                    bits(&found),
                    bits(&expected[&format!("optimizer.state.{at}.{moment}")]),
                    "{name}"
                );
            }
        }
    }
}
