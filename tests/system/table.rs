//! The table of the design, row by row: what a load does with what state and file do not share, strictly and not.

use candle_core::DType;
use candle_nn::Linear;
use fabric_core::{Checkpoint, LoadOptions, MismatchKind, OnMismatch, SaveOptions};

use crate::states::{Mlp, PATH, Train, bits, fabric, linear, mismatched, refused, tensor, weights};

const STRICT: fn() -> LoadOptions = LoadOptions::new;

fn lenient() -> LoadOptions {
    LoadOptions::new().strict(false)
}

#[derive(Checkpoint)]
struct State<M> {
    model: M,
    iteration: u64,
}

fn state<M>(model: M) -> State<M> {
    State { model, iteration: 1 }
}

#[derive(Checkpoint)]
struct Deeper {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

fn deeper(seed: u64) -> Deeper {
    Deeper {
        fc1: linear(seed, 4, 8),
        fc2: linear(seed + 1, 8, 2),
        fc3: linear(seed + 2, 2, 2),
    }
}

#[derive(Checkpoint)]
struct OnlyModel<M> {
    model: M,
}

#[test]
fn an_absent_component_is_refused_strictly_and_left_as_it_is_otherwise() {
    let fabric = fabric();
    let saved = OnlyModel { model: Mlp::new(1) };
    fabric.save(PATH, &saved).unwrap();
    let mut live = state(Mlp::new(2));
    let report = refused(&fabric, &mut live, STRICT());
    assert_eq!(report.missing, ["iteration"]);
    assert!(report.unexpected.is_empty() && report.mismatched.is_empty());

    let loaded = fabric.load_with(PATH, &mut live, lenient()).unwrap();
    assert_eq!(loaded.report.missing, ["iteration"]);
    assert_eq!(live.iteration, 1);
    assert_eq!(weights(&live), weights(&saved));
    assert!(loaded.remainder.is_empty());
    assert!(!loaded.report.is_complete());
}

#[test]
fn an_absent_module_is_reported_by_each_of_its_entries() {
    #[derive(Checkpoint)]
    struct OnlyIteration {
        iteration: u64,
    }

    let fabric = fabric();
    fabric.save(PATH, &OnlyIteration { iteration: 9 }).unwrap();
    let mut live = state(linear(2, 3, 2));
    assert_eq!(
        refused(&fabric, &mut live, STRICT()).missing,
        ["model.bias", "model.weight"]
    );
    let before = weights(&live);
    fabric.load_with(PATH, &mut live, lenient()).unwrap();
    assert_eq!((live.iteration, weights(&live)), (9, before));
}

#[test]
fn an_entry_that_the_file_lacks_is_refused_strictly_and_left_as_it_is_otherwise() {
    let fabric = fabric();
    let saved = state(Mlp::new(1));
    fabric.save(PATH, &saved).unwrap();
    let mut live = state(deeper(5));
    let report = refused(&fabric, &mut live, STRICT());
    assert_eq!(report.missing, ["model.fc3.bias", "model.fc3.weight"]);

    let own = weights(&live.model.fc3);
    let loaded = fabric.load_with(PATH, &mut live, lenient()).unwrap();
    assert_eq!(loaded.report.missing, ["model.fc3.bias", "model.fc3.weight"]);
    assert_eq!(loaded.report.restored.len(), 5);
    assert_eq!(weights(&live.model.fc3), own);
    assert_eq!(weights(&live.model.fc1), weights(&saved.model.fc1));
    assert!(loaded.remainder.is_empty());
}

#[test]
fn an_entry_that_the_module_lacks_is_refused_strictly_and_remains_otherwise() {
    let fabric = fabric();
    let saved = state(deeper(1));
    fabric.save(PATH, &saved).unwrap();
    let mut live = state(Mlp::new(5));
    let report = refused(&fabric, &mut live, STRICT());
    assert_eq!(report.unexpected, ["model.fc3.bias", "model.fc3.weight"]);
    assert!(report.missing.is_empty());

    let loaded = fabric.load_with(PATH, &mut live, lenient()).unwrap();
    assert_eq!(loaded.report.unexpected, ["model.fc3.bias", "model.fc3.weight"]);
    assert_eq!(loaded.remainder.names(), ["model.fc3.bias", "model.fc3.weight"]);
    assert_eq!(weights(&live.model.fc2), weights(&saved.model.fc2));
}

#[test]
fn a_component_that_the_state_lacks_remains_strictly_and_not() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    for options in [STRICT(), lenient()] {
        let mut live = OnlyModel { model: Mlp::new(2) };
        let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
        assert!(loaded.report.is_complete());
        let components: Vec<&str> = loaded
            .remainder
            .names()
            .iter()
            .filter_map(|name| name.split('.').next())
            .collect();
        assert!(
            components.contains(&"optimizer") && components.contains(&"iteration") && components.contains(&"hparams")
        );
        assert!(!components.contains(&"model"));
    }
}

#[test]
fn another_shape_is_refused_strictly_and_not_unless_it_may_be_skipped() {
    let fabric = fabric();
    let saved = state(Mlp::new(1));
    fabric.save(PATH, &saved).unwrap();
    let other_head = || {
        let mut model = Mlp::new(5);
        model.fc2 = linear(6, 8, 3);
        state(model)
    };
    let mut live = other_head();
    let head = [
        ("model.fc2.bias", MismatchKind::Shape),
        ("model.fc2.weight", MismatchKind::Shape),
    ];
    for options in [STRICT(), lenient()] {
        let report = refused(&fabric, &mut live, options);
        assert_eq!(mismatched(&report), head);
        assert_eq!(
            (
                report.mismatched[1].found.as_str(),
                report.mismatched[1].expected.as_str()
            ),
            ("[2, 8]", "[3, 8]")
        );
        assert!(!report.mismatched[0].skipped);
    }
    for options in [STRICT(), lenient()] {
        let mut live = other_head();
        let own = weights(&live.model.fc2);
        let loaded = fabric
            .load_with(PATH, &mut live, options.on_mismatch(OnMismatch::Skip))
            .unwrap();
        assert_eq!(mismatched(&loaded.report), head);
        assert!(loaded.report.mismatched.iter().all(|mismatch| mismatch.skipped));
        assert_eq!(loaded.remainder.names(), ["model.fc2.bias", "model.fc2.weight"]);
        assert_eq!(weights(&live.model.fc2), own);
        assert_eq!(weights(&live.model.fc1), weights(&saved.model.fc1));
    }
}

#[test]
fn a_transposed_shape_is_another_shape_although_the_elements_are_as_many() {
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &OnlyModel {
                model: Linear::new(tensor(1, (2, 3)), None),
            },
        )
        .unwrap();
    let mut live = OnlyModel {
        model: Linear::new(tensor(2, (3, 2)), None),
    };
    assert_eq!(
        mismatched(&refused(&fabric, &mut live, lenient())),
        [("model.weight", MismatchKind::Shape)]
    );
}

#[test]
fn another_element_type_is_refused_strictly_and_not_unless_it_may_be_cast() {
    let fabric = fabric();
    let exact = tensor(1, (2, 3));
    let half = exact.to_dtype(DType::BF16).unwrap();
    fabric
        .save(
            PATH,
            &OnlyModel {
                model: Linear::new(half.clone(), None),
            },
        )
        .unwrap();
    let mut live = OnlyModel {
        model: Linear::new(tensor(2, (2, 3)), None),
    };
    for options in [STRICT(), lenient(), lenient().on_mismatch(OnMismatch::Skip)] {
        let report = refused(&fabric, &mut live, options);
        assert_eq!(mismatched(&report), [("model.weight", MismatchKind::DType)]);
        assert_eq!(
            (
                report.mismatched[0].found.as_str(),
                report.mismatched[0].expected.as_str()
            ),
            ("BF16", "F32")
        );
    }
    for options in [STRICT(), lenient()] {
        fabric.load_with(PATH, &mut live, options.cast(true)).unwrap();
        assert_eq!(live.model.weight().dtype(), DType::F32);
        assert_eq!(bits(live.model.weight()), bits(&half.to_dtype(DType::F32).unwrap()));
    }
}

#[test]
fn a_value_of_another_type_is_refused_strictly_and_not() {
    #[derive(Checkpoint)]
    struct Named {
        model: Mlp,
        iteration: String,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Named {
                model: Mlp::new(1),
                iteration: "x".into(),
            },
        )
        .unwrap();
    let mut live = state(Mlp::new(2));
    for options in [STRICT(), lenient(), STRICT().cast(true).on_mismatch(OnMismatch::Skip)] {
        let report = refused(&fabric, &mut live, options);
        assert_eq!(mismatched(&report), [("iteration", MismatchKind::Type)]);
        let text = report.to_string();
        assert!(text.contains("iteration") && text.contains("text \"x\""), "{text}");
    }
}

#[test]
fn an_entry_that_a_save_left_out_is_refused_strictly_and_left_as_it_is_otherwise() {
    let fabric = fabric();
    let saved = Train::new(1);
    let only_matrices = SaveOptions::new().filter(Train::FIELDS.model, |_, info| info.shape().len() == 2);
    let report = fabric.save_with(PATH, &saved, only_matrices).unwrap();
    assert_eq!(report.filtered, ["model.fc1.bias", "model.fc2.bias"]);

    let mut live = Train::new(2);
    let report = refused(&fabric, &mut live, STRICT());
    assert_eq!(report.filtered_at_save, ["model.fc1.bias", "model.fc2.bias"]);
    assert!(report.missing.is_empty());
    assert!(
        report
            .to_string()
            .contains("left out by a filter when the file was saved: 2 entries"),
        "{report}"
    );

    let own = bits(live.model.fc1.bias().unwrap());
    let loaded = fabric.load_with(PATH, &mut live, lenient()).unwrap();
    assert_eq!(loaded.report.filtered, ["model.fc1.bias", "model.fc2.bias"]);
    assert!(loaded.report.missing.is_empty());
    assert_eq!(bits(live.model.fc1.bias().unwrap()), own);
    assert_eq!(bits(live.model.fc1.weight()), bits(saved.model.fc1.weight()));
}

#[test]
fn what_the_schema_filters_is_neither_expected_nor_missing_nor_unexpected() {
    #[derive(Checkpoint)]
    struct Filtered {
        #[checkpoint(filter = "weight")]
        model: Mlp,
    }
    let fabric = fabric();
    let saved = OnlyModel { model: Mlp::new(1) };
    fabric.save(PATH, &saved).unwrap();
    for options in [STRICT(), lenient()] {
        let mut live = Filtered { model: Mlp::new(2) };
        let own = bits(live.model.fc1.bias().unwrap());
        let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
        assert_eq!(loaded.report.filtered, ["model.fc1.bias", "model.fc2.bias"]);
        assert!(loaded.report.is_complete());
        assert_eq!(loaded.remainder.names(), ["model.fc1.bias", "model.fc2.bias"]);
        assert_eq!(bits(live.model.fc1.bias().unwrap()), own);
        assert_eq!(bits(live.model.fc1.weight()), bits(saved.model.fc1.weight()));
    }
    fabric.save(PATH, &Filtered { model: Mlp::new(3) }).unwrap();
    let mut live = Filtered { model: Mlp::new(4) };
    assert!(fabric.load(PATH, &mut live).unwrap().remainder.is_empty());
}

#[test]
fn all_kinds_of_findings_are_reported_at_once_each_in_its_list() {
    #[derive(Checkpoint)]
    struct Live {
        model: Mlp,
        iteration: bool,
        epoch: u32,
    }

    let fabric = fabric();
    let mut other = deeper(1);
    other.fc2 = linear(2, 8, 3);
    fabric.save(PATH, &state(other)).unwrap();
    let mut live = Live {
        model: Mlp::new(2),
        iteration: true,
        epoch: 4,
    };
    let report = refused(&fabric, &mut live, STRICT());
    assert_eq!(report.restored, ["model.fc1.bias", "model.fc1.weight"]);
    assert_eq!(report.missing, ["epoch"]);
    assert_eq!(report.unexpected, ["model.fc3.bias", "model.fc3.weight"]);
    let kinds = [
        ("iteration", MismatchKind::Type),
        ("model.fc2.bias", MismatchKind::Shape),
        ("model.fc2.weight", MismatchKind::Shape),
    ];
    assert_eq!(mismatched(&report), kinds);
}
