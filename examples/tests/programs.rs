//! Runs each program's main path, as a user would.

use std::path::PathBuf;
use std::process::Command;

/// Runs a program in a temporary directory of its own; returns what it printed.
fn run(program: &str, arguments: &[PathBuf]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .env("TMPDIR", directory.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    printed
}

/// The word that follows `title` at the start of a line.
fn field<'p>(printed: &'p str, title: &str) -> &'p str {
    let line = printed.lines().find_map(|line| line.trim_start().strip_prefix(title));
    line.and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no line starts with {title:?} in\n{printed}"))
}

#[test]
fn a_killed_run_resumes_and_ends_with_the_weights_of_an_uninterrupted_one() {
    let printed = run(env!("CARGO_BIN_EXE_train"), &[]);
    assert!(
        printed.contains("restored: hparams, iteration, model (6), optimizer"),
        "{printed}"
    );
    assert!(printed.contains("remained: nothing"), "{printed}");
    let uninterrupted = field(&printed, "uninterrupted");
    assert_eq!(field(&printed, "killed and resumed"), uninterrupted);
    assert_ne!(field(&printed, "cold optimizer"), uninterrupted);
    assert!(
        printed.contains("equals the uninterrupted one, bit for bit"),
        "{printed}"
    );
}

#[test]
fn a_run_in_a_directory_can_be_started_again_and_its_checkpoint_serves_inference() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [directory.path().to_path_buf()];
    run(env!("CARGO_BIN_EXE_train"), &arguments);
    let printed = run(env!("CARGO_BIN_EXE_train"), &arguments);
    assert!(printed.contains("goes on at iteration 3000 of 3000"), "{printed}");

    let printed = run(env!("CARGO_BIN_EXE_inference"), &[directory.path().join("last.ckpt")]);
    assert!(printed.contains("restored: model (6)"), "{printed}");
    assert!(printed.contains("not read: hparams, iteration, optimizer"), "{printed}");
    assert!(printed.contains("agree on every wine"), "{printed}");
}

#[test]
fn the_trainer_resumes_from_its_latest_checkpoint_and_keeps_the_last_three() {
    let printed = run(env!("CARGO_BIN_EXE_trainer"), &[]);
    assert!(printed.contains("stopped after step 100"), "{printed}");
    assert!(printed.contains("resumes after step 90"), "{printed}");
    let kept = printed.lines().find_map(|line| line.strip_prefix("kept: ")).unwrap();
    assert_eq!(kept.split(", ").count(), 3, "{printed}");
    assert!(printed.contains("best: step"), "{printed}");
}

#[test]
fn a_fine_tuned_model_is_put_together_from_two_checkpoints() {
    let printed = run(env!("CARGO_BIN_EXE_finetune"), &[]);
    assert!(
        printed.contains("restored: model.fc1.bias, model.fc1.weight, model.fc2.bias, model.fc2.weight\n"),
        "{printed}"
    );
    assert!(printed.contains("left as it is: model.head.weight"), "{printed}");
    assert!(
        printed.contains("left out by a filter when the file was saved: 4 entries"),
        "{printed}"
    );
    assert_eq!(
        field(&printed, "weights: fine-tuned").trim_end_matches(','),
        printed.trim_end().rsplit(' ').next().unwrap()
    );
}

#[test]
fn inference_trains_a_checkpoint_if_none_is_given() {
    let printed = run(env!("CARGO_BIN_EXE_inference"), &[]);
    assert!(printed.contains("not read: best, history, optimizer"), "{printed}");
    assert!(printed.contains("agree on every wine"), "{printed}");
}

#[test]
fn inference_on_nothing_fails() {
    let output = Command::new(env!("CARGO_BIN_EXE_inference"))
        .arg("no/such.ckpt")
        .output()
        .unwrap();
    assert!(!output.status.success());
}
