//! Optimizers in checkpoints of this library and of PyTorch.

use fabric_core::testing::Memory;
use fabric_core::{ExportOptions, OptimizerSummary, RawCheckpoint, Strategy};
use testkit::files::on;
use testkit::states::Train;

use super::pytorch;

fn only(raw: &RawCheckpoint) -> OptimizerSummary {
    let found = raw.optimizers().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

fn rate(summary: &OptimizerSummary) -> f64 {
    summary.groups[0]["lr"].decode().unwrap()
}

#[test]
fn our_own_optimizer_is_told_in_every_format() {
    let fabric = on(Memory::new());
    fabric.save("one.ckpt", &Train::new(2)).unwrap();
    fabric.reshard("one.ckpt", "two", Strategy::fsdp().ranks(2)).unwrap();
    fabric.export("one.ckpt", "all.pt", ExportOptions::new()).unwrap();
    for path in ["one.ckpt", "two", "all.pt"] {
        let found = only(&fabric.open(path).unwrap());
        assert_eq!(
            (found.name.as_str(), found.kind.as_deref()),
            ("optimizer", Some("AdamW")),
            "{path}"
        );
        assert_eq!((found.parameters, found.step), (4, Some(3)), "{path}");
        assert_eq!((found.groups.len(), rate(&found)), (1, 0.005), "{path}");
        assert!(!found.groups[0].contains_key("params"));
    }
    let alone = fabric.open("one.ckpt").unwrap().subtree("optimizer");
    assert_eq!(only(&alone).name, "");
    assert!(
        fabric
            .open("one.ckpt")
            .unwrap()
            .subtree("model")
            .optimizers()
            .unwrap()
            .is_empty()
    );
    let found = only(&fabric.open("one.ckpt").unwrap());
    assert_eq!(
        found.bytes,
        2 * 4 * (4 * 8 + 8 + 8 * 2 + 2),
        "two moments of 32-bit floats"
    );
}

#[test]
fn the_optimizers_of_pytorch_are_told() {
    let two = only(&pytorch("optim_adamw_two_groups.pt"));
    assert_eq!(two.groups.len(), 2);
    assert!(two.parameters > 1 && two.step.is_some_and(|step| step > 0), "{two:?}");
    assert_eq!(only(&pytorch("optim_sgd_plain.pt")).kind.as_deref(), Some("SGD"));
    assert_eq!(only(&pytorch("optim_sgd_momentum.pt")).step, None);
    let distributed = only(&pytorch("dcp_fsdp2"));
    assert!(distributed.parameters > 0 && rate(&distributed) > 0., "{distributed:?}");
    assert!(pytorch("mlp.pt").optimizers().unwrap().is_empty());
}
