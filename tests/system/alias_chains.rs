//! Aliases at many levels, and aliases that are paths.
#![expect(
    clippy::items_after_statements,
    reason = "a test declares its schema where it is used"
)]

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Error, LoadOptions, MismatchKind, StateError, Visitor, VisitorMut, named_parameters};

use crate::states::{PATH, fabric, image, linear, tensor};

/// A list of tensors whose links had the name `old`.
#[derive(Checkpoint)]
struct Node {
    w: Tensor,
    #[checkpoint(alias = "old")]
    next: Option<Box<Node>>,
}

const DEPTH: usize = 64;

fn chain(depth: usize, seed: u64) -> Node {
    let next = (depth > 0).then(|| Box::new(chain(depth - 1, seed + 1)));
    Node {
        w: tensor(seed, 2),
        next,
    }
}

fn weights(node: &Node) -> Vec<Vec<f32>> {
    let nodes = std::iter::successors(Some(node), |node| node.next.as_deref());
    nodes.map(|node| node.w.to_vec1().expect("two numbers")).collect()
}

/// The tensors of a chain under the names that `link` gives to the links at each depth.
fn stored(depth: usize, seed: u64, link: impl Fn(usize) -> &'static str) -> BTreeMap<String, Tensor> {
    let mut level = String::new();
    let mut tensors = BTreeMap::new();
    for at in 0..=depth {
        tensors.insert(format!("{level}w"), tensor(seed + at as u64, 2));
        level += link(at);
        level.push('.');
    }
    tensors
}

#[test]
fn a_chain_of_aliased_levels_is_restored_under_new_old_and_mixed_names() {
    let fabric = fabric();
    let links: [fn(usize) -> &'static str; 4] = [
        |_| "next",
        |_| "old",
        |at| if at % 3 == 0 { "old" } else { "next" },
        |at| if at < DEPTH / 2 { "old" } else { "next" },
    ];
    for link in links {
        fabric.save(PATH, &stored(DEPTH, 100, link)).expect("memory");
        let mut live = chain(DEPTH, 1);
        let loaded = fabric.load(PATH, &mut live).expect("the same chain");
        assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
        assert_eq!(weights(&live), weights(&chain(DEPTH, 100)));
    }
    fabric.save(PATH, &chain(DEPTH, 5)).expect("memory");
    assert_eq!(
        fabric.open(PATH).expect("memory").names(),
        stored(DEPTH, 5, |_| "next")
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
    );
}

#[test]
fn two_entries_of_a_file_for_one_place_are_ambiguous_at_any_depth() {
    let fabric = fabric();
    let mut both = stored(2, 100, |_| "old");
    both.insert("old.next.w".to_owned(), tensor(7, 2));
    fabric.save(PATH, &both).expect("memory");
    let error = fabric.load(PATH, &mut chain(2, 1)).map(drop).unwrap_err();
    let report = error.report().expect("a mismatch");
    let [found] = &report.mismatched[..] else {
        panic!("{report}")
    };
    assert_eq!(
        (found.name.as_str(), found.kind),
        ("next.next.w", MismatchKind::Ambiguous)
    );
    assert_eq!(found.found, "`old.next.w` and `old.old.w`");
}

#[test]
fn an_entry_that_the_state_lacks_below_old_names_is_unexpected() {
    let fabric = fabric();
    fabric.save(PATH, &stored(3, 100, |_| "old")).expect("memory");
    let error = fabric.load(PATH, &mut chain(2, 1)).map(drop).unwrap_err();
    assert_eq!(error.report().expect("a mismatch").unexpected, ["old.old.old.w"]);
    let only = LoadOptions::new().only(Node::FIELDS.next);
    let error = fabric.load_with(PATH, &mut chain(2, 1), only).map(drop).unwrap_err();
    assert_eq!(error.report().expect("a mismatch").unexpected, ["old.old.old.w"]);
}

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(alias = "inner.embed")]
    table: Tensor,
    head: Tensor,
}

#[derive(Checkpoint)]
struct Now {
    #[checkpoint(alias = "old.model")]
    model: Model,
    step: u64,
}

#[test]
fn two_parts_below_one_aliased_field_are_both_known_by_the_alias() {
    #[derive(Checkpoint)]
    struct Model {
        fc1: Linear,
        fc2: Linear,
    }
    #[derive(Checkpoint)]
    struct State {
        #[checkpoint(alias = "net")]
        model: Model,
        scale: Tensor,
    }
    let fabric = fabric();
    let state = || State {
        model: Model {
            fc1: linear(1, 2, 2),
            fc2: linear(2, 2, 2),
        },
        scale: tensor(6, 2),
    };
    let mut old: BTreeMap<String, Tensor> = BTreeMap::new();
    for layer in ["fc1", "fc2"] {
        old.insert(format!("net.{layer}.weight"), tensor(3, (2, 2)));
        old.insert(format!("net.{layer}.bias"), tensor(4, 2));
    }
    old.insert("net.fc2.extra".to_owned(), tensor(5, 2));
    old.insert("scale".to_owned(), tensor(7, 2));
    fabric.save(PATH, &old).unwrap();
    let (fc1, fc2) = (
        State::FIELDS.model.then(Model::FIELDS.fc1),
        State::FIELDS.model.then(Model::FIELDS.fc2),
    );
    let error = fabric
        .load_with(PATH, &mut state(), LoadOptions::new().only(fc1).only(fc2))
        .unwrap_err();
    let unexpected = &error.report().expect("the files differ").unexpected;
    assert_eq!(unexpected, &["net.fc2.extra"]);
    let neither = LoadOptions::new().exclude(fc1).exclude(fc2);
    let report = fabric.load_with(PATH, &mut state(), neither).unwrap().report;
    assert_eq!(report.restored, ["scale"]);
}

#[test]
fn an_alias_may_be_a_path_from_the_level_of_its_field() {
    let fabric = fabric();
    let file = BTreeMap::from([
        ("old.model.inner.embed".to_owned(), tensor(1, 2)),
        ("old.model.head".to_owned(), tensor(2, 2)),
        ("old.scheduler".to_owned(), tensor(3, 2)),
    ]);
    fabric.save(PATH, &file).expect("memory");
    let mut live = Now {
        model: Model {
            table: tensor(8, 2),
            head: tensor(9, 2),
        },
        step: 4,
    };
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().only(Now::FIELDS.model))
        .expect("both tensors");
    assert_eq!(loaded.report.restored, ["model.head", "model.table"]);
    assert_eq!(loaded.remainder.names(), ["old.scheduler"]);
    let stored = |name: &str| file[name].to_vec1::<f32>().expect("two numbers");
    assert_eq!(
        live.model.table.to_vec1::<f32>().expect("two numbers"),
        stored("old.model.inner.embed")
    );
    assert_eq!(
        live.model.head.to_vec1::<f32>().expect("two numbers"),
        stored("old.model.head")
    );
}

#[test]
fn a_strict_load_refuses_an_entry_below_a_path_and_no_entry_beside_it() {
    let fabric = fabric();
    let file = |name: &str| {
        let entries = ["model.table", "model.head", name].map(|name| (name.to_owned(), tensor(1, 2)));
        BTreeMap::from(entries)
    };
    let load = |name: &str| {
        fabric.save(PATH, &file(name)).expect("memory");
        let model = Model {
            table: tensor(8, 2),
            head: tensor(9, 2),
        };
        #[derive(Checkpoint)]
        struct Alone {
            #[checkpoint(alias = "old.model")]
            model: Model,
        }
        fabric.load(PATH, &mut Alone { model })
    };
    assert_eq!(
        load("old.scheduler").expect("the model").remainder.names(),
        ["old.scheduler"]
    );
    let error = load("old.model.bias").map(drop).unwrap_err();
    assert_eq!(error.report().expect("a mismatch").unexpected, ["old.model.bias"]);
}

#[test]
fn a_hand_written_alias_may_be_a_path() {
    struct Scale(Tensor);
    impl Checkpoint for Scale {
        fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
            entries.field("factor").alias("old.scale").tensor(&self.0);
        }
        fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
            entries.field("factor").alias("old.scale").tensor(&self.0);
        }
    }
    let fabric = fabric();
    let file = BTreeMap::from([("old.scale".to_owned(), tensor(1, 2))]);
    fabric.save(PATH, &file).expect("memory");
    let mut live = Scale(tensor(2, 2));
    fabric.load(PATH, &mut live).expect("the old name");
    assert_eq!(
        live.0.to_vec1::<f32>().expect("two numbers"),
        file["old.scale"].to_vec1::<f32>().expect("two numbers")
    );
}

#[test]
fn a_path_that_another_entry_has_is_refused_with_both_entries() {
    #[derive(Checkpoint)]
    struct Tail {
        #[checkpoint(alias = "b")]
        a: u64,
    }
    #[derive(Checkpoint)]
    struct State {
        #[checkpoint(alias = "end.b")]
        step: u64,
        #[checkpoint(alias = "end")]
        tail: Tail,
    }
    let state = State {
        step: 1,
        tail: Tail { a: 2 },
    };
    let error = fabric().save(PATH, &state).map(drop).unwrap_err();
    let expected = StateError::Ambiguous {
        name: "end.b".to_owned(),
        first: "step".to_owned(),
        second: "tail.a".to_owned(),
    };
    assert!(matches!(&error, Error::State(found) if *found == expected), "{error}");
}

#[test]
fn an_alias_with_the_name_of_a_ranks_value_is_refused() {
    #[derive(Checkpoint)]
    struct Inner {
        #[checkpoint(per_rank, alias = "place")]
        position: u64,
    }
    #[derive(Checkpoint)]
    struct State {
        #[checkpoint(alias = "input")]
        data: Inner,
        #[checkpoint(alias = "input.place@3")]
        step: u64,
    }
    let state = State {
        data: Inner { position: 1 },
        step: 2,
    };
    let error = fabric().save(PATH, &state).map(drop).unwrap_err();
    let expected = StateError::RankedName {
        name: "input.place@3".to_owned(),
        per_rank: "data.position".to_owned(),
        rank: 3,
    };
    assert!(matches!(&error, Error::State(found) if *found == expected), "{error}");
}

#[test]
fn an_optimizer_follows_old_names_of_itself_and_of_its_model_at_once() {
    #[derive(Checkpoint)]
    struct OldModel {
        fc: Linear,
    }
    #[derive(Checkpoint)]
    struct Old {
        net: OldModel,
        adam: AdamW,
    }
    #[derive(Checkpoint)]
    struct NewModel {
        #[checkpoint(alias = "fc")]
        layer: Linear,
    }
    #[derive(Checkpoint)]
    struct New {
        #[checkpoint(alias = "net")]
        model: NewModel,
        #[checkpoint(alias = "adam")]
        optimizer: AdamW,
    }
    fn step(model: &impl Checkpoint, layer: &Linear) -> AdamW {
        let parameters = named_parameters(model);
        let mut adam =
            AdamW::from_named(parameters, fabric_core::candle_nn::ParamsAdamW::default()).expect("variables");
        let loss = layer.weight().sqr().expect("numbers").sum_all().expect("numbers");
        fabric_core::candle_nn::Optimizer::backward_step(&mut adam, &loss).expect("a gradient");
        adam
    }
    let net = OldModel { fc: linear(1, 2, 2) };
    let adam = step(&net, &net.fc);
    let old = Old { net, adam };
    let model = NewModel { layer: linear(2, 2, 2) };
    let optimizer = step(&model, &model.layer);
    let mut new = New { model, optimizer };
    let fabric = fabric();
    fabric.save(PATH, &old).expect("memory");
    let loaded = fabric.load(PATH, &mut new).expect("the same run");
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    assert!(image(&new.model.layer) == image(&old.net.fc));
}

#[test]
fn a_path_claims_its_entries_also_if_its_field_holds_none() {
    #[derive(Checkpoint)]
    struct Empty {
        #[checkpoint(alias = "old.extra")]
        extra: BTreeMap<String, Tensor>,
        step: Tensor,
    }
    let file = ["step", "old.extra.a", "old.other"].map(|name| (name.to_owned(), tensor(1, 2)));
    let fabric = fabric();
    fabric.save(PATH, &BTreeMap::from(file)).expect("memory");
    let mut live = Empty {
        extra: BTreeMap::new(),
        step: tensor(2, 2),
    };
    let error = fabric.load(PATH, &mut live).map(drop).unwrap_err();
    assert_eq!(error.report().expect("a mismatch").unexpected, ["old.extra.a"]);
}
