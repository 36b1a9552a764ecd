//! Trainings that are killed, or asked to end, at any instant: each one ends as the uninterrupted one does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fabric_core::Fabric;

use super::rounds;

const STEPS: u64 = 300;

fn training(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_run-tool"));
    command.arg(directory).arg(STEPS.to_string()).stdout(Stdio::piped());
    command
}

/// The number in the line that begins with this word.
fn number(said: &str, word: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix(word))?;
    line.trim().parse().ok()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// The bits of the weight in the last checkpoint.
fn result(directory: &Path) -> Vec<u64> {
    let raw = Fabric::new().open(directory.join("step-000000300.ckpt")).unwrap();
    let weight = raw.tensor("weight", &candle_core::Device::Cpu).unwrap();
    weight.to_vec1::<f64>().unwrap().into_iter().map(f64::to_bits).collect()
}

fn uninterrupted(directory: &Path) -> Vec<u64> {
    let output = training(directory).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        (number(&said, "resumed"), number(&said, "ended")),
        (Some(0), Some(STEPS))
    );
    assert_eq!(
        names(directory),
        [
            "step-000000100.ckpt",
            "step-000000200.ckpt",
            "step-000000290.ckpt",
            "step-000000300.ckpt"
        ]
    );
    result(directory)
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn newest(directory: &Path) -> Option<PathBuf> {
    names(directory)
        .into_iter()
        .rfind(|name| !name.contains("damaged"))
        .map(|name| directory.join(name))
}

#[test]
fn a_training_that_is_killed_or_asked_to_end_at_any_instant_ends_as_the_uninterrupted_one() {
    let whole = tempfile::tempdir().unwrap();
    let expected = uninterrupted(whole.path());
    let mut faults = 0;
    for round in 0..rounds(3) {
        let directory = tempfile::tempdir().unwrap();
        // The instants of the faults differ from round to round, and each is a whole number of milliseconds.
        for at in 0.. {
            let wait = Duration::from_millis(30 + (u64::try_from(round).unwrap() * 37 + at * 53) % 190);
            let mut child = training(directory.path()).spawn().unwrap();
            let begun = Instant::now();
            while begun.elapsed() < wait && child.try_wait().unwrap().is_none() {
                sleep(Duration::from_millis(1));
            }
            let was_running = child.try_wait().unwrap().is_none();
            let asks = at % 2 == 0;
            if was_running && asks {
                let id = child.id().to_string();
                assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
            } else if was_running {
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() {
                let ended = number(&said, "ended").unwrap();
                let last = newest(directory.path()).unwrap();
                assert!(last.ends_with(format!("step-{ended:09}.ckpt")), "{last:?} after {said}");
                if ended == STEPS {
                    break;
                }
            }
            faults += 1;
            // The newest checkpoint is damaged now and then, if another one is there.
            if at % 5 == 4 && names(directory.path()).len() > 1 {
                flip(&newest(directory.path()).unwrap());
            }
        }
        assert_eq!(result(directory.path()), expected);
    }
    assert!(faults > 0, "no training was disturbed");
}

#[test]
fn signals_that_come_together_end_the_training_once_with_its_last_step_saved() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = training(directory.path()).spawn().unwrap();
    let id = child.id().to_string();
    while newest(directory.path()).is_none() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before its first checkpoint"
        );
        sleep(Duration::from_millis(1));
    }
    for signal in ["-TERM", "-INT", "-USR1", "-INT", "-TERM"] {
        // The process may have ended since.
        let _ = Command::new("kill")
            .args([signal, &id])
            .stderr(Stdio::null())
            .status()
            .unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let ended = number(&String::from_utf8_lossy(&output.stdout), "ended").unwrap();
    assert!(ended < STEPS);
    assert!(
        newest(directory.path())
            .unwrap()
            .ends_with(format!("step-{ended:09}.ckpt"))
    );
}
