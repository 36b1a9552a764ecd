//! Trainings that are killed, asked to end, refused the room for a save, or find their newest checkpoint damaged: each one ends as
//! the uninterrupted one does.

mod training;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use fabric_core::run::{self, Keep, Run};
use fabric_core::{Error, Fabric};

use self::training::{Outcome, Training};
use super::power::on_a_file_system;
use super::rounds;

const STEPS: u64 = 300;

/// The steps between two saves of the training.
const INTERVAL: u64 = 10;

/// A disturbance of the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Ask,
    /// No file may be as long as a checkpoint.
    NoRoom,
}

const FAULTS: [Fault; 5] = [Fault::Ask, Fault::Kill, Fault::Kill, Fault::NoRoom, Fault::Ask];

/// The bits of the weight in the last checkpoint.
fn result(directory: &Path) -> Vec<u64> {
    let raw = Fabric::new().open(directory.join("step-000000300.ckpt")).unwrap();
    let weight = raw.tensor("weight", &candle_core::Device::Cpu).unwrap();
    weight.to_vec1::<f64>().unwrap().into_iter().map(f64::to_bits).collect()
}

/// The checkpoints whose every byte is whole, in the order of their saves.
fn whole(directory: &Path) -> Vec<(u64, PathBuf)> {
    let fabric = Fabric::new();
    let mut listed = run::list(&fabric, directory).unwrap().checkpoints;
    listed.sort_by_key(|one| one.time);
    listed.retain(|one| fabric.verify(&one.path).unwrap().is_whole());
    listed.into_iter().map(|one| (one.step, one.path)).collect()
}

fn is_whole(path: &Path) -> bool {
    Fabric::new().verify(path).is_ok_and(|report| report.is_whole())
}

fn uninterrupted(directory: &Path) -> Vec<u64> {
    let ended = Training::start(directory, "wait", None).end();
    assert_eq!((ended.resumed, ended.ended), (Some(0), Some(STEPS)), "{ended:?}");
    let steps: Vec<u64> = whole(directory).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [100, 200, 290, 300]);
    result(directory)
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Lists the run while the training goes on, and asks for its lock, for so long or until the training ends.
fn look_on(training: &mut Training, directory: &Path, wait: Duration) {
    let fabric = Fabric::new();
    while training.lasted() < wait && training.is_running() {
        run::list(&fabric, directory).expect("a run is listed at any instant");
        // Before it has said so, the training may not have the lock yet.
        if training.has_resumed() {
            match Run::at(directory).keep(Keep::last(1)).open(&fabric) {
                Err(Error::RunInUse { .. }) => {}
                Err(error) => panic!("{error}"),
                Ok(run) => {
                    drop(run);
                    training.assert_ends();
                }
            }
        }
        sleep(Duration::from_millis(1));
    }
}

/// A training with faults until it ends; returns their number.
fn campaign(directory: &Path, round: u64, mode: &str) -> usize {
    // A save in the background may be on its way when the next one is due.
    let most = if mode == "wait" { INTERVAL } else { 2 * INTERVAL };
    let (mut reached, mut exact, mut damaged) = (0, None, 0);
    let mut flipped = Vec::new();
    for at in 0.. {
        let fault = FAULTS[(usize::try_from(round).unwrap() + at) % FAULTS.len()];
        // The instants of the faults differ from round to round, and each is a whole number of milliseconds.
        let wait = Duration::from_millis(40 + (round * 37 + at as u64 * 53) % 190);
        let limit = (fault == Fault::NoRoom).then_some(4);
        let mut training = Training::start(directory, mode, limit);
        look_on(&mut training, directory, wait);
        match fault {
            Fault::Ask => training.signal("-TERM"),
            Fault::Kill => training.kill(),
            Fault::NoRoom => {}
        }
        let ended = training.end();
        if let Some(resumed) = ended.resumed {
            let lost = u64::saturating_sub(reached, resumed);
            assert!(
                lost < most + damaged * INTERVAL + 1,
                "{lost} steps are lost: {ended:?} after {reached}"
            );
            assert!(
                exact.is_none_or(|exact| exact == resumed),
                "{exact:?} was the last save: {ended:?}"
            );
            (reached, exact, damaged) = (ended.at.unwrap_or(resumed), None, 0);
        }
        if ended.is_done() {
            if ended.ended == Some(STEPS) {
                assert_rules_hold(directory, &flipped);
                return at;
            }
            exact = ended.ended;
        }
        assert!(fault != Fault::NoRoom || ended.error.is_some(), "{ended:?}");
        // The newest checkpoint is damaged now and then, if another one is close behind it.
        if let [.., (before, _), (newest, path)] = &whole(directory)[..]
            && at % 3 == 2
            && newest - before <= INTERVAL
        {
            flip(path);
            flipped.push(path.clone());
            (exact, damaged) = (None, 1);
        }
    }
    unreachable!("a training ends")
}

/// The rules hold of the whole checkpoints, and no damaged one was removed.
fn assert_rules_hold(directory: &Path, flipped: &[PathBuf]) {
    let steps: Vec<u64> = whole(directory).into_iter().map(|(step, _)| step).collect();
    assert!(
        steps.len() >= 4 && [100, 200, 300].iter().all(|step| steps.contains(step)) && steps.last() == Some(&STEPS),
        "{steps:?}"
    );
    for path in flipped {
        let aside = PathBuf::from(format!("{}.damaged", path.display()));
        assert!(
            path.exists() && !is_whole(path) || aside.exists(),
            "{} is gone",
            path.display()
        );
    }
}

#[test]
fn a_training_that_is_disturbed_at_any_instant_ends_as_the_uninterrupted_one() {
    let place = tempfile::tempdir().unwrap();
    let expected = uninterrupted(place.path());
    let mut faults = 0;
    for round in 0..rounds(4) {
        let directory = tempfile::tempdir().unwrap();
        let mode = ["wait", "background"][round % 2];
        faults += campaign(directory.path(), round as u64, mode);
        assert_eq!(result(directory.path()), expected);
    }
    println!("{faults} faults in {} trainings", rounds(4));
    assert!(faults > 0, "no training was disturbed");
}

#[test]
fn a_training_whose_disk_is_full_goes_on_when_there_is_room_again() {
    let place = tempfile::tempdir().unwrap();
    let expected = uninterrupted(place.path());
    on_a_file_system(16, |_, _, disk| {
        for round in 0..rounds(2) {
            let directory = disk.at.join(format!("run-{round}"));
            fs::create_dir(&directory).unwrap();
            let mode = ["wait", "background"][round % 2];
            let mut training = Training::start(&directory, mode, None);
            look_on(&mut training, &directory, Duration::from_millis(90));
            let filler = disk.at.join("filler");
            fill(&filler);
            let ended = training.end();
            let error = ended.error.as_deref().unwrap_or_else(|| panic!("it ended: {ended:?}"));
            assert!(error.contains("space"), "{error}");
            assert!(!whole(&directory).is_empty(), "{ended:?}");
            fs::remove_file(filler).unwrap();
            let again = Training::start(&directory, mode, None).end();
            let lost = ended.at.unwrap() - again.resumed.unwrap();
            assert!(lost <= 2 * INTERVAL, "{lost} steps are lost");
            assert_eq!((again.ended, result(&directory)), (Some(STEPS), expected.clone()));
            fs::remove_dir_all(&directory).unwrap();
        }
    });
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    for len in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![1; len]).is_ok() {}
        // Room is set aside for bytes that the system has not written yet.
        let _ = file.sync_all();
    }
}

#[test]
fn signals_that_come_together_end_the_training_once_with_its_last_step_saved() {
    let directory = tempfile::tempdir().unwrap();
    let mut training = Training::start(directory.path(), "background", None);
    while whole(directory.path()).is_empty() {
        assert!(training.is_running(), "it ended before its first checkpoint");
        sleep(Duration::from_millis(1));
    }
    for signal in ["-TERM", "-INT", "-USR1", "-INT", "-TERM"] {
        training.signal(signal);
    }
    let ended = training.end();
    let Outcome { ended: Some(step), .. } = ended else {
        panic!("{ended:?}");
    };
    assert!(ended.is_done() && step < STEPS);
    assert_eq!(whole(directory.path()).last().map(|(step, _)| *step), Some(step));
}

/// Sends a signal to a process, which may have ended since.
fn send(signal: &str, id: u32) {
    let mut kill = Command::new("kill");
    kill.args([signal, &id.to_string()]).stderr(Stdio::null());
    kill.status().expect("kill runs");
}
