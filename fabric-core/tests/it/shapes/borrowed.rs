//! Views that borrow parts of a state: a save takes any borrow, and a load needs `&mut`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::{Checkpoint, Error, LoadOptions, StateError};
use testkit::states::{Mlp, PATH, fabric, image, linear, tensor, weights};

use super::One;

#[derive(Checkpoint)]
struct Owner {
    model: Mlp,
    step: u64,
    tags: Vec<String>,
    losses: BTreeMap<u32, f64>,
}

fn owner(seed: u64) -> Owner {
    Owner {
        model: Mlp::new(seed),
        step: seed,
        tags: vec![format!("run {seed}")],
        losses: [(7, 0.5)].into(),
    }
}

#[derive(Checkpoint)]
struct View<'a> {
    model: &'a Mlp,
    step: &'a u64,
    tags: Vec<&'a str>,
    losses: BTreeMap<u32, &'a f64>,
}

fn view(owner: &Owner) -> View<'_> {
    View {
        model: &owner.model,
        step: &owner.step,
        tags: owner.tags.iter().map(String::as_str).collect(),
        losses: owner.losses.iter().map(|(key, loss)| (*key, loss)).collect(),
    }
}

/// The name and the text of the error of a load that must not change anything.
#[track_caller]
fn read_only<S: Checkpoint>(file: &impl Checkpoint, live: &mut S) -> (String, String) {
    let fabric = fabric();
    fabric.save(PATH, file).unwrap();
    let before = image(live);
    let error = fabric.load(PATH, live).unwrap_err();
    assert!(image(live) == before, "a refused load changed the state");
    match &error {
        Error::State(StateError::ReadOnly { name, .. }) => (name.clone(), error.to_string()),
        error => panic!("{error}"),
    }
}

#[test]
fn a_view_of_shared_borrows_is_saved_as_its_owner_is() {
    let owner = owner(1);
    let fabric = fabric();
    fabric.save(PATH, &view(&owner)).unwrap();
    let mut live = self::owner(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    assert!(image(&live) == image(&owner));
    assert_eq!(weights(&view(&owner)), weights(&owner));
}

#[test]
fn slices_texts_and_paths_are_saved_as_their_owners_are() {
    #[derive(Checkpoint)]
    struct Texts<'a> {
        text: &'a str,
        path: &'a Path,
        rates: &'a [f64],
        layers: &'a [Linear],
        pairs: (&'a str, Option<&'a u64>),
        words: Option<&'a [&'a str]>,
    }
    #[derive(Checkpoint)]
    struct Owned {
        text: String,
        path: std::path::PathBuf,
        rates: Vec<f64>,
        layers: Vec<Linear>,
        pairs: (String, Option<u64>),
        words: Option<Vec<String>>,
    }
    let fabric = fabric();
    let layers = [linear(1, 2, 2), linear(2, 2, 2)];
    let texts = Texts {
        text: "a",
        path: Path::new("b/c"),
        rates: &[0.5, 0.25],
        layers: &layers,
        pairs: ("d", Some(&7)),
        words: Some(&["e", "f"]),
    };
    fabric.save(PATH, &texts).unwrap();
    let mut live = Owned {
        text: String::new(),
        path: "x".into(),
        rates: vec![],
        layers: vec![linear(8, 2, 2), linear(9, 2, 2)],
        pairs: (String::new(), None),
        words: None,
    };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    assert_eq!((&*live.text, &*live.path), ("a", Path::new("b/c")));
    assert_eq!(
        (&live.rates[..], weights(&live.layers)),
        (&[0.5, 0.25][..], weights(&layers))
    );
    assert_eq!(live.pairs, ("d".to_owned(), Some(7)));
    assert_eq!(live.words, Some(vec!["e".to_owned(), "f".to_owned()]));
}

#[test]
fn a_load_into_a_shared_borrow_is_refused_by_name_before_anything_changes() {
    let (saved, live) = (owner(1), owner(2));
    let (name, why) = read_only(&saved, &mut view(&live));
    assert_eq!(name, "model");
    assert!(why.contains("entry `model`"), "{why}");
    assert!(why.contains("shared borrow, which cannot be written through"), "{why}");
    assert!(why.contains("load into its owner") && why.contains("`&mut`"), "{why}");
}

#[test]
fn a_shared_borrow_is_refused_wherever_it_is() {
    #[derive(Checkpoint)]
    struct Mixed<'a> {
        model: &'a mut Mlp,
        counters: (u64, &'a u64),
    }
    let mut mlp = Mlp::new(2);
    let mut mixed = Mixed {
        model: &mut mlp,
        counters: (1, &2),
    };
    let saved = One { value: 1u64 };
    assert_eq!(read_only(&saved, &mut mixed).0, "counters");
    let layer = linear(1, 2, 2);
    assert_eq!(
        read_only(
            &saved,
            &mut One {
                value: vec![Some(&layer)]
            }
        )
        .0,
        "value.0"
    );
    assert_eq!(read_only(&saved, &mut One { value: vec!["a"] }).0, "value");
    assert_eq!(read_only(&saved, &mut One { value: None::<&u64> }).0, "value");
    assert_eq!(read_only(&saved, &mut One { value: &[1u8][..] }).0, "value");
    assert_eq!(
        read_only(
            &saved,
            &mut One {
                value: Box::new(&layer)
            }
        )
        .0,
        "value"
    );
    assert_eq!(
        read_only(
            &saved,
            &mut One {
                value: (tensor(1, 1), &layer)
            }
        )
        .0,
        "value.1"
    );
    assert_eq!(
        read_only(
            &saved,
            &mut One {
                value: [("a".to_owned(), "b")]
            }
        )
        .0,
        "value"
    );
    let whole = read_only(&saved, &mut &layer);
    assert!(
        whole.0.is_empty() && whole.1.contains("the state is behind a shared borrow"),
        "{whole:?}"
    );
}

#[test]
fn a_text_that_is_borrowed_as_mut_is_refused() {
    let mut text = "abc".to_owned();
    let (name, why) = read_only(
        &One { value: 1u64 },
        &mut One {
            value: text.as_mut_str(),
        },
    );
    assert!(name == "value" && why.contains("is a borrowed text"), "{why}");
}

#[test]
fn a_shared_borrow_is_refused_also_if_the_load_asks_for_another_field() {
    let fabric = fabric();
    fabric.save(PATH, &owner(1)).unwrap();
    let live = owner(2);
    let options = LoadOptions::new().only(View::FIELDS.model);
    let error = fabric.load_with(PATH, &mut view(&live), options).unwrap_err();
    assert!(matches!(error, Error::State(StateError::ReadOnly { .. })), "{error}");
}

#[test]
fn a_hand_written_part_beside_a_shared_borrow_gets_the_message_about_the_borrow() {
    struct Hand<'a>(&'a u64);
    impl Checkpoint for Hand<'_> {
        fn visit<'a>(&'a self, entries: &mut fabric_core::Visitor<'a>) {
            entries.value("count", &self.0);
        }
        fn visit_mut<'a>(&'a mut self, entries: &mut fabric_core::VisitorMut<'a>) {
            entries.value("count", &mut self.0);
        }
    }
    assert_eq!(
        read_only(&One { value: 1u64 }, &mut One { value: Hand(&7) }).0,
        "value.count"
    );
}

#[test]
fn a_borrowed_value_is_replaced_by_an_owned_one_and_a_borrowed_component_is_refused() {
    let fabric = fabric();
    fabric.save(PATH, &One { value: "saved" }).unwrap();
    let mut live = One {
        value: Cow::Borrowed("live"),
    };
    fabric.load(PATH, &mut live).unwrap();
    assert!(matches!(&live.value, Cow::Owned(text) if text == "saved"));
    let borrowed = linear(9, 2, 2);
    let mut layer = One {
        value: Cow::Borrowed(&borrowed),
    };
    let saved = One { value: linear(1, 2, 2) };
    assert_eq!(read_only(&saved, &mut layer).0, "value");
    assert_eq!(weights(&borrowed), weights(&linear(9, 2, 2)));
    let mut layer = One {
        value: Cow::<Linear>::Owned(borrowed),
    };
    fabric.save(PATH, &saved).unwrap();
    fabric.load(PATH, &mut layer).unwrap();
    assert_eq!(weights(&layer), weights(&saved));
}

#[test]
fn what_a_lock_holds_is_saved_and_loaded_through_a_view_of_its_guard() {
    #[derive(Checkpoint)]
    struct Locked<'a> {
        model: &'a mut Linear,
        buffer: &'a mut Tensor,
        step: &'a mut u64,
    }
    let (model, buffer, step) = (
        Arc::new(Mutex::new(linear(1, 2, 2))),
        std::sync::RwLock::new(tensor(2, 3)),
        RefCell::new(7u64),
    );
    let fabric = fabric();
    let (mut model, mut buffer, mut step) = (model.lock().unwrap(), buffer.write().unwrap(), step.borrow_mut());
    let mut state = Locked {
        model: &mut model,
        buffer: &mut buffer,
        step: &mut step,
    };
    fabric.save(PATH, &state).unwrap();
    *state.step = 0;
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(*step, 7);
}
