//! State of another optimizer is refused with the cause, however alike its names are.

use candle_core::{DType, Tensor};
use candle_nn::Linear;
use fabric_core::optim::{AdamW, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, Fabric, LoadOptions, MismatchKind};
use serde_json::{Value, json};

use crate::python::{Py, adamw, adamw_group, dict, state_dict, write};
use crate::states::{CPU, linear, variables};

#[derive(Checkpoint)]
struct State<O> {
    model: Linear,
    optimizer: O,
}

fn with_adamw() -> State<AdamW> {
    let model = linear(1, 2, 2);
    State {
        optimizer: AdamW::new_lr(variables(&model), 0.5).unwrap(),
        model,
    }
}

fn with_sgd(momentum: f64) -> State<Sgd> {
    let model = linear(1, 2, 2);
    let params = ParamsSgd {
        momentum,
        ..ParamsSgd::default()
    };
    State {
        optimizer: Sgd::new(variables(&model), params).unwrap(),
        model,
    }
}

fn zeros() -> [Tensor; 2] {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &CPU).unwrap();
    [zeros(&[2, 2]), zeros(&[2])]
}

/// The same state as `AdamW` keeps, under groups with these options.
fn file(group: &Value) -> Py {
    dict([
        ("model", state_dict(&linear(2, 2, 2), "")),
        ("optimizer", adamw(json!([group]), &zeros(), 5.)),
    ])
}

fn without(options: &[&str], and: Value) -> Value {
    let mut group = adamw_group(2);
    let map = group.as_object_mut().unwrap();
    for option in options {
        map.remove(*option);
    }
    if let Value::Object(and) = and {
        map.extend(and);
    }
    group
}

fn refused<O: Checkpoint>(file: &Py, state: &mut State<O>, cause: &str) {
    let (_directory, path) = write(file);
    let before = crate::states::image(&*state);
    for strict in [true, false] {
        let options = LoadOptions::new().strict(strict);
        let error = Fabric::new().load_with(&path, state, options).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(cause), "{cause:?} is not in:\n{text}");
        let report = error.report().unwrap();
        assert!(
            report
                .mismatched
                .iter()
                .any(|found| found.kind == MismatchKind::Optimizer)
        );
    }
    assert!(crate::states::image(&*state) == before);
}

#[test]
fn radam_nadam_and_adamax_are_not_adamw() {
    let radam = without(&["amsgrad", "fused"], json!({ "decoupled_weight_decay": false }));
    let cause = "optimizer.param_groups: found the state of PyTorch's RAdam, expected that of AdamW";
    refused(&file(&radam), &mut with_adamw(), cause);
    let decoupled = without(&["amsgrad", "fused"], json!({}));
    refused(&file(&decoupled), &mut with_adamw(), cause);
    let nadam = without(&["amsgrad", "fused"], json!({ "momentum_decay": 0.004 }));
    refused(&file(&nadam), &mut with_adamw(), "PyTorch's NAdam");
    let old = without(&["amsgrad", "fused", "decoupled_weight_decay"], json!({}));
    refused(&file(&old), &mut with_adamw(), "PyTorch's RAdam or Adamax");
    let apex = without(
        &["amsgrad", "decoupled_weight_decay"],
        json!({ "bias_correction": true }),
    );
    refused(
        &file(&apex),
        &mut with_adamw(),
        "an optimizer with the options `betas`, `bias_correction`",
    );
}

#[test]
fn the_cause_stands_before_the_lists() {
    let sgd = json!({ "lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": false, "params": [0, 1] });
    let (_directory, path) = write(&file(&sgd));
    let text = Fabric::new().load(&path, &mut with_adamw()).unwrap_err().to_string();
    let cause = text.find("the state of PyTorch's SGD").unwrap();
    assert!(
        text.find("missing in the file").is_none_or(|list| cause < list),
        "{text}"
    );
}

#[test]
fn rmsprop_and_muon_are_not_sgd() {
    let group = |and: Value| {
        let mut group = json!({ "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "params": [0, 1] });
        group.as_object_mut().unwrap().extend(and.as_object().unwrap().clone());
        group
    };
    let state = |group: &Value| {
        dict([
            ("model", state_dict(&linear(2, 2, 2), "")),
            (
                "optimizer",
                dict([
                    ("state", dict(Vec::<(String, Py)>::new())),
                    ("param_groups", Py::Value(json!([group]))),
                ]),
            ),
        ])
    };
    let rmsprop = group(json!({ "alpha": 0.99, "eps": 1e-8, "centered": false }));
    refused(&state(&rmsprop), &mut with_sgd(0.), "PyTorch's RMSprop");
    let muon = group(json!({ "nesterov": true, "momentum": 0.9, "ns_steps": 5, "ns_coefficients": [1., 2., 3.] }));
    refused(&state(&muon), &mut with_sgd(0.9), "PyTorch's Muon");
}

#[test]
fn options_that_the_optimizer_does_not_know_are_reported() {
    let odd = without(&[], json!({ "caution": true, "initial_lr": 0.5, "name": "decay" }));
    let (_directory, path) = write(&file(&odd));
    let loaded = Fabric::new().load(&path, &mut with_adamw()).unwrap();
    let text = loaded.report.to_string();
    assert!(
        text.contains("assumed: `optimizer.param_groups` has the options `caution`"),
        "{text}"
    );
    assert!(!text.contains("initial_lr") && !text.contains("`name`"), "{text}");
    let (_directory, path) = write(&file(&adamw_group(2)));
    let loaded = Fabric::new().load(&path, &mut with_adamw()).unwrap();
    assert!(!loaded.report.to_string().contains("options"), "{}", loaded.report);
}
