//! What attributes do to names, and to what a load expects.

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, LoadOptions, MismatchKind};

use crate::states::{PATH, bits, fabric, linear, mismatched, refused, tensor, variables, weights};

#[derive(Checkpoint)]
struct Old {
    net: Linear,
    steps: u64,
}

fn old(seed: u64) -> Old {
    Old {
        net: linear(seed, 2, 2),
        steps: seed,
    }
}

#[test]
fn a_renamed_field_is_stored_under_its_other_name() {
    #[derive(Checkpoint)]
    #[checkpoint(rename_all = "camelCase")]
    struct New {
        #[checkpoint(rename = "net")]
        the_model: Linear,
        global_step: u64,
        r#type: String,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &New {
                the_model: linear(1, 2, 2),
                global_step: 3,
                r#type: "mlp".into(),
            },
        )
        .unwrap();
    assert_eq!(
        fabric.open(PATH).unwrap().names(),
        ["globalStep", "net.bias", "net.weight", "type"]
    );
    assert_eq!(New::FIELDS.the_model.name(), "net");
}

#[test]
fn an_alias_is_accepted_and_the_new_name_is_written() {
    #[derive(Checkpoint)]
    struct New {
        #[checkpoint(alias = "network", alias = "net")]
        model: Linear,
        #[checkpoint(alias = "steps")]
        iteration: u64,
    }
    let fabric = fabric();
    fabric.save(PATH, &old(1)).unwrap();
    let mut live = New {
        model: linear(2, 2, 2),
        iteration: 9,
    };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(loaded.report.restored, ["iteration", "model.bias", "model.weight"]);
    assert!(loaded.remainder.is_empty());
    assert_eq!((weights(&live.model), live.iteration), (weights(&old(1).net), 1));
    fabric.save(PATH, &live).unwrap();
    assert_eq!(
        fabric.open(PATH).unwrap().names(),
        ["iteration", "model.bias", "model.weight"]
    );
    fabric.load(PATH, &mut live).unwrap();
}

#[test]
fn a_file_with_both_names_does_not_say_which_one_is_meant() {
    #[derive(Checkpoint)]
    struct Both {
        net: Tensor,
        model: Tensor,
    }
    #[derive(Checkpoint)]
    struct New {
        #[checkpoint(alias = "net")]
        model: Tensor,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Both {
                net: tensor(1, 2),
                model: tensor(2, 2),
            },
        )
        .unwrap();
    let mut live = New { model: tensor(3, 2) };
    for options in [LoadOptions::new(), LoadOptions::new().strict(false)] {
        let report = refused(&fabric, &mut live, options);
        assert_eq!(mismatched(&report), [("model", MismatchKind::Ambiguous)]);
        assert!(report.to_string().contains("`model` and `net`"), "{report}");
    }
    let shared = tensor(1, 2);
    fabric
        .save(
            PATH,
            &Both {
                net: shared.clone(),
                model: shared,
            },
        )
        .unwrap();
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(bits(&live.model), bits(&tensor(1, 2)));
}

#[test]
fn aliases_on_two_levels_are_combined() {
    #[derive(Checkpoint)]
    struct Inner {
        #[checkpoint(alias = "kernel")]
        weight: Tensor,
    }
    #[derive(Checkpoint)]
    struct New {
        #[checkpoint(alias = "net")]
        model: Inner,
    }
    #[derive(Checkpoint)]
    struct OldInner {
        kernel: Tensor,
    }
    #[derive(Checkpoint)]
    struct Net<M> {
        net: M,
    }
    #[derive(Checkpoint)]
    struct Model<M> {
        model: M,
    }
    let fabric = fabric();
    let load = || {
        let mut live = New {
            model: Inner { weight: tensor(9, 2) },
        };
        fabric.load(PATH, &mut live).unwrap();
        bits(&live.model.weight)
    };
    fabric
        .save(
            PATH,
            &Net {
                net: OldInner { kernel: tensor(1, 2) },
            },
        )
        .unwrap();
    assert_eq!(load(), bits(&tensor(1, 2)));
    fabric
        .save(
            PATH,
            &Model {
                model: OldInner { kernel: tensor(2, 2) },
            },
        )
        .unwrap();
    assert_eq!(load(), bits(&tensor(2, 2)));
    fabric
        .save(
            PATH,
            &Net {
                net: Inner { weight: tensor(3, 2) },
            },
        )
        .unwrap();
    assert_eq!(load(), bits(&tensor(3, 2)));
}

#[derive(Checkpoint)]
struct Optional {
    net: Linear,
    #[checkpoint(optional)]
    ema: Linear,
    #[checkpoint(optional)]
    best: Option<f64>,
    #[checkpoint(optional)]
    epoch: u64,
}

fn with_optional(seed: u64) -> Optional {
    Optional {
        net: linear(seed, 2, 2),
        ema: linear(seed + 5, 2, 2),
        best: Some(0.5),
        epoch: seed,
    }
}

#[test]
fn an_optional_field_that_is_absent_stays_as_it_is_also_strictly() {
    let fabric = fabric();
    fabric.save(PATH, &old(1)).unwrap();
    let mut live = with_optional(2);
    let own = weights(&live.ema);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete());
    assert_eq!((weights(&live.ema), live.best, live.epoch), (own, Some(0.5), 2));
    assert_eq!(weights(&live.net), weights(&old(1).net));
}

#[test]
fn an_optional_field_that_is_there_is_restored_and_must_fit() {
    let fabric = fabric();
    fabric.save(PATH, &with_optional(1)).unwrap();
    let mut live = with_optional(2);
    live.best = None;
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(
        (weights(&live.ema), live.best, live.epoch),
        (weights(&with_optional(1).ema), Some(0.5), 1)
    );
    live.ema = linear(1, 2, 3);
    assert_eq!(mismatched(&refused(&fabric, &mut live, LoadOptions::new())).len(), 2);
}

#[test]
fn an_optional_module_of_which_only_a_part_is_there_is_incomplete() {
    #[derive(Checkpoint)]
    struct Half {
        net: Linear,
        ema: Weight,
    }
    #[derive(Checkpoint)]
    struct Weight {
        weight: Tensor,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Half {
                net: linear(1, 2, 2),
                ema: Weight {
                    weight: tensor(1, (2, 2)),
                },
            },
        )
        .unwrap();
    assert_eq!(
        refused(&fabric, &mut with_optional(2), LoadOptions::new()).missing,
        ["ema.bias"]
    );
}

#[test]
fn a_skipped_field_is_not_in_the_file_and_never_touched() {
    #[derive(Checkpoint)]
    struct Skipping {
        net: Linear,
        #[checkpoint(skip)]
        steps: u64,
        #[checkpoint(skip)]
        scratch: Tensor,
    }
    let skipping = |seed| Skipping {
        net: linear(seed, 2, 2),
        steps: seed,
        scratch: tensor(seed, 3),
    };
    let fabric = fabric();
    fabric.save(PATH, &skipping(1)).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["net.bias", "net.weight"]);
    fabric.save(PATH, &old(7)).unwrap();
    let mut live = skipping(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!((live.steps, bits(&live.scratch)), (2, bits(&tensor(2, 3))));
    assert_eq!(loaded.remainder.names(), ["steps"]);
}

#[test]
fn a_flattened_field_joins_the_level_of_its_struct() {
    #[derive(Checkpoint)]
    struct Outer {
        #[checkpoint(flatten)]
        base: Old,
        extra: u64,
    }
    let fabric = fabric();
    fabric.save(PATH, &Outer { base: old(1), extra: 5 }).unwrap();
    assert_eq!(
        fabric.open(PATH).unwrap().names(),
        ["extra", "net.bias", "net.weight", "steps"]
    );
    let mut live = old(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(loaded.remainder.names(), ["extra"]);
    let mut outer = Outer { base: old(3), extra: 0 };
    let only = LoadOptions::new().only(Outer::FIELDS.base.then(Old::FIELDS.net));
    let loaded = fabric.load_with(PATH, &mut outer, only).unwrap();
    assert_eq!(loaded.report.restored, ["net.bias", "net.weight"]);
}

#[test]
fn two_names_that_meet_at_run_time_are_refused_before_anything_is_written() {
    #[derive(Checkpoint)]
    struct Clash {
        #[checkpoint(flatten)]
        map: std::collections::BTreeMap<String, Tensor>,
        weight: Tensor,
    }
    let clash = Clash {
        map: [("weight".to_owned(), tensor(1, 1))].into(),
        weight: tensor(2, 1),
    };
    let fabric = fabric();
    let error = fabric.save(PATH, &clash).unwrap_err().to_string();
    assert!(error.contains("`weight` is there twice"), "{error}");
    assert!(fabric.open(PATH).is_err());
}

#[test]
fn a_bare_tensor_or_value_has_no_name_to_be_saved_under() {
    let fabric = fabric();
    assert!(
        fabric
            .save(PATH, &tensor(1, 2))
            .unwrap_err()
            .to_string()
            .contains("is empty")
    );
    assert!(
        fabric
            .save(PATH, &7u64)
            .unwrap_err()
            .to_string()
            .contains("must be a struct")
    );
}

#[test]
fn a_generic_state_holds_any_component() {
    #[derive(Checkpoint)]
    struct Generic<M, O = AdamW>
    where
        M: Checkpoint,
    {
        model: M,
        optimizer: Option<O>,
    }
    let model = linear(1, 2, 2);
    let optimizer = Some(AdamW::new_lr(variables(&model), 0.1).unwrap());
    let fabric = fabric();
    fabric.save(PATH, &Generic { model, optimizer }).unwrap();
    let mut inference = Generic::<Linear> {
        model: linear(2, 2, 2),
        optimizer: None,
    };
    let only = LoadOptions::new().only(Generic::<Linear>::FIELDS.model);
    fabric.load_with(PATH, &mut inference, only).unwrap();
    assert_eq!(weights(&inference.model), weights(&linear(1, 2, 2)));
}
