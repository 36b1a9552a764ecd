//! Where a load could lose its strictness: entries that join a level, fields that may be absent, parts that are `None`.
#![expect(
    clippy::items_after_statements,
    reason = "a test declares its schema where it is used"
)]

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use candle_nn::{Linear, VarMap};
use fabric_core::{Checkpoint, LoadOptions};

use crate::states::{PATH, bits, fabric, linear, refused, tensor, var};

fn tensors(keys: &[&str]) -> BTreeMap<String, Tensor> {
    keys.iter().map(|key| ((*key).to_owned(), tensor(1, 2))).collect()
}

#[derive(Checkpoint)]
struct Flat<T> {
    #[checkpoint(flatten)]
    part: T,
    step: u64,
}

#[track_caller]
fn assert_unexpected<A: Checkpoint, B: Checkpoint>(from: A, into: B, unexpected: &[&str]) {
    let fabric = fabric();
    fabric.save(PATH, &from).unwrap();
    let mut live = into;
    let report = refused(&fabric, &mut live, LoadOptions::new());
    assert_eq!(report.unexpected, unexpected);
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!(loaded.remainder.names(), unexpected);
}

#[track_caller]
fn assert_flat_unexpected<A: Checkpoint, B: Checkpoint>(from: A, into: B, unexpected: &[&str]) {
    assert_unexpected(Flat { part: from, step: 1 }, Flat { part: into, step: 0 }, unexpected);
}

#[test]
fn entries_of_a_flattened_container_that_the_state_lacks_are_unexpected() {
    assert_flat_unexpected(tensors(&["a", "b"]), tensors(&["a"]), &["b"]);
    assert_flat_unexpected(tensors(&["a", "b"]), tensors(&[]), &["a", "b"]);
    let layers = |count: u64| (0..count).map(|seed| linear(seed, 2, 2)).collect::<Vec<_>>();
    assert_flat_unexpected(layers(2), layers(1), &["1.bias", "1.weight"]);
    let map = |names: &[&str]| {
        let map = VarMap::new();
        let mut variables = map.data().lock().unwrap();
        variables.extend(names.iter().map(|name| ((*name).to_owned(), var(1, 2))));
        drop(variables);
        map
    };
    assert_flat_unexpected(map(&["a", "b.c"]), map(&["a"]), &["b.c"]);
    let nested = |keys: &[&str]| Flat {
        part: tensors(keys),
        step: 1,
    };
    #[derive(Checkpoint)]
    struct Twice<T> {
        #[checkpoint(flatten)]
        inner: T,
        epoch: u64,
    }
    let twice = |keys: &[&str]| Twice {
        inner: nested(keys),
        epoch: 2,
    };
    assert_unexpected(twice(&["a", "b"]), twice(&["a"]), &["b"]);
}

#[test]
fn a_flattened_part_that_is_none_or_smaller_does_not_hide_what_the_file_has() {
    #[derive(Checkpoint)]
    struct Net {
        first: Linear,
        #[checkpoint(alias = "old")]
        second: Var,
    }
    let net = || Net {
        first: linear(1, 2, 2),
        second: var(1, 2),
    };
    assert_flat_unexpected(Some(linear(1, 2, 2)), None::<Linear>, &["bias", "weight"]);
    assert_flat_unexpected(Some(net()), None::<Net>, &["first.bias", "first.weight", "second"]);
    #[derive(Checkpoint)]
    struct Old {
        old: Var,
    }
    assert_flat_unexpected(Old { old: var(1, 2) }, None::<Net>, &["old"]);
    assert_flat_unexpected(
        Some(Box::new(net())),
        None::<Box<Net>>,
        &["first.bias", "first.weight", "second"],
    );
    let without_bias = Linear::new(tensor(1, (2, 2)), None);
    assert_flat_unexpected(linear(1, 2, 2), without_bias, &["bias"]);
}

#[test]
fn other_components_of_the_file_stay_the_remainder() {
    #[derive(Checkpoint)]
    struct Trained {
        #[checkpoint(flatten)]
        model: Linear,
        step: u64,
        epoch: u64,
    }
    let fabric = fabric();
    let trained = Trained {
        model: linear(1, 2, 2),
        step: 1,
        epoch: 2,
    };
    fabric.save(PATH, &trained).unwrap();
    let mut live = Flat {
        part: linear(2, 2, 2),
        step: 0,
    };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(loaded.remainder.names(), ["epoch"]);
}

#[derive(Checkpoint)]
struct Inner {
    x: u64,
    #[checkpoint(optional)]
    y: u64,
}

#[derive(Checkpoint)]
struct Outer {
    #[checkpoint(optional)]
    p: Inner,
    s: u64,
}

fn outer() -> Outer {
    Outer {
        p: Inner { x: 10, y: 20 },
        s: 30,
    }
}

#[derive(Checkpoint)]
struct Only<T> {
    p: T,
    s: u64,
}

mod parts {
    #[derive(fabric_core::Checkpoint)]
    pub(super) struct X {
        pub(super) x: u64,
    }
    #[derive(fabric_core::Checkpoint)]
    pub(super) struct Y {
        pub(super) y: u64,
    }
    #[derive(fabric_core::Checkpoint)]
    pub(super) struct Z {
        pub(super) z: u64,
    }
}

#[test]
fn an_optional_part_inside_of_an_optional_component_shows_that_the_component_is_there() {
    let fabric = fabric();
    let only_y = Only {
        p: parts::Y { y: 1 },
        s: 2,
    };
    fabric.save(PATH, &only_y).unwrap();
    assert_eq!(refused(&fabric, &mut outer(), LoadOptions::new()).missing, ["p.x"]);
    let only_x = Only {
        p: parts::X { x: 1 },
        s: 2,
    };
    fabric.save(PATH, &only_x).unwrap();
    let mut state = outer();
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.p.x, state.p.y, state.s), (1, 20, 2));
    fabric
        .save(
            PATH,
            &Flat {
                part: BTreeMap::<String, Tensor>::new(),
                step: 1,
            },
        )
        .unwrap();
    #[derive(Checkpoint)]
    struct Step {
        step: u64,
        #[checkpoint(optional)]
        p: Inner,
    }
    let mut state = Step {
        step: 0,
        p: Inner { x: 10, y: 20 },
    };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.step, state.p.x, state.p.y), (1, 10, 20));
}

#[test]
fn an_optional_component_of_which_the_file_has_another_part_is_there() {
    let fabric = fabric();
    let other = Only {
        p: parts::Z { z: 1 },
        s: 2,
    };
    fabric.save(PATH, &other).unwrap();
    let report = refused(&fabric, &mut outer(), LoadOptions::new());
    assert_eq!(report.unexpected, ["p.z"]);
    assert_eq!(report.missing, ["p.x"]);
}

#[test]
fn three_optional_levels_are_there_together() {
    #[derive(Checkpoint)]
    struct Deep {
        #[checkpoint(optional)]
        inner: Middle,
        must: u64,
    }
    #[derive(Checkpoint)]
    struct Middle {
        #[checkpoint(optional)]
        leaf: Leaf,
        must: u64,
    }
    #[derive(Checkpoint)]
    struct Leaf {
        a: u64,
        b: u64,
    }
    #[derive(Checkpoint)]
    struct State<T> {
        #[checkpoint(optional)]
        deep: T,
        s: u64,
    }
    #[derive(Checkpoint)]
    struct One<T> {
        inner: T,
    }
    #[derive(Checkpoint)]
    struct Two<T> {
        leaf: T,
    }
    #[derive(Checkpoint)]
    struct Three {
        a: u64,
    }
    let fabric = fabric();
    let saved = State {
        deep: One {
            inner: Two { leaf: Three { a: 1 } },
        },
        s: 2,
    };
    fabric.save(PATH, &saved).unwrap();
    let mut state = State {
        deep: Deep {
            inner: Middle {
                leaf: Leaf { a: 0, b: 0 },
                must: 0,
            },
            must: 0,
        },
        s: 0,
    };
    let report = refused(&fabric, &mut state, LoadOptions::new());
    assert_eq!(report.missing, ["deep.inner.leaf.b", "deep.inner.must", "deep.must"]);
}

#[test]
fn an_optional_field_that_is_nothing_in_the_file_stays() {
    #[derive(Checkpoint)]
    struct State {
        weight: Tensor,
        #[checkpoint(optional)]
        scale: Tensor,
    }
    #[derive(Checkpoint)]
    struct Without {
        weight: Tensor,
    }
    let fabric = fabric();
    fabric.save(PATH, &Without { weight: tensor(1, 2) }).unwrap();
    let mut state = State {
        weight: tensor(2, 2),
        scale: tensor(3, 2),
    };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(bits(&state.weight), bits(&tensor(1, 2)));
    assert_eq!(bits(&state.scale), bits(&tensor(3, 2)));
}
