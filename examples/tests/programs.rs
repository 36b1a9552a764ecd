//! Runs each program's main path, as a user would.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a program that keeps its files in a directory of its own; returns what it printed.
fn run(program: &str, arguments: &[PathBuf]) -> String {
    run_in(tempfile::tempdir().unwrap().path(), program, arguments)
}

fn run_in(directory: &Path, program: &str, arguments: &[PathBuf]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("TMPDIR", directory)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);
    printed
}

/// The rest of the line that starts with `title`.
fn line<'p>(printed: &'p str, title: &str) -> &'p str {
    let rest = printed.lines().find_map(|line| line.trim_start().strip_prefix(title));
    rest.unwrap_or_else(|| panic!("no line starts with {title:?} in\n{printed}"))
        .trim()
}

#[test]
fn a_killed_run_resumes_and_ends_with_the_weights_of_an_uninterrupted_one() {
    let directory = tempfile::tempdir().unwrap();
    let printed = run_in(directory.path(), env!("CARGO_BIN_EXE_train"), &[]);
    let components = "hparams, iteration, model (6), optimizer (20), validation_losses";
    assert_eq!(line(&printed, "restored:"), components);
    assert_eq!(line(&printed, "remained:"), "nothing");
    let uninterrupted = line(&printed, "uninterrupted ");
    assert_eq!(line(&printed, "killed and resumed"), uninterrupted);
    assert_ne!(line(&printed, "cold optimizer"), uninterrupted);
    line(&printed, "The resumed run equals the uninterrupted one, bit for bit");

    let root = Path::new(line(&printed, "checkpoints in "));
    let mut files = names(&root.join("stopped"));
    files.sort();
    assert_eq!(
        files,
        ["start.ckpt", "step-000002750.ckpt", "step-000003000.ckpt"],
        "the killed process left something behind"
    );
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

#[test]
fn a_gpt_that_is_killed_three_times_ends_with_the_losses_of_one_that_nobody_stopped() {
    let printed = run(env!("CARGO_BIN_EXE_gpt"), &[]);
    line(&printed, "resumed after step");
    line(
        &printed,
        "All 40 losses are equal, and so is every entry of the last checkpoints",
    );
    assert_eq!(printed.matches("it writes: the river ").count(), 2, "{printed}");
}

#[test]
fn a_run_in_a_directory_can_be_started_again_and_its_checkpoint_serves_inference() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [directory.path().to_path_buf()];
    run(env!("CARGO_BIN_EXE_train"), &arguments);
    let printed = run(env!("CARGO_BIN_EXE_train"), &arguments);
    line(&printed, "goes on at iteration 3000 of 3000");

    let printed = run(
        env!("CARGO_BIN_EXE_inference"),
        &[directory.path().join("step-000003000.ckpt")],
    );
    assert_eq!(line(&printed, "restored:"), "model (6)");
    assert_eq!(
        line(&printed, "not read:"),
        "hparams, iteration, optimizer (20), validation_losses"
    );
    line(
        &printed,
        "the model built from the file and the one restored in place agree",
    );
}

#[test]
fn the_trainer_resumes_from_its_latest_checkpoint_and_keeps_the_last_three() {
    let printed = run(env!("CARGO_BIN_EXE_trainer"), &[]);
    line(&printed, "stopped after step 100");
    line(&printed, "resumes after step 100");
    let kept = line(&printed, "kept:").split(", ").count();
    // The last three, and the best, which may be one of them.
    assert!((3..=4).contains(&kept), "{printed}");
    line(&printed, "best: step");
}

#[test]
fn the_trainer_tells_where_the_time_of_its_saves_and_loads_goes_if_it_is_asked() {
    let errors = |log: Option<&str>| {
        let directory = tempfile::tempdir().unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_trainer"));
        program.env("TMPDIR", directory.path()).env_remove("RUST_LOG");
        let output = program.envs(log.map(|log| ("RUST_LOG", log))).output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(errors(None), "", "no terminal, no bars");
    let told = errors(Some("fabric=debug"));
    let saved = told.lines().find(|line| line.contains("saved"));
    let saved = saved.unwrap_or_else(|| panic!("no save in\n{told}"));
    for field in [
        "path=",
        "bytes=",
        "plan_ms=",
        "snapshot_ms=",
        "write_ms=",
        "sync_ms=",
        "commit_ms=",
        "total_ms=",
    ] {
        assert!(saved.contains(field), "{field} is not in {saved}");
    }
    let loaded = told
        .lines()
        .any(|line| line.contains("loaded") && line.contains("read_ms="));
    assert!(loaded, "{told}");
}

#[test]
fn a_fine_tuned_model_is_put_together_from_two_checkpoints() {
    let printed = run(env!("CARGO_BIN_EXE_finetune"), &[]);
    let backbone = "model.fc1.bias, model.fc1.weight, model.fc2.bias, model.fc2.weight";
    assert_eq!(line(&printed, "restored:"), backbone);
    assert_eq!(
        line(&printed, "left as it is: model.head.weight:"),
        "shape [6, 64] in the file, [2, 64] in the state (skipped)"
    );
    assert!(line(&printed, "11 entries; left out:").ends_with(backbone), "{printed}");
    assert!(
        printed.contains("left out by a filter when the file was saved: 4 entries"),
        "{printed}"
    );
    let weights = line(&printed, "weights: fine-tuned ");
    let (tuned, assembled) = weights.split_once(", put together ").unwrap();
    assert_eq!(tuned, assembled);
}

#[test]
fn inference_trains_a_checkpoint_if_none_is_given() {
    let printed = run(env!("CARGO_BIN_EXE_inference"), &[]);
    assert_eq!(line(&printed, "not read:"), "best, history, optimizer (20), step");
    line(
        &printed,
        "the model built from the file and the one restored in place agree",
    );
}

#[test]
fn inference_on_nothing_fails_with_a_sentence() {
    let output = Command::new(env!("CARGO_BIN_EXE_inference"))
        .arg("no/such.ckpt")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.starts_with("error: no checkpoint at no/such.ckpt"), "{errors}");
}

#[test]
fn a_model_in_parts_goes_on_with_fewer_ranks_and_the_losses_of_a_whole_one() {
    let printed = run(env!("CARGO_BIN_EXE_tensor_parallel"), &[]);
    line(&printed, "the last rank dies after iteration 25");
    line(&printed, "iterations 20 to 40 on 2 ranks");
    line(&printed, "iterations 40 to 60 on 1 ranks");
    line(&printed, "iterations 0 to 60 on 1 ranks");
    line(&printed, "They differ by at most");
}

#[test]
fn an_optimizer_in_parts_goes_on_with_fewer_ranks_and_is_loaded_by_a_plain_program() {
    let printed = run(env!("CARGO_BIN_EXE_zero"), &[]);
    line(&printed, "iterations 0 to 100 on 4 ranks; rank 0 holds 852 moments");
    line(&printed, "iterations 100 to 200 on 3 ranks; rank 0 holds 1122 moments");
    line(&printed, "iterations 200 to 300 on 1 ranks; rank 0 holds 3276 moments");
    line(&printed, "The weights differ by at most");
}
