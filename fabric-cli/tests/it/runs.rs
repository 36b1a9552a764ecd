//! `ckpt runs`.

use std::fs;
use std::path::Path;

use fabric_core::Fabric;
use fabric_core::run::Run;
use serde_json::{Value, json};
use testkit::states::var;

use crate::support::{ckpt, run, said};

/// A run of one variable, with a checkpoint for each of these steps and losses.
pub(crate) fn a_run(directory: &Path, saves: &[(u64, f64)]) {
    let state = Weight {
        weight: var(1, 300_000),
    };
    let mut run = Run::at(directory).open(&Fabric::new()).expect("a run");
    for (step, loss) in saves {
        run.save(*step, &state, &[("loss", *loss)]).expect("a save");
    }
}

#[derive(fabric_core::Checkpoint)]
struct Weight {
    weight: candle_core::Var,
}

/// Flips a bit of the last tensor.
pub(crate) fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a checkpoint");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("it is writable");
}

#[test]
fn the_document_has_all_facts() {
    let directory = tempfile::tempdir().expect("a directory");
    a_run(
        &directory.path().join("gpt"),
        &[(500, 0.5), (1000, 0.25), (1500, f64::NAN)],
    );
    fs::write(directory.path().join("gpt/step-000002000.ckpt"), "torn").expect("it is writable");
    let said = run(directory.path(), &["runs", "gpt", "--json"]);
    assert_eq!(said.status, 1, "a head cannot be read: {}", said.error);
    let mut document: Value = serde_json::from_str(&said.out).expect("JSON");
    let at = document["directory"].take();
    assert!(at.as_str().is_some_and(|at| at.ends_with("gpt")), "{at}");
    let checkpoints = document["checkpoints"].as_array_mut().expect("a list");
    let torn = checkpoints.pop().expect("four");
    assert_eq!(
        (&torn["step"], &torn["health"], &torn["bytes"]),
        (&json!(2000), &json!("damaged"), &json!(null))
    );
    assert!(
        torn["error"]
            .as_str()
            .is_some_and(|error| error.contains("step-000002000.ckpt")),
        "{torn}"
    );
    for one in checkpoints.iter_mut() {
        assert!(one["time"].take().as_f64().is_some_and(|time| time > 1.6e9));
        assert!(one["bytes"].take().as_u64().is_some_and(|bytes| bytes > 1_200_000));
        assert!(
            one["path"]
                .take()
                .as_str()
                .is_some_and(|path| path.contains("gpt/step-"))
        );
    }
    let expected = |step: u64, loss: Value, newest: bool, best: bool| {
        json!({
            "step": step, "path": null, "time": null, "bytes": null, "metrics": {"loss": loss},
            "newest": newest, "best": best, "health": "unverified",
        })
    };
    assert_eq!(
        document,
        json!({
            "directory": null,
            "has_lock": false,
            "checkpoints": [
                expected(500, json!(0.5), false, false),
                expected(1000, json!(0.25), false, true),
                expected(1500, json!("NaN"), true, false),
            ],
            "curve": {"metric": "loss", "best_is": "lowest", "steps": [500, 1000, 1500], "values": [0.5, 0.25, "NaN"]},
        })
    );
}

#[test]
fn verify_tells_a_flipped_bit_and_ends_with_1() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &[(1, 3.), (2, 2.), (3, 1.)]);
    let said = run(directory.path(), &["runs", "gpt", "--verify"]);
    assert_eq!((said.status, said.out.matches("whole").count()), (0, 3), "{}", said.out);
    flip(&at.join("step-000000002.ckpt"));
    assert_eq!(run(directory.path(), &["runs", "gpt"]).status, 0, "no tensor is read");
    let said = run(directory.path(), &["runs", "gpt", "--verify"]);
    assert_eq!(said.status, 1);
    assert_eq!(said.out.matches("whole").count(), 2, "{}", said.out);
    assert!(
        said.out.contains("step-000000002.ckpt is damaged: entry `weight`"),
        "{}",
        said.out
    );
}

#[test]
fn a_damaged_checkpoint_is_neither_the_newest_nor_the_best() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &[(1, 3.), (2, 1.), (3, 2.), (4, 0.5)]);
    flip(&at.join("step-000000004.ckpt"));
    let said = run(directory.path(), &["runs", "gpt", "--verify", "--json"]);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    let marked = |key: &str| -> Vec<u64> {
        let all = document["checkpoints"].as_array().expect("a list").iter();
        all.filter(|one| one[key] == json!(true))
            .filter_map(|one| one["step"].as_u64())
            .collect()
    };
    assert_eq!((marked("newest"), marked("best")), (vec![3], vec![2]));
    assert_eq!(
        document["curve"]["steps"],
        json!([1, 2, 3, 4]),
        "its value was measured"
    );
}

#[test]
fn a_run_that_is_open_is_listed() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &[(1, 3.)]);
    let held = Run::at(&at).open(&Fabric::new()).expect("a run");
    let said = run(directory.path(), &["runs", "gpt"]);
    assert_eq!(said.status, 0, "{}", said.error);
    assert!(said.out.contains("open in a training"), "{}", said.out);
    drop(held);
    assert!(
        !run(directory.path(), &["runs", "gpt"])
            .out
            .contains("open in a training")
    );
}

#[test]
fn a_directory_that_is_no_run_is_named_in_one_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("notes.txt"), "mine").expect("it is writable");
    for (argument, sentence) in [
        (".", "no run"),
        ("notes.txt", "notes.txt"),
        ("nowhere", "no checkpoint at"),
    ] {
        for command in [
            &["runs", argument][..],
            &["prune", argument, "--keep-last", "1", "--dry-run"],
        ] {
            let said = run(directory.path(), command);
            assert_eq!((said.status, said.out.as_str()), (1, ""), "{command:?}");
            assert!(
                said.error.contains(sentence) && said.error.lines().count() == 1,
                "{}",
                said.error
            );
        }
    }
    let names: Vec<_> = fs::read_dir(directory.path()).expect("a directory").collect();
    assert_eq!(names.len(), 1, "nothing was made: {names:?}");
}

#[test]
fn the_curve_is_made_of_ascii_where_the_locale_is_not_utf_8_or_the_user_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    a_run(&directory.path().join("gpt"), &[(1, 3.), (2, 2.), (3, 1.)]);
    let drawn = |arguments: &[&str], locale: Option<&str>| {
        let mut command = ckpt(directory.path());
        command.args(["runs", "gpt", "--metric", "loss"]).args(arguments);
        command.envs(locale.map(|locale| ("LC_ALL", locale)));
        said(command.output().expect("ckpt starts")).out
    };
    assert!(!drawn(&[], None).is_ascii());
    assert!(!drawn(&[], Some("de_DE.UTF-8")).is_ascii());
    for ascii in [drawn(&["--ascii"], None), drawn(&[], Some("C"))] {
        assert!(ascii.is_ascii() && ascii.contains('*'), "{ascii}");
    }
    let unknown = run(directory.path(), &["runs", "gpt", "--metric", "accuracy"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.error.contains("its metrics: loss"), "{}", unknown.error);
}
