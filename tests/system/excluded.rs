//! A load leaves the fields alone that it is told to.

use fabric_core::{Checkpoint, Error, LoadOptions, SaveOptions, StateError};

use crate::states::{Mlp, PATH, Train, fabric, image, linear, refused, weights};

#[test]
fn an_excluded_field_stays_as_it_is_and_its_entries_are_the_remainder() {
    let fabric = fabric();
    let mut saved = Train::new(1);
    saved.step();
    fabric.save(PATH, &saved).unwrap();
    let mut live = Train::new(5);
    let fresh = weights(&live.model);
    let options = LoadOptions::new().exclude(Train::FIELDS.model);
    let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(weights(&live.model), fresh);
    assert_eq!(live.iteration, saved.iteration);
    let restored = &loaded.report.restored;
    assert!(
        restored
            .iter()
            .any(|name| name.starts_with("optimizer.state.model.fc1.weight"))
    );
    assert!(restored.iter().all(|name| !name.starts_with("model.")));
    let remainder = loaded.remainder.names();
    assert_eq!(
        remainder,
        [
            "model.fc1.bias",
            "model.fc1.weight",
            "model.fc2.bias",
            "model.fc2.weight"
        ]
    );
}

#[test]
fn the_others_are_matched_strictly_as_before() {
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        step: u64,
        epoch: u64,
    }
    #[derive(Checkpoint)]
    struct Older {
        model: Mlp,
        step: u64,
    }
    let fabric = fabric();
    let older = Older {
        model: Mlp::new(1),
        step: 3,
    };
    fabric.save(PATH, &older).unwrap();
    let mut state = State {
        model: Mlp::new(2),
        step: 0,
        epoch: 4,
    };
    let report = refused(&fabric, &mut state, LoadOptions::new().exclude(State::FIELDS.model));
    assert_eq!(report.missing, ["epoch"]);
    let options = LoadOptions::new()
        .exclude(State::FIELDS.model)
        .exclude(State::FIELDS.epoch);
    fabric.load_with(PATH, &mut state, options).unwrap();
    assert_eq!((state.step, state.epoch), (3, 4));
}

#[test]
fn a_field_inside_of_a_restored_one_is_left_out_under_its_older_names_too() {
    mod was {
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct Net {
            pub(super) body: candle_nn::Linear,
            pub(super) head: candle_nn::Linear,
        }
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct State {
            pub(super) net: Net,
            pub(super) step: u64,
        }
    }
    #[derive(Checkpoint)]
    struct Net {
        body: candle_nn::Linear,
        head: candle_nn::Linear,
    }
    #[derive(Checkpoint)]
    struct State {
        #[checkpoint(alias = "net")]
        model: Net,
        step: u64,
    }
    let fabric = fabric();
    let net = was::Net {
        body: linear(1, 4, 4),
        // Another number of classes: no shape fits.
        head: linear(2, 4, 10),
    };
    fabric.save(PATH, &was::State { net, step: 3 }).unwrap();
    let model = Net {
        body: linear(3, 4, 4),
        head: linear(4, 4, 2),
    };
    let mut state = State { model, step: 0 };
    let head = State::FIELDS.model.then(Net::FIELDS.head);
    for options in [
        LoadOptions::new().exclude(head),
        LoadOptions::new().only(State::FIELDS.model).exclude(head),
    ] {
        let loaded = fabric.load_with(PATH, &mut state, options).unwrap();
        assert!(loaded.report.mismatched.is_empty() && loaded.report.unexpected.is_empty());
        assert!(loaded.remainder.contains("net.head.weight"));
        assert_eq!(image(&linear(1, 4, 4)), image(&state.model.body));
        assert_eq!(image(&linear(4, 4, 2)), image(&state.model.head));
    }
    assert_eq!(state.step, 3);
}

#[test]
fn a_field_that_the_state_does_not_hold_cannot_be_excluded() {
    #[derive(Checkpoint)]
    struct Other {
        nothing: u64,
    }
    let fabric = fabric();
    let mut state = Train::new(1);
    fabric.save(PATH, &state).unwrap();
    let error = fabric.load_with(PATH, &mut state, LoadOptions::new().exclude(Other::FIELDS.nothing));
    assert!(matches!(error.unwrap_err(), Error::State(StateError::Handle { .. })));
}

#[test]
fn a_value_of_another_type_is_left_out_by_the_call_that_the_message_names() {
    #[derive(Checkpoint)]
    struct Counters {
        seen: String,
        step: u64,
    }
    #[derive(Checkpoint)]
    struct Before {
        model: Mlp,
        iteration: String,
        counters: Counters,
    }
    #[derive(Checkpoint)]
    struct Inner {
        seen: u64,
        step: u64,
    }
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        #[checkpoint(rename = "iteration")]
        done: u64,
        counters: Inner,
    }
    let fabric = fabric();
    let saved = Before {
        model: Mlp::new(1),
        iteration: "seven".to_owned(),
        counters: Counters {
            seen: "many".to_owned(),
            step: 5,
        },
    };
    fabric.save(PATH, &saved).unwrap();
    let mut state = State {
        model: Mlp::new(2),
        done: 3,
        counters: Inner { seen: 4, step: 0 },
    };
    let text = refused(&fabric, &mut state, LoadOptions::new()).to_string();
    for (name, handle) in [
        ("iteration", "State::FIELDS.done"),
        ("counters", "State::FIELDS.counters"),
    ] {
        let sentence =
            format!("LoadOptions::new().exclude({handle}) leaves `{name}` as it is and restores everything else");
        assert!(text.contains(&sentence), "{text}");
    }
    let options = LoadOptions::new()
        .exclude(State::FIELDS.done)
        .exclude(State::FIELDS.counters);
    fabric.load_with(PATH, &mut state, options).unwrap();
    assert_eq!(weights(&state.model), weights(&saved.model));
    assert_eq!((state.done, state.counters.seen, state.counters.step), (3, 4, 0));
}

#[test]
fn options_that_leave_nothing_are_refused_at_the_save_and_at_the_load() {
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        step: u64,
    }
    let fabric = fabric();
    let mut state = State {
        model: Mlp::new(1),
        step: 3,
    };
    let nothing = SaveOptions::new()
        .exclude(State::FIELDS.model)
        .exclude(State::FIELDS.step);
    let error = fabric.save_with(PATH, &state, nothing).unwrap_err();
    assert!(matches!(error, Error::Options(_)), "{error}");
    assert!(
        error.to_string().contains("all 5 entries of the state are excluded"),
        "{error}"
    );
    fabric.save(PATH, &state).unwrap();
    for (options, says) in [
        (
            LoadOptions::new().only(State::FIELDS.step).exclude(State::FIELDS.step),
            "LoadOptions::only with LoadOptions::exclude leaves nothing",
        ),
        (
            LoadOptions::new()
                .exclude(State::FIELDS.model)
                .exclude(State::FIELDS.step),
            "LoadOptions::exclude leaves nothing",
        ),
    ] {
        for strict in [true, false] {
            let options = options.clone().strict(strict);
            let error = fabric.load_with(PATH, &mut state, options).unwrap_err();
            assert!(
                matches!(error, Error::Options(_)) && error.to_string().contains(says),
                "{error}"
            );
        }
    }
}

#[test]
fn a_call_that_would_restore_nothing_is_not_advised() {
    #[derive(Checkpoint)]
    struct Before {
        step: String,
    }
    #[derive(Checkpoint)]
    struct State {
        step: u64,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Before {
                step: "seven".to_owned(),
            },
        )
        .unwrap();
    let report = refused(&fabric, &mut State { step: 0 }, LoadOptions::new());
    assert!(!report.to_string().contains("exclude"), "{report}");
}
