//! A run that moved to PyTorch, took a step there, and comes back.

use std::path::Path;

use candle_core::Tensor;
use candle_nn::Optimizer;
use fabric_core::{Checkpoint, Fabric};

use super::states::{Training, with_adamw, with_sgd};

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    difference.max(0).unwrap().to_scalar().unwrap()
}

/// Loads what PyTorch saved after the fourth step, strictly and whole, compares it with the fourth step of this library,
/// and takes a fifth on both sides: it needs the optimizer's state, too.
fn check<O: Optimizer + Checkpoint>(name: &str, make: impl Fn() -> Training<O>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/pytorch")
        .join(name);
    let (mut here, mut returned) = (make(), make());
    let before = returned.model.fc1.weight().copy().unwrap();
    here.step(3);
    // Hyper-parameters that the file must replace.
    returned.optimizer.set_learning_rate(0.5);
    let loaded = Fabric::new().load(path, &mut returned).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.names() == ["model.bn.num_batches_tracked"],
        "{name}: {}, {:?}",
        loaded.report,
        loaded.remainder.names()
    );
    assert_eq!(loaded.report.ignored, ["model.bn.num_batches_tracked"]);
    assert_eq!((returned.iteration, returned.model.scale), (3_000_000_001, 0.5));
    assert_eq!(returned.hparams.layers, [4, 6, 5]);
    assert!(largest_difference(&before, returned.model.fc1.weight()) > 1e-4);
    assert_near(name, &here, &returned);

    let fourth = returned.model.fc1.weight().copy().unwrap();
    here.step(4);
    returned.step(4);
    assert!(largest_difference(&fourth, returned.model.fc1.weight()) > 1e-4);
    assert_near(name, &here, &returned);
}

fn assert_near<O>(name: &str, here: &Training<O>, returned: &Training<O>) {
    let (a, b) = (&here.model, &returned.model);
    let parameters = fabric_core::named_parameters(a);
    for ((entry, here), (_, returned)) in parameters.iter().zip(fabric_core::named_parameters(b)) {
        assert!(largest_difference(here, &returned) < 1e-6, "{name}: {entry}");
    }
    assert!(
        largest_difference(a.bn.running_var(), b.bn.running_var()) < 1e-6,
        "{name}"
    );
}

#[test]
fn a_run_with_adamw_returns_from_pytorch() {
    check("returned_adamw.pt", with_adamw);
}

#[test]
fn a_run_with_sgd_returns_from_pytorch() {
    check("returned_sgd_momentum.pt", || with_sgd(0.9));
}
