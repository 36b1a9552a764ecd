//! Two processes save to one path, and are killed at any instant: a complete checkpoint is there, and no lock stays.

use std::path::Path;
use std::time::Duration;

use super::rounds;
use super::tool::{Writer, ask};

const ELEMENTS: &str = "100000";

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn found(load: &str, path: &Path, when: &str) -> u64 {
    let said = ask(&[&load, &path, &ELEMENTS]);
    let iteration = said.strip_prefix("ok ").unwrap_or_else(|| panic!("{when}: {said}"));
    iteration.parse().unwrap()
}

/// Starts two savers again and again, lets them save for a while, and kills both. A busy machine may give them no time to save: so
/// there is a checkpoint before they start.
fn two_savers(path: &Path, writers: [&str; 2], save: &str, load: &str) {
    assert_eq!(ask(&[&save, &path, &ELEMENTS, &"1"]), "ok 1");
    for round in 0..rounds(8) {
        let first = (round as u64 + 1) * 1_000_000;
        let start = |number: usize| {
            let iteration = first + number as u64 * 500_000;
            Writer::start(&[&writers[number], &path, &ELEMENTS, &iteration.to_string()])
        };
        let mut savers = [start(0), start(1)];
        std::thread::sleep(Duration::from_micros(80_000 + (round as u64 * 7_919) % 60_000));
        savers.iter_mut().for_each(Writer::kill);
        let reported = savers.iter().filter_map(Writer::last_reported).count();
        let when = format!("round {round} of {writers:?}");
        let iteration = found(load, path, &when);
        assert!(
            reported == 0 || iteration >= first,
            "{when}: {iteration} is of an earlier round"
        );
    }
}

#[test]
fn two_savers_of_one_directory_that_are_killed_leave_a_complete_checkpoint_and_no_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    two_savers(&path, ["writer-ranks", "writer-ranks"], "save-ranks", "load-ranks");
    assert_eq!(ask(&[&"save-ranks", &path, &ELEMENTS, &"7"]), "ok 7");
    assert_eq!(names(directory.path()), ["last.ckpt"]);
    let inside = names(&path);
    assert_eq!(inside.len(), 2, "the manifest and one generation: {inside:?}");
    assert_eq!(found("load-ranks", &path, "at the end"), 7);
}

#[test]
fn two_savers_of_one_file_that_are_killed_leave_a_complete_checkpoint_and_no_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    two_savers(&path, ["writer", "writer"], "save", "load");
    assert_eq!(ask(&[&"save", &path, &ELEMENTS, &"7"]), "ok 7");
    assert_eq!(names(directory.path()), ["last.ckpt"]);
}

/// A directory saver whose directory a file takes the place of is told so; its next save succeeds.
#[test]
fn a_saver_of_files_and_one_of_directories_that_are_killed_leave_a_complete_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    assert_eq!(ask(&[&"save", &path, &ELEMENTS, &"1"]), "ok 1");
    for round in 0..rounds(8) {
        let mut savers = ["writer", "writer-ranks"].map(|writer| Writer::start(&[&writer, &path, &ELEMENTS, &"1"]));
        std::thread::sleep(Duration::from_micros(80_000 + (round as u64 * 7_919) % 60_000));
        savers.iter_mut().for_each(Writer::kill);
        found("load", &path, &format!("round {round}"));
    }
    assert_eq!(ask(&[&"save", &path, &ELEMENTS, &"7"]), "ok 7");
    assert_eq!(names(directory.path()), ["last.ckpt"]);
    assert_eq!(found("load", &path, "at the end"), 7);
}
