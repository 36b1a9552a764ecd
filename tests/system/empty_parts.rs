//! Options that name a part of the state that holds nothing at present.

use std::collections::BTreeMap;

use candle_nn::Linear;
use fabric_core::{Checkpoint, Error, LoadOptions, SaveOptions, StateError};

use crate::states::{PATH, fabric, linear, refused};

mod before {
    use candle_nn::Linear;

    #[derive(fabric_core::Checkpoint)]
    pub(super) struct Net {
        pub(super) body: Linear,
        pub(super) old_head: Linear,
        pub(super) old_adapters: Vec<Linear>,
    }

    #[derive(fabric_core::Checkpoint)]
    pub(super) struct State {
        pub(super) net: Net,
        pub(super) old_average: Linear,
        pub(super) old_extras: Vec<Linear>,
    }

    pub(super) fn state() -> State {
        let layer = || crate::states::linear(1, 2, 2);
        State {
            net: Net {
                body: layer(),
                old_head: layer(),
                old_adapters: vec![layer()],
            },
            old_average: layer(),
            old_extras: vec![layer()],
        }
    }
}

#[derive(Checkpoint)]
struct Net {
    body: Linear,
    #[checkpoint(alias = "old_head")]
    head: Option<Linear>,
    #[checkpoint(alias = "old_adapters")]
    adapters: Vec<Linear>,
    note: Option<u64>,
}

#[derive(Checkpoint)]
struct State {
    #[checkpoint(alias = "net")]
    model: Net,
    #[checkpoint(alias = "old_average")]
    average: Option<Box<Net>>,
    #[checkpoint(alias = "old_extras")]
    extras: BTreeMap<u32, Linear>,
}

fn state() -> State {
    State {
        model: Net {
            body: linear(2, 2, 2),
            head: None,
            adapters: Vec::new(),
            note: None,
        },
        average: None,
        extras: BTreeMap::new(),
    }
}

#[test]
fn an_excluded_part_that_is_none_or_empty_is_excluded_under_its_older_names() {
    let fabric = fabric();
    fabric.save(PATH, &before::state()).unwrap();
    let options = LoadOptions::new()
        .exclude(State::FIELDS.model.then(Net::FIELDS.head))
        .exclude(State::FIELDS.model.then(Net::FIELDS.adapters))
        .exclude(State::FIELDS.average)
        .exclude(State::FIELDS.extras);
    let mut live = state();
    let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(
        loaded.report.restored,
        ["model.body.bias", "model.body.weight", "model.note"]
    );
    let rest = loaded.remainder;
    for part in ["net.old_head", "net.old_adapters.0", "old_average", "old_extras.0"] {
        assert!(rest.contains(&format!("{part}.weight")), "{part}: {:?}", rest.names());
    }
    let report = refused(&fabric, &mut live, LoadOptions::new());
    assert_eq!(report.unexpected.len(), 8, "{report}");
}

#[test]
fn a_part_below_one_that_is_none_is_excluded_by_its_handle() {
    let fabric = fabric();
    let mut saved = state();
    saved.average = Some(Box::new(state().model));
    fabric.save(PATH, &saved).unwrap();
    let average = State::FIELDS.average.some().boxed();
    let body = average.then(Net::FIELDS.body);
    let options = || LoadOptions::new().exclude(body);
    let loaded = fabric.load_with(PATH, &mut state(), options()).unwrap();
    assert!(loaded.remainder.contains("average.body.weight"));
    fabric
        .save_with(PATH, &state(), SaveOptions::new().exclude(body))
        .unwrap();
    // A text is not known to name a field.
    let error = fabric.load_with(PATH, &mut state(), LoadOptions::new().exclude("average.bdoy"));
    assert!(matches!(
        error.unwrap_err(),
        Error::State(StateError::NoSuchComponent { .. })
    ));
}

#[test]
fn a_save_excludes_and_filters_parts_that_hold_nothing_as_a_load_does() {
    let fabric = fabric();
    let model = State::FIELDS.model;
    let options = SaveOptions::new()
        .exclude(model.then(Net::FIELDS.head))
        .exclude(model.then(Net::FIELDS.adapters))
        .exclude(model.then(Net::FIELDS.note))
        .exclude("average")
        .filter(model.then(Net::FIELDS.head), |_, _| true)
        .filter(State::FIELDS.extras, |_, _| false);
    let report = fabric.save_with(PATH, &state(), options).unwrap();
    assert_eq!(report.entries, 2);
    assert!(report.filtered.is_empty(), "{:?}", report.filtered);
}

#[test]
fn a_nested_list_that_is_empty_is_named_once_if_the_file_has_items_of_it() {
    let fabric = fabric();
    let mut saved = state();
    saved.model.adapters = vec![linear(3, 2, 2), linear(4, 2, 2)];
    fabric.save(PATH, &saved).unwrap();
    let text = refused(&fabric, &mut state(), LoadOptions::new()).to_string();
    assert!(
        text.contains("`model.adapters` is empty in the state") && text.contains("4 entries"),
        "{text}"
    );
}
