//! The rules by which checkpoints stay, and the answers about them.

use std::path::Path;
use std::time::Duration;

use fabric_core::run::{Builder, Every, Keep, Metric};
use fabric_core::storage::Storage;
use fabric_core::{Durability, Error, SaveOptions, WhenBusy};

use super::{AT, State, fabric, latest, opened, read, save, steps, with};

#[test]
fn without_a_rule_every_checkpoint_stays() {
    let (_memory, run) = with(&[1, 2, 3, 40], |run| run);
    assert_eq!(steps(&run), [1, 2, 3, 40]);
}

#[test]
fn a_checkpoint_stays_if_any_rule_keeps_it() {
    let all: Vec<u64> = (1..=12).map(|n| n * 10).collect();
    for (keep, expected) in [
        (Keep::last(3), vec![100, 110, 120]),
        // The newest one always stays.
        (Keep::last(0), vec![120]),
        (Keep::last(1).every(50), vec![50, 100, 120]),
        (Keep::last(1).every(25), vec![30, 50, 80, 100, 120]),
        (Keep::last(1).best(2, Metric::highest("loss")), vec![10, 20, 120]),
        (Keep::last(1).best(2, Metric::lowest("loss")), vec![110, 120]),
        (Keep::last(1).best(2, Metric::lowest("unknown")), vec![120]),
        (Keep::last(1).newer_than(Duration::from_secs(3600)), all.clone()),
        (Keep::last(1).newer_than(Duration::MAX), all.clone()),
        (Keep::last(1).newer_than(Duration::ZERO), vec![120]),
        (Keep::all(), all.clone()),
    ] {
        let (_memory, run) = with(&all, |run| run.keep(keep.clone()));
        assert_eq!(steps(&run), expected, "{keep:?}");
    }
}

#[test]
fn a_metric_that_is_no_number_is_never_best() {
    let (_memory, mut run) = with(&[], |run| run.keep(Keep::last(1).best(1, Metric::lowest("loss"))));
    for (step, loss) in [(1, 0.5), (2, f64::NAN), (3, f64::INFINITY), (4, f64::NAN)] {
        run.save(step, &State::new(step), &[("loss", loss)]).expect("saved");
    }
    assert_eq!(steps(&run), [1, 4]);
    let best = run.best("loss").expect("a rule").expect("a checkpoint");
    assert_eq!((best.step, best.metrics["loss"]), (1, 0.5));
    assert!(matches!(run.best("accuracy"), Err(Error::Options(_))));
}

#[test]
fn rules_that_contradict_each_other_are_refused() {
    let memory = fabric_core::testing::Memory::new();
    for keep in [
        Keep::last(1).every(0),
        Keep::last(1)
            .best(1, Metric::lowest("loss"))
            .best(1, Metric::highest("loss")),
    ] {
        let opened = fabric_core::run::Run::at(AT).keep(keep).open(&super::fabric(&memory));
        assert!(matches!(opened, Err(Error::Options(_))));
    }
}

#[test]
fn names_sort_by_step_and_a_plain_load_takes_them() {
    let (memory, run) = with(&[9, 10, 1_000], |run| run);
    let names = memory.list(Path::new(AT)).expect("a directory");
    assert_eq!(
        names,
        [
            ".run.lock",
            "step-000000009.ckpt",
            "step-000000010.ckpt",
            "step-000001000.ckpt"
        ]
    );
    let mut state = State::new(0);
    super::fabric(&memory)
        .load(latest(&run).path, &mut state)
        .expect("a checkpoint");
    state.assert_is(1_000);
    drop(run);
    assert_eq!(memory.list(Path::new(AT)).expect("a directory").len(), 3);
}

#[test]
fn a_save_in_the_background_has_removed_what_is_to_go_when_the_run_has_waited() {
    let (_memory, mut run) = with(&[], |run| run.keep(Keep::last(2)));
    for step in 1..=5 {
        run.save_async(step, &State::new(step), &[]).expect("saved");
    }
    run.wait().expect("saved");
    assert_eq!(steps(&run), [4, 5]);
}

#[test]
fn checkpoints_are_listed_while_others_are_removed() {
    let (_memory, mut run) = with(&[], |run| run.keep(Keep::last(1)));
    for step in 1..=50 {
        run.save_async(step, &State::new(step), &[]).expect("saved");
        run.checkpoints().expect("those that are there");
    }
    run.wait().expect("saved");
    assert_eq!(steps(&run), [50]);
}

#[test]
fn a_save_is_due_when_a_multiple_lies_behind_the_last_one() {
    let (_memory, mut run) = with(&[], |run| run.save_every(Every::steps(10)));
    let due: Vec<u64> = (1..=35).filter(|&step| run.due(step)).collect();
    assert_eq!(due, (10..=35).collect::<Vec<_>>());
    save(&mut run, 12);
    let due: Vec<u64> = (13..=22).filter(|&step| run.due(step)).collect();
    assert_eq!(due, [20, 21, 22]);
    let (_memory, run) = with(&[], |run| run);
    assert!(!run.due(500));
    let (_memory, run) = with(&[], |run| run.save_every(Every::minutes(0)));
    assert!(run.due(1));
    let (_memory, run) = with(&[], |run| run.save_every(Every::minutes(10)));
    assert!(!run.due(1));
    let (_memory, run) = with(&[], |run| run.save_every(Every::when_idle()));
    assert!(run.due(1));
}

#[test]
fn metrics_are_logged_as_lines_of_json_behind_those_that_are_there() {
    let (memory, run) = with(&[1, 2], |run| run.log_metrics().keep(Keep::last(1)));
    drop(run);
    let mut run = opened(&memory, Builder::log_metrics);
    run.save(3, &State::new(3), &[("loss", f64::NAN)]).expect("saved");
    let text = String::from_utf8(read(&memory, Path::new(AT).join("metrics.jsonl"))).expect("text");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |at: usize| (lines[at]["step"].as_u64(), lines[at]["metrics"]["loss"].as_f64());
    assert_eq!(
        [of(0), of(1), of(2)],
        [(Some(1), Some(1.)), (Some(2), Some(0.5)), (Some(3), None)]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_machine_is_named_only_if_that_is_asked_for() {
    let (memory, run) = with(&[1], |run| run);
    assert_eq!(latest(&run).host, None);
    drop(run);
    let mut run = opened(&memory, Builder::host);
    save(&mut run, 2);
    // The code for other systems knows no call that always tells it.
    let is_told = std::env::var_os("FABRIC_PORTABLE").is_none();
    let host = latest(&run).host;
    assert!(host.as_ref().map_or(!is_told, |host| !host.is_empty()), "{host:?}");
}

#[test]
fn a_save_takes_options_but_none_that_could_lose_what_it_replaces() {
    let (memory, mut run) = with(&[1], |run| run.keep(Keep::last(1)).save_every(Every::steps(1)));
    let relaxed = SaveOptions::new().durability(Durability::Relaxed);
    let refused = run.save_with(2, &State::new(2), &[], relaxed.clone());
    assert!(matches!(refused, Err(Error::Options(_))));
    assert!(run.save_async_with(2, &State::new(2), &[], relaxed).is_err());
    let saved = run.save_with(2, &State::new(2), &[], SaveOptions::new().exclude(State::FIELDS.step));
    assert_eq!(saved.expect("saved").entries, 1);
    assert_eq!(steps(&run), [2]);
    let names = fabric(&memory).open(latest(&run).path).expect("whole");
    assert_eq!(names.names(), ["weight"]);
    run.save_async_with(3, &State::new(3), &[], SaveOptions::new().when_busy(WhenBusy::Skip))
        .expect("saved");
    run.wait().expect("saved");
    assert!(!run.due(3));
}
