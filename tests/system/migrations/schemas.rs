//! Recipes of structs: versions, steps, and structs inside of structs.

use candle_core::Tensor;
use candle_nn::{Linear, Optimizer};
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, MigrationError, Migrations};
use serde::{Deserialize, Serialize};

use crate::states::{PATH, bits, fabric, linear, tensor, variables};

mod first {
    use super::*;

    #[derive(Checkpoint)]
    pub(super) struct Attention {
        pub(super) wq: Linear,
        pub(super) wk: Linear,
        pub(super) wv: Linear,
        pub(super) proj: Linear,
        pub(super) theta: f64,
        #[checkpoint(buffer)]
        pub(super) mask: Tensor,
    }

    #[derive(Checkpoint)]
    pub(super) struct Model {
        pub(super) layers: Vec<Attention>,
    }

    #[derive(Checkpoint)]
    pub(super) struct Train {
        pub(super) model: Model,
        pub(super) optimizer: AdamW,
    }

    pub(super) fn attention(seed: u64) -> Attention {
        Attention {
            wq: linear(seed, 4, 4),
            wk: linear(seed + 1, 4, 2),
            wv: linear(seed + 2, 4, 2),
            proj: linear(seed + 3, 4, 4),
            theta: 1e4,
            mask: tensor(seed, (2, 2)),
        }
    }

    pub(super) fn train(seed: u64) -> Train {
        let model = Model {
            layers: vec![attention(seed), attention(seed + 10)],
        };
        Train {
            optimizer: AdamW::new_lr(variables(&model), 0.01).unwrap(),
            model,
        }
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Rope {
    theta: f64,
    scaling: f64,
}

#[derive(Checkpoint)]
#[checkpoint(version = 3, migrate = Attention::migrations)]
struct Attention {
    qkv: Linear,
    out: Linear,
    #[checkpoint(metadata)]
    rope: Rope,
}

impl Attention {
    fn migrations(m: &mut Migrations) {
        m.from(1, "one matrix for q, k and v")
            .concat(["wq.weight", "wk.weight", "wv.weight"], "qkv.weight", 0)
            .concat(["wq.bias", "wk.bias", "wv.bias"], "qkv.bias", 0);
        m.from(2, "out as PyTorch has it")
            .rename("proj.*", "out.*")
            .transpose("out.weight", 0, 1)
            .value("theta", "rope", |theta: f64| Rope { theta, scaling: 1.0 })
            .remove("mask");
    }

    fn new(seed: u64) -> Self {
        Self {
            qkv: linear(seed, 4, 8),
            out: linear(seed + 1, 4, 4),
            rope: Rope { theta: 0., scaling: 0. },
        }
    }
}

#[derive(Checkpoint)]
struct Model {
    layers: Vec<Attention>,
}

#[derive(Checkpoint)]
struct Train {
    model: Model,
    optimizer: AdamW,
}

fn train(seed: u64) -> Train {
    let model = Model {
        layers: vec![Attention::new(seed), Attention::new(seed + 10)],
    };
    Train {
        optimizer: AdamW::new_lr(variables(&model), 0.01).unwrap(),
        model,
    }
}

fn saved() -> Fabric {
    let fabric = fabric();
    let mut old = first::train(1);
    let vars = variables(&old.model);
    let loss = vars.iter().map(|var| var.as_tensor().sqr().unwrap().sum_all().unwrap());
    let loss = loss.reduce(|a, b| (a + b).unwrap()).unwrap();
    old.optimizer.backward_step(&loss).unwrap();
    fabric.save(PATH, &old).unwrap();
    fabric
}

#[test]
fn each_struct_of_a_list_is_brought_up_with_its_optimizer() {
    let fabric = saved();
    let mut new = train(50);
    let loaded = fabric.load(PATH, &mut new).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    let raw = fabric.open(PATH).unwrap();
    for (layer, attention) in new.model.layers.iter().enumerate() {
        let old = |name: &str| {
            raw.tensor(&format!("model.layers.{layer}.{name}"), &candle_core::Device::Cpu)
                .unwrap()
        };
        let qkv = Tensor::cat(&[old("wq.weight"), old("wk.weight"), old("wv.weight")], 0).unwrap();
        assert_eq!(bits(attention.qkv.weight()), bits(&qkv));
        assert_eq!(
            bits(attention.out.weight()),
            bits(&old("proj.weight").t().unwrap().contiguous().unwrap())
        );
        assert_eq!(
            attention.rope,
            Rope {
                theta: 1e4,
                scaling: 1.0
            }
        );
    }
    // The versions of the new file are those of the program, and it needs no recipe.
    fabric.save(PATH, &new).unwrap();
    let raw = fabric.open(PATH).unwrap();
    let of = |path: &str| {
        raw.versions()
            .into_iter()
            .find(|known| known.path == path)
            .unwrap()
            .version
    };
    assert_eq!((of(""), of("model"), of("model.layers.1")), (1, 1, 3));
    let moment = raw
        .tensor(
            "optimizer.state.model.layers.1.qkv.weight.exp_avg",
            &candle_core::Device::Cpu,
        )
        .unwrap();
    assert_eq!(moment.dims(), [8, 4]);
    assert!(fabric.load(PATH, &mut train(60)).unwrap().report.is_complete());
}

#[test]
fn a_part_and_a_subtree_are_brought_up_too() {
    let fabric = saved();
    let mut state = OnlyModel { model: train(50).model };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(state.model.layers[0].rope.theta, 1e4);
    let mut model = train(50).model;
    fabric.open(PATH).unwrap().subtree("model").load(&mut model).unwrap();
    assert_eq!(model.layers[0].rope.theta, 1e4);
    let mut layer = Attention::new(9);
    fabric
        .load_raw_with(PATH, &mut layer, LoadOptions::new().root("model.layers.1"))
        .unwrap();
    assert_eq!(bits(layer.qkv.weight()), bits(model.layers[1].qkv.weight()));
    let mut renamed = OnlyRenamed { net: train(70).model };
    fabric
        .load_with(
            PATH,
            &mut renamed,
            LoadOptions::new().rename("model", "net").only("net"),
        )
        .unwrap();
    let mut alias = Aliased { net: train(70).model };
    fabric.load(PATH, &mut alias).unwrap();
    assert_eq!(
        bits(alias.net.layers[1].qkv.weight()),
        bits(model.layers[1].qkv.weight())
    );
}

#[derive(Checkpoint)]
struct OnlyModel {
    model: Model,
}

#[derive(Checkpoint)]
struct OnlyRenamed {
    net: Model,
}

#[derive(Checkpoint)]
struct Aliased {
    #[checkpoint(alias = "model")]
    net: Model,
}

/// The error of a load that a recipe refuses.
fn refused<S: Checkpoint>(state: &mut S) -> MigrationError {
    match saved().load_with(PATH, state, LoadOptions::new().only("model")) {
        Err(Error::Migration(error)) => *error,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("loaded"),
    }
}

macro_rules! attention {
    ($module:ident, $version:literal, $recipe:expr) => {
        mod $module {
            use super::*;

            #[derive(Checkpoint)]
            #[checkpoint(version = $version, migrate = recipe)]
            pub(super) struct Attention {
                pub(super) qkv: Linear,
            }

            fn recipe(m: &mut Migrations) {
                let recipe: fn(&mut Migrations) = $recipe;
                recipe(m);
            }

            #[derive(Checkpoint)]
            pub(super) struct Model {
                pub(super) layers: Vec<Attention>,
            }

            #[derive(Checkpoint)]
            pub(super) struct Train {
                pub(super) model: Model,
            }

            pub(super) fn error() -> MigrationError {
                let layer = |seed| Attention {
                    qkv: linear(seed, 4, 8),
                };
                refused(&mut Train {
                    model: Model {
                        layers: vec![layer(1), layer(2)],
                    },
                })
            }
        }
    };
}

attention!(gap, 4, |m| {
    m.from(1, "first").if_present();
    m.from(3, "third");
});
attention!(twice, 2, |m| {
    m.from(1, "first");
    m.from(1, "again");
});
attention!(beyond, 2, |m| {
    m.from(1, "first");
    m.from(2, "too far");
});
attention!(outside, 2, |m| {
    m.rename("a", "b");
});
attention!(finds_nothing, 2, |m| {
    m.from(1, "joined").concat(["w1.weight", "w2.weight"], "qkv.weight", 0);
});

#[test]
fn a_recipe_with_a_gap_and_other_mistakes_are_told_with_both_versions() {
    let error = gap::error();
    assert_eq!(
        (error.path.as_str(), error.name.as_str()),
        ("model.layers.0", "Attention")
    );
    assert_eq!((error.found, error.version), (Some(1), Some(4)));
    let text = error.to_string();
    assert!(
        text.contains("has version 1 in the file and 4 in the program"),
        "{text}"
    );
    assert!(
        text.contains("no step from version 2") && text.contains("m.from(2, \"nothing moved\")"),
        "{text}"
    );
    assert!(twice::error().what.contains("two steps"), "{}", twice::error());
    assert!(beyond::error().what.contains("beyond version 2"), "{}", beyond::error());
    assert!(
        outside::error().what.contains("before its first step"),
        "{}",
        outside::error()
    );
    let text = finds_nothing::error().to_string();
    assert!(
        text.contains("from(1, \"joined\").concat([\"w1.weight\", \"w2.weight\"], \"qkv.weight\", 0)"),
        "{text}"
    );
    assert!(
        text.contains("no `w1.weight`, `w2.weight` below `model.layers.0`"),
        "{text}"
    );
}

#[test]
fn a_newer_file_is_refused() {
    let fabric = fabric();
    fabric.save(PATH, &train(1)).unwrap();
    let mut old = first::train(2);
    let Err(Error::Migration(error)) = fabric.load_with(PATH, &mut old, LoadOptions::new().strict(false)) else {
        panic!("loaded");
    };
    assert_eq!((error.found, error.version), (Some(3), Some(1)));
    assert!(error.to_string().contains("the file is newer"), "{error}");
}

/// An outer struct moves an inner one, whose version moves with it.
#[test]
fn outer_steps_come_first_and_move_the_versions_of_inner_structs() {
    #[derive(Checkpoint)]
    #[checkpoint(version = 2, migrate = moved)]
    struct Net {
        blocks: Vec<Attention>,
    }
    fn moved(m: &mut Migrations) {
        m.from(1, "layers are blocks").rename("layers.*", "blocks.*");
    }
    #[derive(Checkpoint)]
    struct State {
        model: Net,
    }
    let fabric = saved();
    let mut state = State {
        model: Net {
            blocks: vec![Attention::new(5), Attention::new(6)],
        },
    };
    let loaded = fabric.load(PATH, &mut state).unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    assert_eq!(state.model.blocks[1].rope.theta, 1e4);
}

#[test]
fn a_file_is_brought_up_without_a_model() {
    let fabric = saved();
    let mut expected = train(50);
    fabric.load(PATH, &mut expected).unwrap();
    fabric.migrate::<Train>(PATH, "run/new.ckpt").unwrap();
    let raw = fabric.open("run/new.ckpt").unwrap();
    assert_eq!(
        raw.value::<Rope>("model.layers.1.rope").unwrap(),
        Rope {
            theta: 1e4,
            scaling: 1.0
        }
    );
    let of = |path: &str| {
        raw.versions()
            .into_iter()
            .find(|known| known.path == path)
            .unwrap()
            .version
    };
    assert_eq!((of("model"), of("model.layers.0")), (1, 3));
    let mut state = train(60);
    let loaded = fabric.load("run/new.ckpt", &mut state).unwrap();
    assert!(loaded.report.is_complete() && loaded.report.migrated.is_empty());
    let all = |state: &Train| {
        fabric.save("run/compared.ckpt", state).unwrap();
        let tensors = fabric
            .open("run/compared.ckpt")
            .unwrap()
            .tensors(&candle_core::Device::Cpu)
            .unwrap();
        tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), bits(tensor)))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(all(&state), all(&expected));
}

/// The recipe of a struct that was never saved at the outermost level does not hide what is in the file.
#[test]
fn a_file_of_another_state_is_told_by_the_match() {
    let fabric = saved();
    let error = fabric.load_raw(PATH, &mut Attention::new(3)).unwrap_err();
    let report = error.report().unwrap_or_else(|| panic!("no report: {error}"));
    assert!(
        report
            .assumed
            .iter()
            .any(|said| said.contains("the recipe of `Attention` is not for this file"))
    );
    assert!(error.to_string().contains("`model`"), "{error}");
}
