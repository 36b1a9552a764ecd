//! Saves in the background, and how programs end that make them.

use std::path::Path;

use super::tool::{captured, run, said};

/// What the other tool says on both of its outputs.
fn ask(command: &str, directory: &Path) -> (String, String) {
    let output = run(&mut captured(
        env!("CARGO_BIN_EXE_background-tool"),
        &[&command, &directory],
    ));
    (said(&output), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_target_network_an_optimizer_and_saves_in_a_loop_do_not_stop() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(ask("target-network", directory.path()), ("ok".into(), String::new()));
}

#[test]
fn a_relative_path_means_what_it_meant_at_the_call() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(ask("relative", directory.path()), ("ok".into(), String::new()));
    let names = |name: &str| {
        let entries = std::fs::read_dir(directory.path().join(name)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("one"), ["run", "sharded", "whole.ckpt"]);
    assert_eq!(names("one/run"), ["1.ckpt", "5242880.ckpt"]);
    assert!(names("two").is_empty());
}

#[test]
fn a_program_that_waits_for_its_fabric_loses_no_save_however_it_ends() {
    for command in ["static", "exit"] {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            ask(command, directory.path()),
            ("ok".into(), String::new()),
            "{command}"
        );
        let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{command}: {names:?}");
        fabric_core::Fabric::new()
            .open(directory.path().join("last.ckpt"))
            .unwrap();
    }
}

#[test]
fn an_error_of_a_save_that_nobody_waited_for_is_printed_when_nobody_can_ask_any_more() {
    for command in ["untold", "untold-drop", "untold-handle"] {
        let directory = tempfile::tempdir().unwrap();
        let (said, error) = ask(command, directory.path());
        assert_eq!(said, "ok", "{command}");
        assert_eq!(error.lines().count(), 1, "{command}: {error}");
        assert!(
            error.contains("save in the background") && error.contains("x.ckpt"),
            "{command}: {error}"
        );
    }
}

#[test]
fn an_error_that_was_returned_or_traced_is_not_printed() {
    let directory = tempfile::tempdir().unwrap();
    let (said, error) = ask("untold-waited", directory.path());
    assert!(said.starts_with("error ") && said.contains("x.ckpt"), "{said}");
    assert_eq!(error, "");
    let (said, error) = ask("untold-traced", directory.path());
    assert_eq!(
        (said.as_str(), error.as_str()),
        ("ok", ""),
        "the subscriber writes to standard output"
    );
}
