//! A run that is listed without its lock.

use std::path::Path;

use fabric_core::run::{self, Builder, Keep, Listing, Metric, Reason};
use fabric_core::storage::Storage;
use fabric_core::testing::{Counting, Memory};
use fabric_core::{Error, Strategy};
use testkit::files::{on, write};

use super::{AT, State, change, damage, fabric, latest, opened, save, with};

fn listed(memory: &Memory) -> Listing {
    run::list(&fabric(memory), AT).expect("a readable directory")
}

fn steps(listing: &Listing) -> Vec<u64> {
    listing.checkpoints.iter().map(|one| one.step).collect()
}

#[test]
fn a_run_that_a_training_holds_is_listed_without_its_lock() {
    let (memory, run) = with(&[1, 2, 4], |run| run);
    let before = memory.list(Path::new(AT)).expect("a directory");
    let listing = listed(&memory);
    assert_eq!(memory.list(Path::new(AT)).expect("a directory"), before);
    assert_eq!(steps(&listing), [1, 2, 4]);
    assert!(listing.has_lock && listing.is_run() && listing.log.is_empty());
    assert_eq!(listing.latest(), Some(&latest(&run)));
    let best = |metric| listing.best(&metric).map(|one| one.step);
    assert_eq!(best(Metric::lowest("loss")), Some(4));
    assert_eq!(best(Metric::highest("loss")), Some(1));
    assert_eq!(best(Metric::highest("accuracy")), None);
    drop(run);
    assert!(!listed(&memory).has_lock);
}

#[test]
fn a_damaged_checkpoint_is_listed_with_its_error_and_strangers_are_not() {
    let (memory, run) = with(&[1, 2, 3], |run| run);
    let newest = latest(&run);
    drop(run);
    change(&memory, &newest.path, |bytes| bytes.truncate(100));
    write(
        &memory,
        Path::new(AT).join("step-000000009.ckpt"),
        b"mine, and longer than a header",
    );
    fabric(&memory)
        .save(format!("{AT}/step-000000008.ckpt"), &State::new(8))
        .expect("a plain save");
    let listing = listed(&memory);
    assert_eq!(steps(&listing), [1, 2]);
    let damaged: Vec<_> = listing.damaged.iter().map(|one| (one.step, &one.path)).collect();
    assert!(damaged.contains(&(3, &newest.path)), "{damaged:?}");
    assert!(!damaged.iter().any(|(step, _)| *step == 8), "{damaged:?}");
    assert!(listing.damaged[0].error.to_string().contains("damaged"));
}

#[test]
fn nothing_there_is_an_error_and_a_directory_without_checkpoints_is_no_run() {
    let memory = Memory::new();
    let error = run::list(&fabric(&memory), "nowhere").expect_err("nothing is there");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    write(&memory, "data/notes.txt", b"mine");
    let listing = run::list(&fabric(&memory), "data").expect("a readable directory");
    assert!(!listing.is_run());
    assert!(run::list(&fabric(&memory), "data/notes.txt").is_err());
    // A run without a checkpoint yet has its lock.
    let _run = opened(&memory, |run| run);
    assert!(listed(&memory).is_run());
}

#[test]
fn the_curve_of_a_metric_has_the_values_of_checkpoints_that_are_gone() {
    let (memory, mut run) = with(&[1, 2, 4], |run| run.log_metrics().keep(Keep::last(1)));
    run.save(5, &State::new(5), &[("loss", f64::INFINITY), ("accuracy", 0.5)])
        .expect("saved");
    // The training went back to step 2: the last value of a step counts.
    run.save(4, &State::new(4), &[("loss", 0.125)]).expect("saved");
    let listing = listed(&memory);
    assert_eq!(steps(&listing), [4]);
    let curve: Vec<(u64, f64)> = listing.curve("loss").into_iter().collect();
    assert_eq!(curve[..3], [(1, 1.), (2, 0.5), (4, 0.125)]);
    assert!(curve[3].1.is_nan(), "JSON has no infinity");
    assert_eq!(listing.curve("accuracy").into_iter().collect::<Vec<_>>(), [(5, 0.5)]);
    drop(run);
    // Lines of another program are passed over.
    change(&memory, &Path::new(AT).join("metrics.jsonl"), |bytes| {
        bytes.extend(b"{\"step\":7}\nnonsense\n\xff\n{\"step\":8,\"time\":-1,\"metrics\":{}}\n");
    });
    assert_eq!(listed(&memory).log.len(), 5);
}

#[test]
fn the_decisions_name_the_rules_that_keep_a_checkpoint_and_remove_nothing() {
    let (memory, run) = with(&[10, 20, 30, 40], |run| run);
    let keep = Keep::last(2).best(1, Metric::highest("loss")).every(40);
    let decisions = listed(&memory).decide(&keep).expect("rules");
    let reasons: Vec<_> = decisions
        .iter()
        .map(|one| (one.checkpoint.step, one.reasons.clone()))
        .collect();
    assert_eq!(
        reasons,
        [
            (10, vec![Reason::Best(1, Metric::highest("loss"))]),
            (20, vec![]),
            (30, vec![Reason::Last(2)]),
            (40, vec![Reason::Newest, Reason::Last(2), Reason::Every(40)]),
        ]
    );
    assert_eq!(super::steps(&run), [10, 20, 30, 40]);
    assert!(matches!(
        listed(&memory).decide(&Keep::last(1).every(0)),
        Err(Error::Options(_))
    ));
}

#[test]
fn a_listing_reads_no_tensor() {
    let memory = Memory::new();
    let mut run = opened(&memory, |run| run);
    let long = candle_core::Var::zeros(100_000, candle_core::DType::F64, &candle_core::Device::Cpu).expect("memory");
    for step in 1..=10 {
        let state = State {
            weight: long.clone(),
            step,
        };
        run.save(step, &state, &[]).expect("saved");
    }
    let counting = Counting::new(memory);
    let listing = run::list(&on(counting.clone()), AT).expect("a run");
    assert_eq!(listing.checkpoints.len(), 10);
    for one in &listing.checkpoints {
        assert!(one.bytes > 800_000);
        let read = counting.bytes_read(&one.path);
        assert!(read < 4096, "{read} bytes were read");
    }
}

#[test]
fn directories_of_ranks_are_listed_as_files_are() {
    let memory = Memory::new();
    testkit::world::run(&Strategy::fsdp(), 3, &memory, |fabric| {
        let mut run = run::Run::at(AT).keep(Keep::last(2)).open(fabric).expect("a run");
        for step in 1..=3 {
            run.save(step, &State::new(step), &[("loss", 1.)]).expect("saved");
        }
        assert_eq!(steps(&run::list(fabric, AT).expect("a run")), [2, 3]);
    });
    let listing = listed(&memory);
    assert!(listing.checkpoints.iter().all(|one| one.bytes > 800));
}

#[test]
fn a_log_of_another_kind_is_passed_over() {
    let (memory, mut run) = with(&[1], Builder::log_metrics);
    save(&mut run, 2);
    drop(run);
    memory.remove_file(&Path::new(AT).join("metrics.jsonl")).expect("a log");
    write(&memory, Path::new(AT).join("metrics.jsonl/mine.txt"), b"mine");
    let listing = listed(&memory);
    assert_eq!((listing.log.len(), listing.checkpoints.len()), (0, 2));
    let damaged = latest(&opened(&memory, |run| run));
    damage(&memory, &damaged);
    assert_eq!(steps(&listed(&memory)), [1, 2], "no tensor is read");
}
