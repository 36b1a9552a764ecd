//! A saver is killed at any instant: the path names a complete checkpoint, no older than the last save that returned.

use std::path::Path;
use std::time::Duration;

use super::rounds;
use super::tool::{Writer, ask};

/// Saves for a while under each kind of layout, is killed, and is looked at.
fn killed_again_and_again(save: &str, writer: &str, load: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let elements = "300000";
    assert_eq!(ask(&[&save, &path, &elements, &"1"]), "ok 1");
    let mut last = 1;
    for round in 0..rounds(8) {
        let mut saver = Writer::start(&[&writer, &path, &elements, &(last + 1).to_string()]);
        std::thread::sleep(Duration::from_micros(15_000 + (round as u64 * 7_919) % 60_000));
        saver.kill();
        last = saver.last_reported().unwrap_or(last).max(last);
        let found = ask(&[&load, &path, &elements]);
        let iteration: u64 = found
            .strip_prefix("ok ")
            .unwrap_or_else(|| panic!("round {round}: {found}"))
            .parse()
            .unwrap();
        assert!(
            iteration >= last,
            "round {round}: iteration {last} was reported, and {iteration} is there"
        );
        last = iteration;
    }
    assert_eq!(ask(&[&save, &path, &elements, &"1"]), "ok 1");
    assert_eq!(
        names(directory.path()),
        ["last.ckpt"],
        "one more save sweeps what killed ones left"
    );
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_killed_saver_of_a_file_leaves_a_complete_checkpoint() {
    killed_again_and_again("save", "writer", "load");
}

/// The system keeps what a killed process wrote, also without a sync.
#[test]
fn a_killed_saver_that_does_not_sync_leaves_a_complete_checkpoint() {
    killed_again_and_again("save-relaxed", "writer-relaxed", "load");
}

#[test]
fn a_killed_saver_of_a_directory_leaves_a_complete_checkpoint() {
    killed_again_and_again("save-ranks", "writer-ranks", "load-ranks");
}
