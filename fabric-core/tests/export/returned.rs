//! A run that moved to PyTorch, took a step there, and comes back.

use std::path::Path;

use candle_core::Tensor;
use candle_nn::Optimizer;
use fabric_core::{Checkpoint, Fabric, LoadOptions};

use crate::states::{Training, with_adamw, with_sgd};

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    difference.max(0).unwrap().to_scalar().unwrap()
}

/// Loads the model that PyTorch saved after the fourth step, and compares it with the fourth step of this library.
fn check<O: Optimizer + Checkpoint>(name: &str, make: impl Fn() -> Training<O>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/pytorch")
        .join(name);
    let (mut here, mut returned) = (make(), make());
    let before = returned.model.fc1.weight().copy().unwrap();
    here.step(3);
    // The counter of the batch norm and PyTorch's numbers for parameters have no place in this state.
    let options = LoadOptions::new().strict(false);
    let loaded = Fabric::new().load_with(path, &mut returned, options).unwrap();
    for name in [
        "model.fc1.weight",
        "model.bn.running_var",
        "model.head",
        "model.scale",
        "hparams",
    ] {
        assert!(loaded.report.restored.iter().any(|restored| restored == name), "{name}");
    }
    assert_eq!((returned.iteration, returned.model.scale), (3_000_000_001, 0.5));
    assert!(largest_difference(&before, returned.model.fc1.weight()) > 1e-4);
    let pairs = [
        (&here.model.embed, &returned.model.embed),
        (&here.model.head, &returned.model.head),
        (here.model.fc1.weight(), returned.model.fc1.weight()),
        (here.model.bn.running_var(), returned.model.bn.running_var()),
        (here.model.fc2.bias().unwrap(), returned.model.fc2.bias().unwrap()),
    ];
    for (a, b) in pairs {
        assert!(largest_difference(a, b) < 1e-6, "{name}");
    }
}

#[test]
fn a_run_with_adamw_returns_from_pytorch() {
    check("returned_adamw.pt", with_adamw);
}

#[test]
fn a_run_with_sgd_returns_from_pytorch() {
    check("returned_sgd_momentum.pt", || with_sgd(0.9));
}
