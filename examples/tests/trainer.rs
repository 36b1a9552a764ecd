//! What the trainer promises to those who copy it.

use std::fs;
use std::path::Path;

use candle_core::Device;
use fabric_core::Fabric;
use fabric_examples::quality::Quality;
use fabric_examples::trainer::{Callback, Checkpoints, Flow, RunState, Task, Trainer};
use fabric_examples::{Result, digest};

struct StopAfter(u64);

impl Callback<Quality> for StopAfter {
    fn on_step_end(&mut self, state: &RunState<Quality>, _: f32) -> Result<Flow> {
        Ok(if state.step == self.0 {
            Flow::Stop
        } else {
            Flow::Continue
        })
    }
}

/// A task whose weights are those of the file `start`, which the first call makes.
fn task(start: &Path) -> Quality {
    let mut task = Quality::new(&Device::Cpu).unwrap();
    if start.exists() {
        Fabric::new().load(start, &mut task).unwrap();
    } else {
        Fabric::new().save(start, &task).unwrap();
    }
    task
}

fn checkpoints(directory: &Path) -> Checkpoints {
    Checkpoints::open(&Fabric::new(), directory, 10, 2).unwrap()
}

fn names(checkpoints: &Checkpoints) -> Vec<String> {
    let kept = checkpoints.kept().unwrap();
    kept.iter()
        .map(|one| one.path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_run_stopped_in_the_middle_of_an_epoch_ends_as_one_that_was_not() {
    let directory = tempfile::tempdir().unwrap();
    let start = directory.path().join("start.ckpt");
    let straight = Trainer::new(3, checkpoints(&directory.path().join("straight")))
        .fit(task(&start))
        .unwrap();

    let stopped = directory.path().join("stopped");
    Trainer::new(3, checkpoints(&stopped))
        .with(StopAfter(33))
        .fit(task(&start))
        .unwrap();
    let resumed = Trainer::new(3, checkpoints(&stopped))
        .fit(Quality::new(&Device::Cpu).unwrap())
        .unwrap();

    assert_eq!(resumed.step, straight.step);
    assert_eq!(resumed.history, straight.history);
    assert_eq!(
        digest(&resumed.task.model).unwrap(),
        digest(&straight.task.model).unwrap()
    );
}

#[test]
fn only_the_last_checkpoints_and_the_best_are_kept_and_other_files_stay() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("step-notes.ckpt");
    fs::write(&other, "mine").unwrap();
    let task = task(&directory.path().join("start.ckpt"));
    let mut trainer = Trainer::new(9, checkpoints(directory.path())).with(StopAfter(50));
    trainer.fit(task).unwrap();
    let names = names(trainer.checkpoints());
    let best = trainer.checkpoints().best().unwrap();
    assert!(names.ends_with(&["step-000000050.ckpt".to_owned()]), "{names:?}");
    assert!((2..=3).contains(&names.len()), "{names:?}");
    assert!(other.exists() && best.exists());
}

#[test]
fn the_best_checkpoint_holds_the_lowest_metric_of_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let task = task(&directory.path().join("start.ckpt"));
    let mut trainer = Trainer::new(4, checkpoints(directory.path()));
    let state = trainer.fit(task).unwrap();
    let lowest = state.history.iter().copied().fold(f32::INFINITY, f32::min);

    let mut best = Quality::new(&Device::Cpu).unwrap();
    let loaded = Fabric::new()
        .load(trainer.checkpoints().best().unwrap(), &mut best)
        .unwrap();
    assert_eq!(
        loaded.remainder.value::<f32>("best").unwrap().to_bits(),
        lowest.to_bits()
    );
    assert_eq!(best.validate().unwrap().to_bits(), lowest.to_bits());
}

#[test]
fn a_damaged_latest_checkpoint_gives_way_to_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let task = task(&directory.path().join("start.ckpt"));
    let mut trainer = Trainer::new(9, checkpoints(directory.path())).with(StopAfter(20));
    let state = trainer.fit(task).unwrap();
    let kept = trainer.checkpoints().kept().unwrap();
    drop(trainer);
    let [.., before, latest] = &kept[..] else {
        panic!("{kept:?}");
    };
    let mut bytes = fs::read(&latest.path).unwrap();
    // The last byte is of a tensor; the middle one may be padding.
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&latest.path, bytes).unwrap();

    let mut resumed = RunState::new(Quality::new(&Device::Cpu).unwrap()).unwrap();
    let mut checkpoints = checkpoints(directory.path());
    assert!(checkpoints.resume(&mut resumed).unwrap().is_some());
    assert_eq!((state.step, resumed.step), (20, before.step));

    for one in &kept {
        fs::write(&one.path, "").unwrap();
    }
    assert!(checkpoints.resume(&mut resumed).is_err());
    assert_eq!(resumed.step, before.step);
}
