//! Two checkpoints compared: names and contents, and not formats.

#![allow(clippy::float_cmp, reason = "the changes are exact, or those of the same sums")]

mod contents;
mod damage;
mod formats;
mod optimizers;

use candle_core::Tensor;
use fabric_core::{Checkpoint, Diff, DiffOptions, Fabric, RawCheckpoint, TensorChange};
use testkit::states::image;

/// A state as an opened file.
fn opened<S: Checkpoint>(state: &S) -> RawCheckpoint {
    testkit::files::open(&[("state", &image(state))], "state").expect("it was saved")
}

fn diff(first: &RawCheckpoint, second: &RawCheckpoint) -> Diff {
    first.diff(second, DiffOptions::new()).expect("both are whole")
}

fn assert_equal(first: &RawCheckpoint, second: &RawCheckpoint) -> Diff {
    for (first, second) in [(first, second), (second, first)] {
        let diff = diff(first, second);
        assert!(
            diff.is_empty(),
            "{} and {}: {diff:#?}",
            first.origin().display(),
            second.origin().display()
        );
    }
    diff(first, second)
}

/// The change of the only tensor.
fn change(first: &Tensor, second: &Tensor) -> Option<TensorChange> {
    let named = |tensor: &Tensor| opened(&std::collections::BTreeMap::from([("a".to_owned(), tensor.clone())]));
    let diff = diff(&named(first), &named(second));
    let [tensor] = &diff.tensors[..] else {
        panic!("{diff:?}")
    };
    assert_eq!(tensor.name, "a");
    tensor.change
}

/// A file system with nothing else in it.
fn on(memory: &fabric_core::testing::Memory) -> Fabric {
    testkit::files::on(memory.clone())
}
