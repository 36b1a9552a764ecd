//! A hand-written implementation says all that attributes say: its files are those of a derived one.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::testing::{Memory, assert_symmetric};
use fabric_core::{Checkpoint, Fabric, LoadOptions, TensorInfo, Visitor, VisitorMut};
use serde::{Deserialize, Serialize};

use crate::states::{CPU, PATH, bits, fabric, file, linear, on, tensor, variables};

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Copy)]
enum Schedule {
    Constant,
    Cosine { warmup: u64 },
}

fn matrices(_: &str, tensor: &TensorInfo) -> bool {
    tensor.shape().len() == 2
}

#[derive(Checkpoint)]
struct Counters {
    epoch: u64,
}

#[derive(Checkpoint)]
#[checkpoint(version = 3)]
struct Derived {
    #[checkpoint(rename = "net", alias = "model", alias = "network")]
    first: Linear,
    #[checkpoint(filter = "weight")]
    second: Linear,
    #[checkpoint(filter = glob("w*", "*scale"))]
    third: Linear,
    #[checkpoint(filter = matrices)]
    fourth: Linear,
    #[checkpoint(buffer)]
    mean: Tensor,
    #[checkpoint(shard(dim = 0), shard(dim = 1, axis = "tp"))]
    table: Tensor,
    optimizer: AdamW,
    #[checkpoint(flatten)]
    counters: Counters,
    #[checkpoint(optional)]
    best: Option<f64>,
    #[checkpoint(per_rank)]
    position: u64,
    losses: Vec<f64>,
    #[checkpoint(metadata)]
    schedule: Schedule,
    average: BTreeMap<String, Tensor>,
}

impl Derived {
    fn new(seed: u64) -> Self {
        let first = linear(seed, 2, 3);
        Self {
            optimizer: AdamW::new_lr(variables(&first), 0.1).unwrap(),
            first,
            second: linear(seed + 1, 3, 2),
            third: linear(seed + 2, 3, 2),
            fourth: linear(seed + 3, 3, 2),
            mean: tensor(seed + 4, 3),
            table: tensor(seed + 5, (4, 2)),
            counters: Counters { epoch: seed },
            best: Some(0.5),
            position: seed,
            losses: vec![1., 2.],
            schedule: Schedule::Cosine { warmup: seed },
            average: BTreeMap::from([("w".to_owned(), tensor(seed + 6, 2))]),
        }
    }
}

/// The same fields, shown by hand.
struct ByHand(Derived);

impl Checkpoint for ByHand {
    const VERSION: u32 = 3;

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        let it = &self.0;
        entries
            .field("net")
            .alias("model")
            .alias("network")
            .component(&it.first);
        entries.field("second").filter_text(&["weight"]).component(&it.second);
        entries
            .field("third")
            .filter_glob(&["w*", "*scale"])
            .component(&it.third);
        entries.field("fourth").filter(matrices).component(&it.fourth);
        entries.buffer("mean", &it.mean);
        entries.field("table").shard(0).shard_over(1, "tp").tensor(&it.table);
        entries.optimizer("optimizer", &it.optimizer);
        entries.field("counters").flatten().component(&it.counters);
        entries.field("best").optional().value(&it.best);
        entries.field("position").per_rank().value(&it.position);
        entries.value("losses", &it.losses);
        entries.metadata("schedule", &it.schedule);
        entries.nested("average", |entries| {
            for (name, tensor) in &it.average {
                entries.tensor(name, tensor);
            }
        });
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        let it = &mut self.0;
        entries
            .field("net")
            .alias("model")
            .alias("network")
            .component(&mut it.first);
        entries
            .field("second")
            .filter_text(&["weight"])
            .component(&mut it.second);
        entries
            .field("third")
            .filter_glob(&["w*", "*scale"])
            .component(&mut it.third);
        entries.field("fourth").filter(matrices).component(&mut it.fourth);
        entries.buffer("mean", &it.mean);
        entries.field("table").shard(0).shard_over(1, "tp").tensor(&it.table);
        entries.optimizer("optimizer", &mut it.optimizer);
        entries.field("counters").flatten().component(&mut it.counters);
        entries.field("best").optional().value(&mut it.best);
        entries.field("position").per_rank().value(&mut it.position);
        entries.value("losses", &mut it.losses);
        entries.metadata("schedule", &mut it.schedule);
        entries.nested("average", |entries| {
            for (name, tensor) in &it.average {
                entries.tensor(name, tensor);
            }
        });
    }
}

fn names(fabric: &Fabric) -> Vec<String> {
    let raw = fabric.open(PATH).unwrap();
    raw.names().into_iter().map(str::to_owned).collect()
}

#[test]
fn every_attribute_can_be_said_by_hand() {
    let (derived, by_hand) = (fabric(), fabric());
    derived.save(PATH, &Derived::new(1)).unwrap();
    by_hand.save(PATH, &ByHand(Derived::new(1))).unwrap();
    assert_eq!(names(&derived), names(&by_hand));
    assert!(names(&by_hand).contains(&"net.weight".to_owned()));
    assert!(!names(&by_hand).contains(&"second.bias".to_owned()));

    for fabric in [derived, by_hand] {
        let (mut derived, mut by_hand) = (Derived::new(50), ByHand(Derived::new(70)));
        fabric.load(PATH, &mut derived).unwrap();
        fabric.load(PATH, &mut by_hand).unwrap();
        for state in [&derived, &by_hand.0] {
            assert_eq!(bits(state.first.weight()), bits(Derived::new(1).first.weight()));
            assert_eq!(bits(&state.average["w"]), bits(&Derived::new(1).average["w"]));
            assert_eq!((state.counters.epoch, state.position), (1, 1));
            assert_eq!(state.schedule, Schedule::Cosine { warmup: 1 });
        }
    }
}

#[test]
fn both_methods_of_a_derived_state_and_of_a_hand_written_one_show_the_same_entries() {
    let mut state = Derived::new(1);
    assert_symmetric(&mut state);
    state.best = None;
    state.schedule = Schedule::Constant;
    assert_symmetric(&mut ByHand(state));
    assert_symmetric(&mut (Some(1u8), None::<u8>, None::<Tensor>, vec![Some(tensor(1, 2)), None]));
}

#[test]
fn parameters_and_versions_are_those_of_the_derived_state() {
    let of = |named: Vec<(String, candle_core::Var)>| named.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let derived = of(fabric_core::named_parameters(&Derived::new(1)));
    assert_eq!(derived, of(fabric_core::named_parameters(&ByHand(Derived::new(1)))));
    assert!(!derived.contains(&"mean".to_owned()));
    assert_eq!(<ByHand as Checkpoint>::VERSION, <Derived as Checkpoint>::VERSION);
}

/// One field, with one attribute or none.
struct One {
    weight: Tensor,
    attribute: &'static str,
}

impl One {
    fn new(seed: u64, attribute: &'static str) -> Self {
        Self {
            weight: tensor(seed, 2),
            attribute,
        }
    }
}

macro_rules! one {
    ($self:ident, $entries:ident) => {
        match $self.attribute {
            "alias" => $entries.field("weight").alias("w").tensor(&$self.weight),
            "optional" => $entries.field("weight").optional().tensor(&$self.weight),
            "filter" => $entries.field("weight").filter_text(&["bias"]).tensor(&$self.weight),
            "closure" => {
                let most = $self.weight.elem_count();
                let keep = move |_: &str, tensor: &TensorInfo| tensor.shape()[0] < most;
                $entries.field("weight").filter(keep).tensor(&$self.weight);
            }
            "skip" => {}
            other => $entries.tensor(other, &$self.weight),
        }
    };
}

impl Checkpoint for One {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        one!(self, entries);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        one!(self, entries);
    }
}

#[derive(Checkpoint)]
struct Outer {
    inner: One,
    step: u64,
}

fn outer(seed: u64, attribute: &'static str) -> Outer {
    Outer {
        inner: One::new(seed, attribute),
        step: seed,
    }
}

#[test]
fn an_alias_and_optional_said_by_hand_take_effect_in_a_load() {
    let fabric = fabric();
    fabric.save(PATH, &outer(1, "w")).unwrap();
    let mut aliased = outer(2, "alias");
    fabric.load(PATH, &mut aliased).unwrap();
    assert_eq!(bits(&aliased.inner.weight), bits(&tensor(1, 2)));

    fabric.save(PATH, &outer(1, "skip")).unwrap();
    let mut optional = outer(3, "optional");
    fabric.load(PATH, &mut optional).unwrap();
    assert_eq!((optional.step, bits(&optional.inner.weight)), (1, bits(&tensor(3, 2))));
    assert!(fabric.load(PATH, &mut outer(4, "weight")).is_err());
}

#[test]
fn a_filter_said_by_hand_that_keeps_nothing_is_named_by_its_field() {
    for attribute in ["filter", "closure"] {
        let error = fabric().save(PATH, &outer(1, attribute)).unwrap_err().to_string();
        assert!(error.contains("the filter on `inner.weight`"), "{error}");
    }
}

/// A type of one value, and one of one tensor: the entry has the name of the field.
struct Epoch(u64);

impl Checkpoint for Epoch {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.value("", &self.0);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.value("", &mut self.0);
    }
}

#[test]
fn an_empty_name_is_the_level_itself() {
    #[derive(Checkpoint)]
    struct State {
        epoch: Epoch,
        epochs: Vec<Epoch>,
        inner: One,
    }
    let storage = Memory::new();
    let fabric = on(&storage);
    let state = |epoch, seed| State {
        epoch: Epoch(epoch),
        epochs: vec![Epoch(epoch + 1)],
        inner: One::new(seed, ""),
    };
    fabric.save(PATH, &state(7, 1)).unwrap();
    assert_eq!(names(&fabric), ["epoch", "epochs.0", "inner"]);
    let mut live = state(0, 2);
    fabric.load_with(PATH, &mut live, LoadOptions::new()).unwrap();
    assert_eq!((live.epoch.0, live.epochs[0].0), (7, 8));
    let stored = fabric.open(PATH).unwrap().tensor("inner", &CPU).unwrap();
    assert_eq!(bits(&stored), bits(&live.inner.weight));
    assert!(!file(&storage, PATH).is_empty());
}

/// A part below an empty name, which would have no name of its own.
struct Unnamed(Linear);

impl Checkpoint for Unnamed {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.component("", &self.0);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.component("", &mut self.0);
    }
}

#[test]
fn a_component_below_an_empty_name_is_refused() {
    let error = fabric().save(PATH, &Unnamed(linear(1, 2, 2))).unwrap_err();
    assert!(error.to_string().contains("entry name"), "{error}");
}
