//! Every operation of the main job under every strategy, compared with one device: the same contents, the same report, the
//! same remainder.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{
    Checkpoint, Error, Fabric, LoadOptions, LoadReport, Loaded, OnMismatch, Result, SaveOptions, Strategy,
};

use super::train::{Mlp, Train, elements, forward, held, own_axis};
use super::world::{alone, numbers, run};

const PATH: &str = "run/last";

pub(crate) fn worlds() -> Vec<(Strategy, usize)> {
    let worlds = vec![
        (Strategy::single_device(), 1),
        (Strategy::ddp(), 2),
        (Strategy::ddp(), 5),
        (Strategy::fsdp(), 1),
        (Strategy::fsdp(), 2),
        (Strategy::fsdp(), 3),
        (Strategy::fsdp(), 12),
        (Strategy::mesh([("tp", 3)]), 3),
        (Strategy::mesh([("dp", 2), ("tp", 2)]), 4),
        (Strategy::mesh([("tp", 5), ("dp", 1)]), 5),
        (Strategy::mesh([("dp", 2), ("tp", 9)]), 18),
    ];
    let own = |(strategy, ranks): (Strategy, usize)| {
        let axis = own_axis(&strategy).map(str::to_owned);
        (axis.into_iter().fold(strategy, Strategy::shard_axis), ranks)
    };
    worlds.into_iter().map(own).collect()
}

/// What an operation comes to on a rank.
struct Outcome {
    tensors: BTreeMap<String, Tensor>,
    /// Everything else: values, reports, remainders.
    words: String,
}

/// An operation: the state is prepared, loaded, and looked at.
type Operation = fn(&Fabric) -> Outcome;

fn outcome(mut state: Train, loaded: Result<Loaded>) -> Outcome {
    let (tensors, values) = state.contents();
    let words = format!("{values}\n{}", words(loaded));
    Outcome { tensors, words }
}

fn report_words(report: &LoadReport) -> String {
    format!("{report:#?}")
}

fn words(loaded: Result<Loaded>) -> String {
    match loaded {
        Ok(loaded) => format!(
            "{}remainder {:?}",
            report_words(&loaded.report),
            loaded.remainder.names()
        ),
        Err(Error::Mismatch(report)) => format!("refused\n{}", report_words(&report)),
        Err(other) => panic!("no finding of a match: {other}"),
    }
}

fn load(fabric: &Fabric, change: impl FnOnce(&mut Train), options: LoadOptions) -> Outcome {
    let mut state = Train::new(fabric, 900);
    change(&mut state);
    let loaded = fabric.load_with(PATH, &mut state, options);
    outcome(state, loaded)
}

fn strict(fabric: &Fabric) -> Outcome {
    load(fabric, |_| {}, LoadOptions::new())
}

fn verified(fabric: &Fabric) -> Outcome {
    load(fabric, |_| {}, LoadOptions::new().verify_first(true))
}

/// `b` has another name in the state: one entry is missing, and one unexpected.
fn renamed(state: &mut Train) {
    let moved = state.table.remove("b").expect("an entry");
    state.table.insert("c".into(), moved);
}

fn missing_and_unexpected(fabric: &Fabric) -> Outcome {
    load(fabric, renamed, LoadOptions::new())
}

fn not_strict(fabric: &Fabric) -> Outcome {
    load(fabric, renamed, LoadOptions::new().strict(false))
}

fn replaced(fabric: &Fabric, options: LoadOptions, whole: &Tensor) -> Outcome {
    let part = held(fabric, "table.b", whole);
    load(fabric, |state| drop(state.table.insert("b".into(), part)), options)
}

fn another_shape(fabric: &Fabric) -> Outcome {
    replaced(fabric, LoadOptions::new(), &numbers(&[12, 2], 0.))
}

fn another_shape_of_columns(fabric: &Fabric) -> Outcome {
    replaced(fabric, LoadOptions::new().strict(false), &numbers(&[11, 3], 0.))
}

fn another_shape_skipped(fabric: &Fabric) -> Outcome {
    let skip = LoadOptions::new().on_mismatch(OnMismatch::Skip);
    replaced(fabric, skip, &numbers(&[12, 2], 0.))
}

fn of_type(dtype: DType) -> Tensor {
    numbers(&[11, 2], 3.).to_dtype(dtype).expect("a conversion")
}

fn another_type(fabric: &Fabric) -> Outcome {
    replaced(fabric, LoadOptions::new(), &of_type(DType::F64))
}

fn cast(fabric: &Fabric) -> Outcome {
    replaced(fabric, LoadOptions::new().cast(true), &of_type(DType::F64))
}

fn cast_to_half(fabric: &Fabric) -> Outcome {
    replaced(fabric, LoadOptions::new().cast(true), &of_type(DType::BF16))
}

fn only_the_model(fabric: &Fabric) -> Outcome {
    load(fabric, |_| {}, LoadOptions::new().only(Train::FIELDS.model))
}

fn only_the_optimizer(fabric: &Fabric) -> Outcome {
    load(fabric, |_| {}, LoadOptions::new().only(Train::FIELDS.optimizer))
}

fn without_the_option(fabric: &Fabric) -> Outcome {
    load(fabric, |state| state.extra = None, LoadOptions::new().strict(false))
}

#[derive(Checkpoint)]
struct Less {
    #[checkpoint(filter = "weight")]
    model: Mlp,
    iteration: u64,
}

/// Most components are left, and come out of the remainder.
fn a_smaller_state(fabric: &Fabric) -> Outcome {
    let (model, _) = Mlp::new(fabric, 900.);
    let mut state = Less { model, iteration: 0 };
    let loaded = fabric.load(PATH, &mut state).expect("the rest is remainder");
    let mut tensors: BTreeMap<_, _> = state.model.tensors("model.").into_iter().collect();
    let raw = &loaded.remainder;
    for name in ["table.a", "head.weight"] {
        let whole = raw.tensor(name, &Device::Cpu).expect("it is in the remainder");
        tensors.insert(format!("remainder of {name}"), whole);
    }
    let losses: Vec<f32> = raw.value("losses").expect("a value");
    let words = format!("{} {losses:?} {}", state.iteration, words(Ok(loaded)));
    Outcome { tensors, words }
}

#[derive(Checkpoint)]
struct Rest<'s> {
    #[checkpoint(shard(dim = 0))]
    table: &'s mut BTreeMap<String, Tensor>,
}

/// The remainder loads what was left, into parts again.
fn the_rest_of_the_remainder(fabric: &Fabric) -> Outcome {
    let (model, _) = Mlp::new(fabric, 900.);
    let mut less = Less { model, iteration: 0 };
    let loaded = fabric.load(PATH, &mut less).expect("the rest is remainder");
    let mut state = Train::new(fabric, 900);
    let mut rest = Rest {
        table: &mut state.table,
    };
    let loaded = fabric.load_from(&loaded.remainder, &mut rest);
    outcome(state, loaded)
}

fn opened(fabric: &Fabric) -> Outcome {
    let raw = fabric.open(PATH).expect("a checkpoint");
    let tensors = raw.names().into_iter().filter(|name| raw.info(name).is_some());
    let tensors = tensors.map(|name| {
        (
            format!("raw {name}"),
            raw.tensor(name, &Device::Cpu).expect("it is there"),
        )
    });
    let below = raw.subtree("model").names().join(", ");
    let infos: Vec<String> = raw
        .names()
        .iter()
        .map(|name| format!("{name} {:?}", raw.info(name)))
        .collect();
    let iteration: u64 = raw.value("iteration").expect("a value");
    Outcome {
        tensors: tensors.collect(),
        words: format!("{iteration} {below} {infos:?} {:?}", raw.filtered()),
    }
}

fn usable(fabric: &Fabric) -> Outcome {
    let mut state = Train::new(fabric, 900);
    fabric.load(PATH, &mut state).expect("the same state");
    Outcome {
        tensors: BTreeMap::new(),
        words: format!("{:?}", forward(&state.head)),
    }
}

const OPERATIONS: [(&str, Operation); 19] = [
    ("strict", strict),
    ("verify_first", verified),
    ("missing and unexpected", missing_and_unexpected),
    ("not strict", not_strict),
    ("another shape", another_shape),
    ("other columns", another_shape_of_columns),
    ("another shape, skipped", another_shape_skipped),
    ("another type", another_type),
    ("cast", cast),
    ("cast to half", cast_to_half),
    ("only the model", only_the_model),
    ("only the optimizer", only_the_optimizer),
    ("without the option", without_the_option),
    ("a smaller state", a_smaller_state),
    ("the rest of the remainder", the_rest_of_the_remainder),
    ("opened", opened),
    ("usable", usable),
    ("strict again", strict),
    ("not strict again", not_strict),
];

/// Whether a rank has its part of what one device has.
fn compare(fabric: &Fabric, found: &Outcome, expected: &Outcome, when: &str) {
    assert_eq!(found.words, expected.words, "{when}");
    let names = |outcome: &Outcome| outcome.tensors.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{when}");
    for (name, tensor) in &found.tensors {
        let part = held(fabric, name, &expected.tensors[name]);
        assert_eq!(
            (tensor.dtype(), tensor.dims()),
            (part.dtype(), part.dims()),
            "{when}: {name}"
        );
        assert_eq!(elements(tensor), elements(&part), "{when}: {name}");
    }
}

/// Saves under every strategy, and does everything under that strategy and on one device.
fn every_operation(save: fn(&Fabric)) {
    let one = Memory::new();
    save(&alone(&one));
    let expected: Vec<Outcome> = OPERATIONS
        .iter()
        .map(|(_, operation)| operation(&alone(&one)))
        .collect();
    for (strategy, ranks) in worlds() {
        let own = Memory::new();
        run(&strategy, ranks, &own, save);
        for (place, storage) in [("its own", &own), ("one device's", &one)] {
            run(&strategy, ranks, storage, |fabric| {
                for ((name, operation), expected) in OPERATIONS.iter().zip(&expected) {
                    let when = format!(
                        "{name} of {place} under {strategy:?}, rank {} of {ranks}",
                        fabric.rank()
                    );
                    compare(fabric, &operation(fabric), expected, &when);
                }
            });
        }
        for ((name, operation), expected) in OPERATIONS.iter().zip(&expected) {
            let fabric = alone(&own);
            compare(
                &fabric,
                &operation(&fabric),
                expected,
                &format!("{name} of what {strategy:?} saved on {ranks}"),
            );
        }
    }
}

#[test]
fn every_operation_is_the_same_in_every_layout() {
    every_operation(|fabric| {
        fabric.save(PATH, &Train::new(fabric, 7)).expect("saved");
    });
}

#[test]
fn what_a_filter_left_out_is_the_same_in_every_layout() {
    let one = Memory::new();
    let save = |fabric: &Fabric| {
        let options = SaveOptions::new()
            .filter(Train::FIELDS.model, |name, info| {
                name.contains("weight") && info.shape().len() == 2
            })
            .exclude(Train::FIELDS.extra);
        fabric.save_with(PATH, &Train::new(fabric, 7), options).expect("saved")
    };
    let operations: [(&str, Operation); 4] = [
        ("strict", strict),
        ("not strict", |fabric| {
            load(fabric, |_| {}, LoadOptions::new().strict(false))
        }),
        ("only the optimizer", only_the_optimizer),
        ("opened", opened),
    ];
    let saved = save(&alone(&one));
    let expected: Vec<Outcome> = operations
        .iter()
        .map(|(_, operation)| operation(&alone(&one)))
        .collect();
    for (strategy, ranks) in worlds() {
        let own = Memory::new();
        run(&strategy, ranks, &own, |fabric| {
            let report = save(fabric);
            assert_eq!(
                (report.entries, &report.filtered),
                (saved.entries, &saved.filtered),
                "{strategy:?}"
            );
            for ((name, operation), expected) in operations.iter().zip(&expected) {
                let when = format!("{name} under {strategy:?}, rank {} of {ranks}", fabric.rank());
                compare(fabric, &operation(fabric), expected, &when);
            }
        });
    }
}
