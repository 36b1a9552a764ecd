//! `ckpt prune`.

use std::path::Path;

use fabric_core::Fabric;
use fabric_core::run::{self, Run};
use serde_json::{Value, json};

use crate::runs::{a_run, flip};
use crate::support::run;

fn steps(directory: &Path) -> Vec<u64> {
    let listing = run::list(&Fabric::new(), directory).expect("a run");
    listing.checkpoints.iter().map(|one| one.step).collect()
}

const ALL: [(u64, f64); 5] = [(10, 0.1), (20, 0.2), (30, 0.3), (40, 0.4), (50, 0.5)];

#[test]
fn rules_keep_and_the_others_go() {
    for (rules, expected) in [
        (&["--keep-last", "3"][..], &[30, 40, 50][..]),
        (&["--keep-best", "loss"], &[10, 50]),
        (&["--keep-best", "loss:2"], &[10, 20, 50]),
        (&["--keep-highest", "loss:2"], &[40, 50]),
        (&["--keep-every", "20"], &[20, 40, 50]),
        (&["--keep-newer-than", "1h"], &[10, 20, 30, 40, 50]),
        (&["--keep-newer-than", "0s"], &[50]),
        (&["--keep-last", "2", "--keep-best", "loss"], &[10, 40, 50]),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let at = directory.path().join("gpt");
        a_run(&at, &ALL);
        let arguments = |mode| [&["prune", "gpt", mode][..], rules].concat();
        let dry = run(directory.path(), &arguments("--dry-run"));
        assert_eq!((dry.status, dry.error.as_str()), (0, ""));
        assert_eq!(steps(&at).len(), 5, "a dry run removes nothing");
        let said = run(directory.path(), &arguments("--yes"));
        assert_eq!(
            (said.status, steps(&at)),
            (0, expected.to_vec()),
            "{rules:?}: {}",
            said.error
        );
        assert_eq!(said.out.matches("goes ").count(), 5 - expected.len(), "{}", said.out);
        assert_eq!(dry.out.matches("goes ").count(), 5 - expected.len(), "{}", dry.out);
    }
}

#[test]
fn without_a_rule_or_with_a_wrong_one_nothing_is_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &ALL);
    for wrong in [
        &["--yes"][..],
        &["--keep-last", "x", "--yes"],
        &["--keep-every", "0", "--yes"],
        &["--keep-newer-than", "7", "--yes"],
        &["--keep-best", "loss:0", "--yes"],
        // Nobody can be asked.
        &["--keep-last", "1"],
        &["--keep-last", "1", "--json"],
    ] {
        let said = run(directory.path(), &[&["prune", "gpt"][..], wrong].concat());
        assert_eq!((said.status, said.out.as_str()), (64, ""), "{wrong:?}: {}", said.error);
    }
    let both = ["--keep-best", "loss", "--keep-highest", "loss", "--yes"];
    let said = run(directory.path(), &[&["prune", "gpt"][..], &both].concat());
    assert_eq!(said.status, 1);
    assert!(said.error.contains("lowest and for the highest"), "{}", said.error);
    assert_eq!(steps(&at).len(), 5);
}

#[test]
fn a_metric_that_no_checkpoint_has_is_named_and_nothing_is_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &ALL);
    for mode in ["--yes", "--dry-run"] {
        for rule in ["--keep-best", "--keep-highest"] {
            let said = run(directory.path(), &["prune", "gpt", rule, "los", mode]);
            assert_eq!((said.status, said.out.as_str()), (1, ""), "{rule} {mode}");
            assert_eq!(
                said.error.trim_end(),
                "ckpt: gpt: the run has no metric `los`; its metrics: loss"
            );
        }
    }
    assert_eq!(steps(&at).len(), 5);
}

#[test]
fn a_checkpoint_with_a_damaged_head_is_listed_and_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &ALL);
    let torn = at.join("step-000000020.ckpt");
    std::fs::write(&torn, "torn").expect("it is writable");
    for mode in ["--dry-run", "--yes"] {
        let said = run(
            directory.path(),
            &["prune", "gpt", "--keep-newer-than", "1h", mode, "--json"],
        );
        let document: Value = serde_json::from_str(&said.out).expect("JSON");
        let one = &document["checkpoints"][1];
        assert_eq!(
            (&one["step"], &one["stays"], &one["reasons"], &one["bytes"]),
            (&json!(20), &json!(true), &json!(["damaged"]), &json!(null)),
            "{document}"
        );
        assert_eq!(document["damaged"].as_array().map(Vec::len), Some(1), "{document}");
    }
    let said = run(directory.path(), &["prune", "gpt", "--keep-last", "1", "--yes"]);
    assert_eq!(said.out.matches("goes ").count(), 3, "{}", said.out);
    assert!(
        said.out.contains("stays   step 20                damaged"),
        "{}",
        said.out
    );
    assert!(said.out.contains("3 checkpoints"), "{}", said.out);
    assert!(torn.exists());
}

#[test]
fn a_run_that_a_training_holds_is_refused_with_a_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &ALL);
    let held = Run::at(&at).open(&Fabric::new()).expect("a run");
    let arguments = ["prune", "gpt", "--keep-last", "1"];
    let said = run(directory.path(), &[&arguments[..], &["--yes"]].concat());
    assert_eq!((said.status, said.out.as_str()), (1, ""));
    assert!(said.error.contains("already open"), "{}", said.error);
    assert_eq!(steps(&at).len(), 5);
    let dry = run(directory.path(), &[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(dry.status, 0, "a dry run takes no lock: {}", dry.error);
    drop(held);
}

#[test]
fn a_damaged_newest_checkpoint_costs_no_whole_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &ALL);
    flip(&at.join("step-000000050.ckpt"));
    let said = run(
        directory.path(),
        &["prune", "gpt", "--keep-last", "1", "--yes", "--json"],
    );
    assert_eq!(said.status, 0, "{}", said.error);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(
        document["damaged"][0]
            .as_str()
            .is_some_and(|said| said.contains("step-000000050.ckpt")),
        "{document}"
    );
    let removed: Vec<&Value> = document["checkpoints"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["removed"] == json!(true))
        .map(|one| &one["step"])
        .collect();
    assert_eq!(removed, [10, 20, 30]);
    assert_eq!(steps(&at), [40, 50]);
}

/// `ckpt` on a terminal, whose user types an answer. `None` where there is no program `script`, which makes the terminal.
#[cfg(target_os = "linux")]
fn typed(directory: &Path, arguments: &str, answer: &str) -> Option<String> {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let mut command = Command::new("script");
    let program = env!("CARGO_BIN_EXE_ckpt");
    command.args(["-qec", &format!("'{program}' --color never {arguments}"), "/dev/null"]);
    command
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = command.spawn().ok()?;
    let mut input = process.stdin.take().expect("a pipe");
    input.write_all(answer.as_bytes()).expect("it reads");
    let output = process.wait_with_output().expect("it ends");
    drop(input);
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_the_user_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("gpt");
    a_run(&at, &ALL);
    let arguments = "prune gpt --keep-last 3";
    let Some(said) = typed(directory.path(), arguments, "n\n") else {
        println!("not tested: there is no `script` here");
        return;
    };
    assert!(
        said.contains("remove 2 checkpoints? [y/N]") && said.contains("nothing was removed"),
        "{said}"
    );
    assert_eq!(steps(&at).len(), 5);
    let said = typed(directory.path(), arguments, "y\n").expect("as before");
    assert!(said.contains("removed 2 checkpoints"), "{said}");
    assert_eq!(steps(&at), [30, 40, 50]);
    let said = typed(directory.path(), arguments, "").expect("as before");
    assert!(said.contains("every checkpoint stays") && !said.contains('?'), "{said}");
}
