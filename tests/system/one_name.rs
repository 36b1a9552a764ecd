//! A name in a file means one field: what could be read into two, or read otherwise, is refused before it is saved.
#![expect(
    clippy::items_after_statements,
    reason = "a test declares its schema where it is used"
)]

use std::collections::BTreeMap;

use candle_core::Tensor;
use fabric_core::{Checkpoint, Error, StateError};

use crate::states::{PATH, fabric, tensor};

#[derive(Checkpoint)]
struct Renamed {
    #[checkpoint(alias = "old")]
    step: u64,
}

/// A flattened type that the compiler does not know: the same mistakes are found at run time.
#[derive(Checkpoint)]
struct Beside<T> {
    #[checkpoint(flatten)]
    child: T,
    old: u64,
}

#[track_caller]
fn assert_ambiguous<S: Checkpoint>(mut state: S, name: &str) {
    let is_it =
        |error: &Error| matches!(error, Error::State(StateError::Ambiguous { name: found, .. }) if found == name);
    let fabric = fabric();
    let error = fabric.save(PATH, &state).map(drop).unwrap_err();
    assert!(is_it(&error), "{error}");
    #[derive(Checkpoint)]
    struct Old {
        old: u64,
    }
    fabric.save(PATH, &Old { old: 9 }).unwrap();
    let error = fabric.load(PATH, &mut state).map(drop).unwrap_err();
    assert!(is_it(&error), "{error}");
}

#[test]
fn no_entry_of_a_file_goes_into_two_fields() {
    let child = || Renamed { step: 1 };
    assert_ambiguous(Beside { child: child(), old: 2 }, "old");

    #[derive(Checkpoint)]
    struct Other {
        #[checkpoint(alias = "old")]
        epoch: u64,
    }
    #[derive(Checkpoint)]
    struct Two<A, B> {
        #[checkpoint(flatten)]
        a: A,
        #[checkpoint(flatten)]
        b: B,
    }
    let two = Two {
        a: child(),
        b: Other { epoch: 2 },
    };
    assert_ambiguous(two, "old");

    #[derive(Checkpoint)]
    struct Named {
        #[checkpoint(alias = "old")]
        step: Tensor,
        #[checkpoint(flatten)]
        others: BTreeMap<String, Tensor>,
    }
    let others = BTreeMap::from([("old".to_owned(), tensor(1, 2))]);
    let step = tensor(2, 2);
    assert_ambiguous(Named { step, others }, "old");
}

#[test]
fn an_alias_of_a_component_and_one_inside_of_it_are_no_conflict() {
    mod was {
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct Inner {
            pub(super) old: u64,
        }
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct State {
            pub(super) net: Inner,
        }
    }
    #[derive(Checkpoint)]
    struct State {
        #[checkpoint(alias = "net")]
        model: Renamed,
        old: u64,
    }
    let fabric = fabric();
    let mut state = State {
        model: Renamed { step: 0 },
        old: 5,
    };
    fabric.save(PATH, &state).unwrap();
    fabric.load(PATH, &mut state).unwrap();
    fabric
        .save(
            PATH,
            &was::State {
                net: was::Inner { old: 7 },
            },
        )
        .unwrap();
    let report = fabric.load(PATH, &mut state).unwrap_err();
    assert_eq!(report.report().unwrap().missing, ["old"]);
    assert_eq!(report.report().unwrap().restored, ["model.step"]);
}

#[test]
fn a_name_that_a_rank_gives_its_value_is_refused_beside_the_field() {
    #[derive(Checkpoint)]
    struct Renamed {
        #[checkpoint(per_rank)]
        pos: u64,
        #[checkpoint(rename = "pos@0")]
        other: u64,
    }
    #[derive(Checkpoint)]
    struct Keyed {
        #[checkpoint(per_rank, alias = "place")]
        pos: u64,
        #[checkpoint(flatten)]
        others: BTreeMap<String, Tensor>,
    }
    let keyed = |key: &str| Keyed {
        pos: 1,
        others: BTreeMap::from([(key.to_owned(), tensor(1, 2))]),
    };
    let fabric = fabric();
    let is_it =
        |error: &Error| matches!(error, Error::State(StateError::RankedName { per_rank, .. }) if per_rank == "pos");
    let error = fabric.save(PATH, &Renamed { pos: 1, other: 2 }).unwrap_err();
    assert!(is_it(&error), "{error}");
    for key in ["pos@0", "pos@17", "place@3"] {
        let error = fabric.save(PATH, &keyed(key)).unwrap_err();
        assert!(is_it(&error), "{key}: {error}");
    }
    for key in ["pos@", "pos@x", "pos@03", "pos@+3", "pos@-1", "m@0"] {
        let mut state = keyed(key);
        fabric.save(PATH, &state).unwrap();
        let loaded = fabric.load(PATH, &mut state).unwrap();
        assert!(loaded.remainder.is_empty() && loaded.report.is_complete(), "{key}");
    }
}

#[test]
fn a_map_of_values_is_one_value_also_beside_entries_that_are_called_like_its_parts() {
    #[derive(Checkpoint)]
    struct State {
        m: BTreeMap<String, f64>,
        #[checkpoint(flatten)]
        others: BTreeMap<String, Tensor>,
    }
    let fabric = fabric();
    let values = BTreeMap::from([("a".to_owned(), 1.5), ("x".to_owned(), 2.5)]);
    let mut state = State {
        m: values.clone(),
        others: BTreeMap::from([("m.x".to_owned(), tensor(1, 2))]),
    };
    fabric.save(PATH, &state).unwrap();
    state.m.clear();
    let loaded = fabric.load(PATH, &mut state).unwrap();
    assert_eq!(state.m, values);
    assert!(loaded.remainder.is_empty());
}
