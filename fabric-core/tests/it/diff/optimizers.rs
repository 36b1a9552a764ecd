//! Optimizers, which PyTorch and this library store in different forms.

use fabric_core::ExportOptions;
use fabric_core::testing::Memory;
use testkit::states::Train;

use super::{diff, on};

#[test]
fn the_state_of_a_parameter_is_named_after_it_and_its_step_is_a_value() {
    let memory = Memory::new();
    let fabric = on(&memory);
    let mut state = Train::new(3);
    fabric.save("own.ckpt", &state).expect("saved");
    state.step();
    fabric.save("next.ckpt", &state).expect("saved");
    fabric
        .export("next.ckpt", "next.pt", ExportOptions::new())
        .expect("exported");
    let [own, next, torch] = ["own.ckpt", "next.ckpt", "next.pt"].map(|path| fabric.open(path).expect("saved"));
    let (expected, found) = (diff(&own, &next), diff(&own, &torch));
    let values = |diff: &fabric_core::Diff| diff.values.iter().map(|value| value.name.clone()).collect::<Vec<_>>();
    let tensors = |diff: &fabric_core::Diff| {
        let tensors = diff.tensors.iter().map(|tensor| (tensor.name.clone(), tensor.change));
        tensors.collect::<Vec<_>>()
    };
    assert_eq!(values(&found), values(&expected));
    assert_eq!(tensors(&found), tensors(&expected));
    assert!(
        found.only_in_first.is_empty() && found.only_in_second.is_empty(),
        "{found:#?}"
    );
}

#[test]
fn a_hyper_parameter_is_compared_by_itself() {
    let memory = Memory::new();
    let fabric = on(&memory);
    // The learning rate follows from the seed.
    for seed in [2, 4] {
        fabric.save(format!("{seed}.ckpt"), &Train::new(seed)).expect("saved");
    }
    let [first, second] = ["2.ckpt", "4.ckpt"].map(|path| fabric.open(path).expect("saved"));
    let diff = diff(&first, &second);
    let rate = diff
        .values
        .iter()
        .find(|value| value.name == "optimizer.param_groups.0.lr");
    let rate = rate.expect("the rates differ");
    assert_eq!((rate.first.decode(), rate.second.decode()), (Ok(0.005), Ok(0.0025)));
    assert!(
        !diff.values.iter().any(|value| value.name.ends_with("params")),
        "{:?}",
        diff.values
    );
}
