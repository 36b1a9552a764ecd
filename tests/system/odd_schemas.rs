//! Odd schemas: shapes within shapes, which are saved, loaded and refused as plain ones are.
#![expect(
    clippy::option_option,
    clippy::cast_precision_loss,
    reason = "a schema may have an `Option` of an `Option`, and seeds are small"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::marker::PhantomData;

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::optim::{AdamW, Sgd};
use fabric_core::{Checkpoint, Field, LoadOptions, SaveOptions};

use crate::states::{PATH, fabric, image, linear, refused, tensor, var, variables};

#[derive(Checkpoint)]
#[checkpoint(rename_all = "snake_case")]
enum Expert {
    Dense(Linear),
    #[checkpoint(alias = "pair")]
    LowRank(Linear, Linear),
    Scaled {
        #[checkpoint(alias = "old.layer")]
        inner: Linear,
        factor: f64,
    },
    Absent,
}

#[derive(Checkpoint)]
struct Both<A, B>(A, #[checkpoint(rename = "right")] B);

#[derive(Checkpoint, PartialEq, Eq, PartialOrd, Ord, Debug, Clone, Copy, Hash)]
#[checkpoint(rename_all = "kebab-case")]
enum Task {
    NextToken,
    #[checkpoint(rename = "7")]
    Seven,
}

#[derive(Checkpoint, PartialEq, Debug, Clone, Copy)]
struct Rate(f64);

#[derive(Checkpoint)]
struct Extra<T> {
    head: T,
    #[checkpoint(skip)]
    _of: PhantomData<T>,
}

#[derive(Checkpoint)]
struct State {
    experts: Option<BTreeMap<u32, Option<Expert>>>,
    by_task: HashMap<Task, Vec<Expert>>,
    both: Both<Linear, Both<u64, Vec<Rate>>>,
    rates: VecDeque<Option<Rate>>,
    tasks: BTreeSet<Task>,
    grid: [[Option<Linear>; 2]; 2],
    nested: Vec<BTreeMap<i8, (Linear, Option<u64>)>>,
    #[checkpoint(flatten)]
    extra: Extra<Both<Tensor, Expert>>,
    phases: BTreeMap<Task, (Rate, Option<Option<u8>>)>,
    unit: (),
}

fn scaled(seed: u64) -> Expert {
    Expert::Scaled {
        inner: linear(seed, 2, 2),
        factor: seed as f64,
    }
}

fn state(seed: u64) -> State {
    let layer = |n: u64| linear(seed + n, 2, 2);
    State {
        experts: Some(BTreeMap::from([
            (3, Some(Expert::Dense(layer(1)))),
            (10, None),
            (4, Some(Expert::LowRank(layer(2), layer(3)))),
            (5, Some(Expert::Absent)),
        ])),
        by_task: HashMap::from([
            (Task::Seven, vec![scaled(seed + 4), Expert::Absent]),
            (Task::NextToken, vec![]),
        ]),
        both: Both(layer(5), Both(seed, vec![Rate(seed as f64)])),
        rates: (0..seed % 5).map(|n| (n > 0).then_some(Rate(n as f64))).collect(),
        tasks: if seed > 50 {
            [Task::Seven].into()
        } else {
            BTreeSet::new()
        },
        grid: [[Some(layer(6)), None], [None, Some(layer(7))]],
        nested: vec![
            BTreeMap::from([(-1, (layer(8), (seed > 50).then_some(seed)))]),
            BTreeMap::new(),
        ],
        extra: Extra {
            head: Both(tensor(seed + 9, 3), scaled(seed + 10)),
            _of: PhantomData,
        },
        phases: if seed > 50 {
            [
                (Task::Seven, (Rate(0.5), Some(None))),
                (Task::NextToken, (Rate(1.), Some(Some(2)))),
            ]
            .into()
        } else {
            BTreeMap::new()
        },
        unit: (),
    }
}

#[test]
fn shapes_within_shapes_come_back() {
    let fabric = fabric();
    let saved = state(104);
    fabric.save(PATH, &saved).unwrap();
    let mut live = state(1);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    assert!(image(&live) == image(&saved));
    assert_eq!(live.rates, saved.rates);
    assert_eq!(live.tasks, saved.tasks);
    assert_eq!(live.phases, saved.phases);
    assert_eq!(live.nested[0][&-1].1, Some(104));
    let names = fabric.open(PATH).unwrap().names().join(" ");
    for name in [
        "experts.3.variant",
        "experts.4.1.weight",
        "experts.5.variant",
        "by_task.7.0.inner.weight",
        "by_task.7.0.factor",
        "both.right.right",
        "grid.1.1.bias",
        "nested.0.-1.0.weight",
        "nested.0.-1.1",
        "head.0",
        "head.right.variant",
    ] {
        assert!(names.split(' ').any(|found| found == name), "{name}: {names}");
    }
}

#[test]
fn a_shared_borrow_of_it_all_is_saved_and_not_loaded() {
    #[derive(Checkpoint)]
    struct Owner {
        state: State,
        rates: VecDeque<Option<Rate>>,
    }
    #[derive(Checkpoint)]
    struct Seen<'a> {
        state: &'a State,
        rates: &'a VecDeque<Option<Rate>>,
    }
    let fabric = fabric();
    let saved = state(104);
    let mut seen = Seen {
        state: &saved,
        rates: &saved.rates,
    };
    fabric.save(PATH, &seen).unwrap();
    let error = fabric.load(PATH, &mut seen).unwrap_err().to_string();
    assert!(error.contains("shared borrow"), "{error}");
    let mut live = Owner {
        state: state(1),
        rates: VecDeque::new(),
    };
    fabric.load(PATH, &mut live).unwrap();
    assert!(image(&live.state) == image(&saved));
    assert_eq!(live.rates, saved.rates);
}

#[test]
fn handles_reach_every_depth() {
    const EXPERT: Field<State, Option<Expert>> = State::FIELDS.experts.some().key("3");
    let deep = State::FIELDS.nested.at(0).key("-1").element::<0>();
    let grid = State::FIELDS.grid.at(1).at(1).some();
    let right = State::FIELDS.extra.then(Extra::FIELDS.head).then(Both::FIELDS.1);
    assert_eq!(EXPERT.some().name(), "experts.3");
    assert_eq!(deep.name(), "nested.0.-1.0");
    assert_eq!(grid.name(), "grid.1.1");
    assert_eq!(right.name(), "head.right");
    let fabric = fabric();
    fabric.save(PATH, &state(104)).unwrap();
    let options = LoadOptions::new().only(EXPERT).only(deep).only(grid).only(right);
    let loaded = fabric.load_with(PATH, &mut state(1), options).unwrap();
    assert_eq!(
        loaded.report.restored,
        [
            "experts.3.bias",
            "experts.3.variant",
            "experts.3.weight",
            "grid.1.1.bias",
            "grid.1.1.weight",
            "head.right.factor",
            "head.right.inner.bias",
            "head.right.inner.weight",
            "head.right.variant",
            "nested.0.-1.0.bias",
            "nested.0.-1.0.weight",
        ]
    );
    fabric
        .save_with(PATH, &state(104), SaveOptions::new().exclude(right).exclude(deep))
        .unwrap();
}

#[test]
fn other_variants_and_other_lengths_are_each_said_once() {
    let fabric = fabric();
    let mut saved = state(104);
    if let Some(experts) = &mut saved.experts {
        experts.insert(3, Some(scaled(1)));
        experts.insert(10, Some(Expert::Absent));
    }
    saved.by_task.get_mut(&Task::Seven).unwrap().push(Expert::Absent);
    fabric.save(PATH, &saved).unwrap();
    let report = refused(&fabric, &mut state(1), LoadOptions::new());
    let text = report.to_string();
    let parts: Vec<&str> = report.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts, ["by_task.7", "experts.10", "experts.3"], "{text}");
    let mut other = state(1);
    other.experts = None;
    let report = refused(&fabric, &mut other, LoadOptions::new());
    assert_eq!(
        report.parts.iter().filter(|part| part.name == "experts").count(),
        1,
        "{report}"
    );
    let rest = LoadOptions::new()
        .exclude(State::FIELDS.experts)
        .exclude(State::FIELDS.by_task);
    fabric.load_with(PATH, &mut other, rest).unwrap();
}

#[test]
fn a_path_of_an_older_file_leads_into_a_variant() {
    mod before {
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct Old {
            pub(super) layer: candle_nn::Linear,
        }
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct Expert {
            pub(super) old: Old,
            pub(super) factor: f64,
        }
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct State {
            pub(super) experts: Vec<Expert>,
            pub(super) optimizer: fabric_core::optim::AdamW,
        }
    }
    #[derive(Checkpoint)]
    struct Model {
        experts: Vec<Expert>,
        optimizer: Trainer,
    }
    #[derive(Checkpoint)]
    enum Trainer {
        AdamW(AdamW),
        Sgd(Sgd),
    }
    let parameter = |seed| Linear::new(var(seed, (2, 2)).as_tensor().clone(), None);
    let fabric = fabric();
    let experts = vec![before::Expert {
        old: before::Old { layer: parameter(1) },
        factor: 3.,
    }];
    let optimizer = AdamW::new_lr(variables(&experts), 0.25).unwrap();
    let saved = before::State { experts, optimizer };
    fabric.save(PATH, &saved).unwrap();
    let experts = vec![Expert::Scaled {
        inner: parameter(2),
        factor: 0.,
    }];
    let optimizer = Trainer::AdamW(AdamW::new_lr(variables(&experts), 0.5).unwrap());
    let mut live = Model { experts, optimizer };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.remainder.is_empty(), "{:?}", loaded.remainder.names());
    let Trainer::AdamW(adam) = &live.optimizer else {
        panic!("the variant changed")
    };
    assert!((candle_nn::Optimizer::learning_rate(adam) - 0.25).abs() < 1e-12);
    assert!(image(&live.experts) != image(&saved.experts), "the names differ");
    let Expert::Scaled { inner, factor } = &live.experts[0] else {
        panic!()
    };
    assert_eq!(*factor, 3.);
    assert!(image(inner) == image(&saved.experts[0].old.layer));
    // Another optimizer is another variant.
    live.optimizer = Trainer::Sgd(Sgd::new(variables(&live.experts), 0.1).unwrap());
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    assert!(text.contains("optimizer"), "{text}");
}

#[test]
fn a_generic_flattened_twice_collides_at_the_save() {
    #[derive(Checkpoint)]
    struct Pair<A, B> {
        #[checkpoint(flatten)]
        a: A,
        #[checkpoint(flatten)]
        b: B,
    }
    let fabric = fabric();
    let pair = |seed| Pair {
        a: Extra {
            head: linear(seed, 2, 2),
            _of: PhantomData,
        },
        b: linear(seed + 1, 2, 2),
    };
    fabric.save(PATH, &pair(1)).unwrap();
    let mut live = pair(5);
    fabric.load(PATH, &mut live).unwrap();
    assert!(image(&live) == image(&pair(1)));
    let error = fabric
        .save(
            PATH,
            &Pair {
                a: linear(1, 2, 2),
                b: linear(2, 2, 2),
            },
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("is there twice"), "{error}");
    let error = fabric
        .save(
            PATH,
            &Pair {
                a: 3u64,
                b: linear(2, 2, 2),
            },
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("empty"), "{error}");
}
