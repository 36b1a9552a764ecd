//! `LoadOptions::only`: a load of one field, as strict about it as a load of everything.

use candle_core::{Device, Tensor};
use candle_nn::Linear;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, StateError};

use crate::states::{Mlp, PATH, Train, image, linear, refused, saved, weights};

#[test]
fn only_one_field_is_restored_and_the_others_are_not_looked_for() {
    let (fabric, saved) = saved();
    let mut live = Train::new(2);
    let before = image(&live.optimizer);
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().only(Train::FIELDS.model))
        .unwrap();
    assert_eq!(weights(&live), weights(&saved));
    assert!(image(&live.optimizer) == before);
    assert_eq!(live.iteration, 203);
    assert_eq!(loaded.report.restored.len(), 4);
    assert!(loaded.report.is_complete());
    assert_eq!(loaded.remainder.len(), 16);

    let both = LoadOptions::new()
        .only(Train::FIELDS.iteration)
        .only(Train::FIELDS.hparams);
    let loaded = fabric.load_with(PATH, &mut live, both).unwrap();
    assert_eq!((live.iteration, &live.hparams), (103, &saved.hparams));
    assert_eq!(loaded.report.restored, ["hparams", "iteration"]);
    assert!(loaded.remainder.contains("model.fc1.weight"));
}

#[test]
fn a_handle_reaches_a_nested_field() {
    let (fabric, saved) = saved();
    let mut live = Train::new(2);
    let own = weights(&live.model.fc1);
    let nested = Train::FIELDS.model.then(Mlp::FIELDS.fc2);
    assert_eq!(nested.name(), "model.fc2");
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().only(nested))
        .unwrap();
    assert_eq!(loaded.report.restored, ["model.fc2.bias", "model.fc2.weight"]);
    assert_eq!(weights(&live.model.fc1), own);
    assert_eq!(weights(&live.model.fc2), weights(&saved.model.fc2));
}

#[test]
fn only_is_as_strict_about_its_field_as_a_whole_load() {
    #[derive(Checkpoint)]
    struct Smaller {
        fc1: Linear,
    }
    #[derive(Checkpoint)]
    struct State<M> {
        model: M,
        epoch: u64,
    }
    let (fabric, _) = saved();
    let mut live = State {
        model: Smaller { fc1: linear(2, 4, 8) },
        epoch: 1,
    };
    let only = || LoadOptions::new().only(State::<Smaller>::FIELDS.model);
    assert_eq!(
        refused(&fabric, &mut live, only()).unexpected,
        ["model.fc2.bias", "model.fc2.weight"]
    );
    fabric.load_with(PATH, &mut live, only().strict(false)).unwrap();
    let report = refused(
        &fabric,
        &mut live,
        LoadOptions::new().only(State::<Smaller>::FIELDS.epoch),
    );
    assert_eq!(report.missing, ["epoch"]);
    assert!(report.unexpected.is_empty());
}

#[test]
fn only_sees_what_stands_below_an_alias_of_its_field() {
    #[derive(Checkpoint)]
    struct Renamed<M> {
        #[checkpoint(alias = "model")]
        net: M,
        iteration: u64,
    }
    #[derive(Checkpoint)]
    struct Smaller {
        fc1: Linear,
    }
    let (fabric, _) = saved();
    let mut live = Renamed {
        net: Smaller { fc1: linear(2, 4, 8) },
        iteration: 1,
    };
    let whole = refused(&fabric, &mut live, LoadOptions::new());
    assert_eq!(whole.unexpected, ["model.fc2.bias", "model.fc2.weight"]);
    let part = refused(
        &fabric,
        &mut live,
        LoadOptions::new().only(Renamed::<Smaller>::FIELDS.net),
    );
    assert_eq!(part.unexpected, whole.unexpected);
}

#[test]
fn a_handle_of_another_state_is_refused_before_anything_is_read() {
    #[derive(Checkpoint)]
    struct Foreign {
        discriminator: Linear,
    }
    let (fabric, _) = saved();
    let mut live = Train::new(2);
    let before = image(&live);
    let only = LoadOptions::new().only(Foreign::FIELDS.discriminator);
    let error = fabric.load_with(PATH, &mut live, only).unwrap_err();
    assert!(matches!(&error, Error::State(StateError::Handle { handle, .. }) if handle == "discriminator"));
    assert!(
        error.to_string().contains("model, optimizer, iteration, hparams"),
        "{error}"
    );
    assert!(image(&live) == before);
}

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
