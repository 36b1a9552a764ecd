//! `LoadOptions::only` and fields that files know by an older name.

use candle_core::{Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions};

#[derive(Checkpoint)]
struct Pair {
    one: Tensor,
    two: Tensor,
}

#[derive(Checkpoint)]
struct Before {
    net: Pair,
    step: u64,
}

#[derive(Checkpoint)]
struct Single {
    one: Tensor,
}

#[derive(Checkpoint)]
struct Now {
    #[checkpoint(alias = "net")]
    model: Single,
    step: u64,
}

fn tensor() -> Tensor {
    Tensor::new(&[1f32, 2.], &Device::Cpu).expect("two numbers")
}

/// `only(model)` asked for names that begin with `model`, and took a stranger under the old name `net` for a part of
/// another component: a strict load succeeded, and said nothing of the entry.
#[test]
fn an_entry_that_only_the_file_has_is_unexpected_under_an_old_name_too() {
    let fabric = Fabric::builder().storage(Memory::new()).build().expect("one device");
    let net = Pair {
        one: tensor(),
        two: tensor(),
    };
    fabric.save("last.ckpt", &Before { net, step: 7 }).expect("memory");
    let mut now = Now {
        model: Single { one: tensor() },
        step: 0,
    };
    let only_model = || LoadOptions::new().only(Now::FIELDS.model);
    let error = fabric.load_with("last.ckpt", &mut now, only_model()).unwrap_err();
    assert_eq!(error.report().expect("a mismatch").unexpected, ["net.two"]);

    let loaded = fabric
        .load_with("last.ckpt", &mut now, only_model().strict(false))
        .expect("the rest matches");
    assert_eq!(loaded.remainder.names(), ["net.two", "step"]);
    assert_eq!(now.step, 0);
}
