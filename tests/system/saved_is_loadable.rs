//! Whatever is saved can be loaded into the state that it came from, strictly, and comes back as it was. What cannot is refused
//! by the save, while the run that holds it is alive.
#![expect(
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::option_option,
    reason = "odd states are the subject, and a test declares them where it uses them"
)]

use std::collections::{BTreeMap, HashMap};

use candle_core::{Tensor, Var};
use fabric_core::optim::AdamW;
use fabric_core::{
    Checkpoint, Error, OptimizerDescription, OptimizerState, ParamGroup, ParamState, SaveOptions, StateError,
    ValueError, Visitor, VisitorMut,
};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::states::{Mlp, PATH, fabric, image, tensor, var, variables};

/// A state of any form.
#[derive(Clone, Debug)]
enum Node {
    Tensor(usize),
    Column(usize),
    Expanded,
    Count(u64),
    Maybe(Option<Option<u32>>),
    Rates(Vec<f64>),
    Parts(BTreeMap<String, Node>),
}

/// The same form with contents.
enum Filled {
    Tensor(Tensor),
    Count(u64),
    Maybe(Option<Option<u32>>),
    Rates(Vec<f64>),
    Parts(BTreeMap<String, Filled>),
}

impl Node {
    fn filled(&self, seed: u64) -> Filled {
        match self {
            Self::Tensor(len) => Filled::Tensor(tensor(seed, *len)),
            Self::Column(len) => Filled::Tensor(tensor(seed, (*len, 3)).narrow(1, 1, 1).unwrap()),
            Self::Expanded => Filled::Tensor(tensor(seed, (1, 2)).expand((3, 2)).unwrap()),
            Self::Count(count) => Filled::Count(*count),
            Self::Maybe(maybe) => Filled::Maybe(*maybe),
            Self::Rates(rates) => Filled::Rates(rates.clone()),
            Self::Parts(parts) => {
                let parts = parts.iter().zip(seed..);
                Filled::Parts(
                    parts
                        .map(|((key, part), seed)| (key.clone(), part.filled(seed)))
                        .collect(),
                )
            }
        }
    }
}

impl Filled {
    /// Contents that are others wherever the form allows it.
    fn changed(&mut self) {
        match self {
            Self::Tensor(_) => {}
            Self::Count(count) => *count = count.wrapping_add(1),
            Self::Maybe(maybe) => *maybe = if *maybe == Some(Some(7)) { None } else { Some(Some(7)) },
            Self::Rates(rates) => rates.push(0.5),
            Self::Parts(parts) => parts.values_mut().for_each(Self::changed),
        }
    }
}

impl Checkpoint for Filled {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        match self {
            Self::Tensor(tensor) => tensor.visit(entries),
            Self::Count(count) => count.visit(entries),
            Self::Maybe(maybe) => maybe.visit(entries),
            Self::Rates(rates) => rates.visit(entries),
            Self::Parts(parts) => parts.visit(entries),
        }
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        match self {
            Self::Tensor(tensor) => tensor.visit_mut(entries),
            Self::Count(count) => count.visit_mut(entries),
            Self::Maybe(maybe) => maybe.visit_mut(entries),
            Self::Rates(rates) => rates.visit_mut(entries),
            Self::Parts(parts) => parts.visit_mut(entries),
        }
    }
}

#[derive(Checkpoint)]
struct Odd {
    #[checkpoint(per_rank, alias = "place")]
    pos: u64,
    #[checkpoint(alias = "old")]
    step: Option<Option<u32>>,
    #[checkpoint(metadata)]
    meta: Option<Option<Vec<Option<()>>>>,
    tree: Filled,
    values: HashMap<String, Option<Option<f32>>>,
    #[checkpoint(flatten)]
    rest: BTreeMap<String, Filled>,
}

fn key() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "a",
        "b",
        "a.b",
        "",
        ".",
        "a.",
        "pos@0",
        "pos@03",
        "pos@x",
        "place@2",
        "old",
        "step",
        "tree",
        "tree.a",
        "values.a",
        "0",
        "meta.a",
        "__fabric__",
        "__metadata__",
        "é",
        "e\u{301}",
        "a\nb",
        "@",
        "a@1",
    ];
    prop::sample::select(ODD).prop_map(str::to_owned)
}

fn maybe() -> impl Strategy<Value = Option<Option<u32>>> {
    prop::option::of(prop::option::of(0u32..3))
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        4 => (0usize..4).prop_map(Node::Tensor),
        2 => (1usize..4).prop_map(Node::Column),
        1 => Just(Node::Expanded),
        3 => any::<u64>().prop_map(Node::Count),
        3 => maybe().prop_map(Node::Maybe),
        2 => prop::collection::vec(any::<f64>(), 0..3).prop_map(Node::Rates),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::btree_map(key(), inner, 0..4).prop_map(Node::Parts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_saves_loads_strictly_into_the_same_form_and_comes_back_as_it_was(
        tree in node(),
        rest in prop::collection::btree_map(key(), node(), 0..3),
        values in prop::collection::hash_map(key(), prop::option::of(prop::option::of(any::<f32>())), 0..3),
        step in maybe(),
        meta in prop::option::of(prop::option::of(prop::collection::vec(prop::option::of(Just(())), 0..3))),
    ) {
        let odd = |seed: u64| Odd {
            pos: 3,
            step,
            meta: meta.clone(),
            tree: tree.filled(seed),
            values: values.clone(),
            rest: rest.iter().map(|(key, part)| (key.clone(), part.filled(seed + 100))).collect(),
        };
        let saved = odd(1);
        let mut live = odd(5000);
        live.tree.changed();
        live.rest.values_mut().for_each(Filled::changed);
        (live.pos, live.step, live.meta) = (0, Some(Some(9)), Some(None));
        live.values.clear();
        let fabric = fabric();
        // A `None` has no name that could be wrong, and is a value in the other one.
        if fabric.save(PATH, &saved).is_ok() && fabric.save("other.ckpt", &live).is_ok() {
            let loaded = fabric.load(PATH, &mut live).unwrap();
            prop_assert!(loaded.report.is_complete(), "{:?}", loaded.report);
            prop_assert!(loaded.remainder.is_empty(), "{:?}", loaded.remainder);
            prop_assert!(image(&saved) == image(&live));
            prop_assert_eq!(live.step, step);
            prop_assert_eq!(live.meta, meta);
        }
    }
}

#[derive(Checkpoint)]
struct One<T> {
    value: T,
    step: u64,
}

fn one<T>(value: T) -> One<T> {
    One { value, step: 1 }
}

#[test]
fn a_none_inside_of_a_some_comes_back_as_one() {
    #[track_caller]
    fn plain<T: Checkpoint + Clone + PartialEq + std::fmt::Debug>(saved: T, other: T) {
        let fabric = fabric();
        fabric.save(PATH, &one(saved.clone())).unwrap();
        let mut live = one(other);
        fabric.load(PATH, &mut live).unwrap();
        assert_eq!(live.value, saved);
    }
    plain(Some(None), Some(Some(1u32)));
    plain(None, Some(Some(1u32)));
    plain(Some(Some(2u32)), None);
    plain(vec![Some(None), None, Some(Some(1u8))], vec![]);
    plain(Some(Some(None)), Some(None::<Option<u8>>));
    plain(Some(None), Some(Some(Some(3u8))));
    plain((Some(None::<bool>), 1u8), (None, 2));
    plain(Some(Box::new(None)), Some(Box::new(Some(1u8))));
    plain(BTreeMap::from([("a".to_owned(), Some(None::<f32>))]), BTreeMap::new());
}

#[derive(Checkpoint)]
struct Meta<T: Serialize + DeserializeOwned> {
    #[checkpoint(metadata)]
    value: T,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Nothing;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Config {
    unit: Option<()>,
    twice: Option<Option<u8>>,
    empty: Option<Nothing>,
    choice: Choice,
    #[serde(flatten)]
    more: BTreeMap<String, Option<Option<u8>>>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Choice {
    Nothing,
    Inside(Option<Option<u8>>),
}

#[test]
fn metadata_tells_a_none_inside_of_a_some_from_none() {
    let config = |twice: Option<Option<u8>>| Config {
        unit: twice.map(|_| ()),
        twice,
        empty: twice.map(|_| Nothing),
        choice: twice.map_or(Choice::Nothing, |_| Choice::Inside(twice)),
        more: BTreeMap::from([("extra".to_owned(), twice)]),
    };
    let fabric = fabric();
    for saved in [None, Some(None), Some(Some(3))] {
        for other in [None, Some(None), Some(Some(4))] {
            fabric.save(PATH, &Meta { value: config(saved) }).unwrap();
            let mut live = Meta { value: config(other) };
            fabric.load(PATH, &mut live).unwrap();
            assert_eq!(live.value, config(saved));
        }
    }
}

#[track_caller]
fn assert_unsaved<S: Checkpoint>(state: &S, entry: &str, says: &[&str]) {
    let fabric = fabric();
    let error = fabric.save(PATH, state).map(drop).unwrap_err();
    assert!(matches!(error, Error::State(_)), "{error:?}");
    let text = error.to_string();
    for part in says.iter().chain([&entry]) {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    assert!(fabric.open(PATH).is_err(), "nothing was written");
}

#[test]
fn a_type_that_does_not_read_what_it_writes_is_refused_by_the_save() {
    #[derive(Clone, Deserialize)]
    struct Lopsided(#[allow(dead_code)] u64);
    impl Serialize for Lopsided {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str("one")
        }
    }
    assert_unsaved(&Meta { value: Lopsided(1) }, "`value`", &["read back", "Deserialize"]);

    #[derive(Serialize, Deserialize)]
    struct Deep(Option<Vec<Deep>>);
    let deep = |levels: usize| (0..levels).fold(Deep(None), |inner, _| Deep(Some(vec![inner])));
    let mut shallow = Meta { value: deep(100) };
    let fabric = fabric();
    fabric.save(PATH, &shallow).unwrap();
    fabric.load(PATH, &mut shallow).unwrap();
    assert_unsaved(&Meta { value: deep(200) }, "`value`", &["nested more than"]);
}

/// An optimizer of the user, with one option.
struct Custom<T> {
    groups: Vec<Vec<usize>>,
    parameter: Var,
    name: &'static str,
    option: T,
    accepts: bool,
}

impl<T: Serialize> OptimizerState for Custom<T> {
    fn describe(&self) -> OptimizerDescription {
        let parameters = vec![ParamState::new(self.parameter.clone())];
        let groups = self.groups.iter().cloned().map(ParamGroup::new);
        groups.fold(OptimizerDescription::new("Custom", parameters), |description, group| {
            description.group(group.option("lr", 0.1).option(self.name, &self.option))
        })
    }
    fn check(&self, _: &[ParamGroup]) -> Result<(), ValueError> {
        if self.accepts {
            Ok(())
        } else {
            Err(ValueError::new("expected another"))
        }
    }
    fn restore(&mut self, _: Option<&[ParamGroup]>, _: &[Option<u64>]) {}
}

impl<T: Serialize> Checkpoint for Custom<T> {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.optimizer("", self);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.optimizer("", self);
    }
}

struct Unserialisable;

impl Serialize for Unserialisable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a pipe has no bytes"))
    }
}

#[test]
fn an_option_of_an_optimizer_that_no_file_can_hold_is_refused_by_the_save() {
    #[derive(Checkpoint)]
    struct State<T: Serialize> {
        weight: Var,
        optimizer: Custom<T>,
    }
    fn state<T: Serialize>(name: &'static str, option: T, accepts: bool) -> State<T> {
        let weight = var(1, 3);
        State {
            optimizer: Custom {
                groups: vec![vec![0]],
                parameter: weight.clone(),
                name,
                option,
                accepts,
            },
            weight,
        }
    }
    let entry = "`optimizer.param_groups`";
    assert_unsaved(
        &state("pipe", Unserialisable, true),
        entry,
        &["`pipe`", "a pipe has no bytes"],
    );
    assert_unsaved(&state("params", 1, true), entry, &["`params`", "rename it"]);
    assert_unsaved(&state("lr", 1, true), entry, &["`lr`", "given twice"]);
    assert_unsaved(
        &state("decay", 1, false),
        entry,
        &["refused by the optimizer", "expected another"],
    );
    let grouped = |groups: &[&[usize]]| {
        let mut state = state("decay", 1, true);
        state.optimizer.groups = groups.iter().map(|group| group.to_vec()).collect();
        state
    };
    assert_unsaved(&grouped(&[&[0], &[0]]), entry, &["`weight`", "in two groups"]);
    assert_unsaved(&grouped(&[&[0, 1]]), entry, &["parameter 1"]);
    let fabric = fabric();
    let mut fine = state("decay", Some(None::<u8>), true);
    fabric.save(PATH, &fine).unwrap();
    fabric.load(PATH, &mut fine).unwrap();
}

#[test]
fn an_optimizer_of_whose_parameters_the_state_holds_none_is_refused_by_the_save() {
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        optimizer: AdamW,
    }
    let elsewhere = Mlp::new(5);
    let state = State {
        model: Mlp::new(1),
        optimizer: AdamW::new_lr(variables(&elsewhere), 0.1).unwrap(),
    };
    let help = ["no module of this state holds", "from_named"];
    assert_unsaved(&state, "`optimizer`", &help);
    assert_unsaved(
        &one(AdamW::new_lr(variables(&elsewhere), 0.1).unwrap()),
        "`value`",
        &help,
    );
    let report = fabric().save_with(PATH, &state, SaveOptions::new().exclude(State::FIELDS.optimizer));
    assert!(report.unwrap().filtered.contains(&"optimizer.kind".to_owned()));
    let fabric = fabric();
    let mut none = one(AdamW::new_lr(Vec::new(), 0.1).unwrap());
    fabric.save(PATH, &none).unwrap();
    fabric.load(PATH, &mut none).unwrap();
    let error = fabric
        .save(PATH, &one(AdamW::new_lr(vec![var(1, 2)], 0.1).unwrap()))
        .unwrap_err();
    assert!(
        matches!(error, Error::State(StateError::UnnamedParameter { position: 0, .. })),
        "{error}"
    );
}
