//! The types that a state has beside tensors and modules: values, containers, keys of maps, borrows.

mod borrowed;
mod containers;
mod kept_forms;
mod keys;
mod refusals;
mod values;

use std::fmt::Debug;

use fabric_core::{Checkpoint, LoadOptions, MismatchKind};
use testkit::states::{PATH, fabric, image, mismatched, refused};

/// A state of one field.
#[derive(Checkpoint)]
struct One<T> {
    value: T,
}

/// Saves a value as the only field of a state, loads the file into a state with `live`, and returns the loaded value.
fn loaded<T: Checkpoint>(saved: T, live: T) -> T {
    let fabric = fabric();
    fabric.save(PATH, &One { value: saved }).unwrap();
    let mut live = One { value: live };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    live.value
}

/// Asserts that a value comes back where another one was, and that equal states give equal bytes.
#[track_caller]
fn comes_back<T: Checkpoint + PartialEq + Debug + Clone>(saved: &T, live: T) {
    assert_ne!(*saved, live, "the load would have nothing to change");
    let found = loaded(saved.clone(), live);
    assert_eq!(found, *saved);
    let [first, second] = [saved.clone(), found].map(|value| image(&One { value }));
    assert!(first == second, "equal states have files of other bytes: {saved:?}");
}

/// The names of the entries of a value in a field `value`.
fn names<T: Checkpoint>(value: T) -> Vec<String> {
    let fabric = fabric();
    fabric.save(PATH, &One { value }).unwrap();
    let file = fabric.open(PATH).unwrap();
    file.names().into_iter().map(str::to_owned).collect()
}

/// The text of the report about a stored value that is none of the type of `live`. The refused load changes nothing.
#[track_caller]
fn why_refused<S: Checkpoint, T: Checkpoint>(stored: S, live: T) -> String {
    let fabric = fabric();
    fabric.save(PATH, &One { value: stored }).unwrap();
    let report = refused(&fabric, &mut One { value: live }, LoadOptions::new());
    assert_eq!(mismatched(&report), [("value", MismatchKind::Type)]);
    report.to_string()
}

/// The text of the error of a save.
#[track_caller]
fn why_unsaved<T: Checkpoint>(value: T) -> String {
    let error = fabric().save(PATH, &One { value }).unwrap_err();
    assert!(matches!(error, fabric_core::Error::State(_)), "{error}");
    error.to_string()
}
