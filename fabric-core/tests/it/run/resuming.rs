//! The resume from the newest checkpoint that is whole.

use std::path::Path;

use fabric_core::run::{Keep, Run};
use fabric_core::storage::Storage;
use fabric_core::testing::Counting;
use fabric_core::{Checkpoint, Error, LoadOptions, Migrations, OnMismatch};
use testkit::files::on;

use super::{AT, State, change, damage, fabric, latest, opened, save, steps, with};

#[test]
fn a_run_without_checkpoints_resumes_nothing() {
    let (_memory, mut run) = with(&[], |run| run);
    assert!(run.resume(&mut State::new(0)).expect("no error").is_none());
}

#[test]
fn the_newest_checkpoint_is_restored_with_its_step_and_metrics() {
    let (memory, run) = with(&[1, 2, 4], |run| run);
    drop(run);
    let mut run = opened(&memory, |run| run);
    let mut state = State::new(0);
    let resumed = run.resume(&mut state).expect("whole").expect("a checkpoint");
    state.assert_is(4);
    assert_eq!((resumed.step, resumed.metrics["loss"]), (4, 0.25));
    assert!(resumed.skipped.is_empty() && resumed.report.is_complete() && resumed.remainder.is_empty());
    assert_eq!(resumed.path, latest(&run).path);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_stays_and_counts_for_no_rule() {
    for torn in [false, true] {
        let (memory, run) = with(&[1, 2, 3], |run| run);
        let newest = latest(&run);
        if torn {
            change(&memory, &newest.path, |bytes| bytes.truncate(100));
        } else {
            damage(&memory, &newest);
        }
        drop(run);
        let mut run = opened(&memory, |run| run.keep(Keep::last(2)));
        let mut state = State::new(0);
        let resumed = run
            .resume(&mut state)
            .expect("older ones are whole")
            .expect("a checkpoint");
        state.assert_is(2);
        assert_eq!(resumed.step, 2);
        let (path, error) = &resumed.skipped[0];
        assert_eq!(path, &newest.path);
        assert!(error.to_string().contains("is damaged"), "{error}");
        save(&mut run, 10);
        assert_eq!(steps(&run), [2, 10]);
        assert!(
            memory.kind(&newest.path).expect("readable").is_some(),
            "the damaged one is still there"
        );
        // Its step again: it is set aside.
        save(&mut run, 3);
        let mut state = State::new(0);
        fabric(&memory).load(&newest.path, &mut state).expect("whole again");
        state.assert_is(3);
        let aside = format!("{}.damaged", newest.path.display());
        assert!(memory.kind(Path::new(&aside)).expect("readable").is_some());
    }
}

#[test]
fn a_checkpoint_saved_after_a_damaged_one_is_the_latest_also_for_the_next_process() {
    let (memory, run) = with(&[1, 2, 9], |run| run);
    damage(&memory, &latest(&run));
    drop(run);
    let mut run = opened(&memory, |run| run);
    let resumed = run.resume(&mut State::new(0)).expect("older ones are whole");
    assert_eq!(resumed.expect("a checkpoint").step, 2);
    save(&mut run, 5);
    drop(run);
    let run = opened(&memory, |run| run);
    assert_eq!(latest(&run).step, 5);
}

#[test]
fn a_later_process_knows_of_a_damaged_checkpoint_and_neither_counts_nor_removes_it() {
    let (memory, run) = with(&[1, 2, 9], |run| run);
    let damaged = latest(&run);
    damage(&memory, &damaged);
    drop(run);
    let rules =
        |run: fabric_core::run::Builder| run.keep(Keep::last(1).best(1, fabric_core::run::Metric::lowest("loss")));
    let mut run = opened(&memory, rules);
    run.resume(&mut State::new(0)).expect("older ones are whole");
    save(&mut run, 5);
    drop(run);
    // Each process learns of it from the one before.
    for step in 6..9 {
        let mut run = opened(&memory, rules);
        let resumed = run.resume(&mut State::new(0)).expect("whole").expect("a checkpoint");
        assert_eq!((resumed.step, resumed.skipped.len()), (step - 1, 0));
        save(&mut run, step);
        assert_eq!(steps(&run), [step], "the lowest loss of all is that of the damaged one");
        assert!(memory.kind(&damaged.path).expect("readable").is_some());
        let listing = fabric_core::run::list(&fabric(&memory), AT).expect("a run");
        assert_eq!(listing.damaged[0].path, damaged.path);
    }
    // Its step is saved again, and is whole then.
    let mut run = opened(&memory, rules);
    save(&mut run, 9);
    assert_eq!(steps(&run), [9]);
    let aside = format!("{}.damaged", damaged.path.display());
    assert!(memory.kind(Path::new(&aside)).expect("readable").is_some());
}

#[test]
fn if_none_is_whole_that_is_an_error_and_the_last_one_changes_nothing() {
    let (memory, run) = with(&[1], |run| run);
    damage(&memory, &latest(&run));
    drop(run);
    let mut run = opened(&memory, |run| run);
    let mut state = State::new(7);
    match run.resume(&mut state).expect_err("nothing is whole") {
        Error::NoneWhole { damaged, .. } => assert_eq!(damaged.len(), 1),
        other => panic!("{other}"),
    }
    state.assert_is(7);
}

#[test]
fn a_load_that_may_leave_entries_as_they_are_is_verified_first() {
    #[derive(Checkpoint)]
    struct Less {
        weight: candle_core::Var,
    }
    let (memory, run) = with(&[1, 2], |run| run);
    damage(&memory, &latest(&run));
    drop(run);
    let mut run = opened(&memory, |run| run);
    let mut state = Less {
        weight: State::new(5).weight,
    };
    let resumed = run
        .resume_with(&mut state, LoadOptions::new().strict(false))
        .expect("whole")
        .expect("a checkpoint");
    assert_eq!(resumed.step, 1);
    assert!(
        matches!(resumed.skipped[0].1, Error::Checksum { .. }),
        "{:?}",
        resumed.skipped
    );
}

/// The rows that a file lacks are those of the program, and not of a damaged checkpoint; and so are entries that a recipe keeps.
#[test]
fn a_checkpoint_that_leaves_entries_as_they_are_is_verified_first() {
    #[derive(Checkpoint)]
    struct More {
        weight: candle_core::Var,
        step: u64,
        kept: candle_core::Var,
    }
    let keep = |m: &mut Migrations| {
        m.keep("kept");
    };
    for options in [
        LoadOptions::new().migrations(keep),
        LoadOptions::new().migrations(keep).on_mismatch(OnMismatch::Overlap),
    ] {
        let (memory, run) = with(&[1, 2], |run| run);
        damage(&memory, &latest(&run));
        drop(run);
        let mut run = opened(&memory, |run| run);
        let mut state = More {
            weight: State::new(5).weight,
            step: 5,
            kept: State::new(6).weight,
        };
        let resumed = run
            .resume_with(&mut state, options)
            .expect("whole")
            .expect("a checkpoint");
        assert_eq!((resumed.step, state.step), (1, 1));
        let error = &resumed.skipped[0].1;
        assert!(matches!(error, Error::Checksum { .. }), "{error:?}");
        let bits = |var: &candle_core::Var| testkit::states::bits(var.as_tensor());
        assert_eq!(bits(&state.weight), bits(&State::new(1).weight));
        assert_eq!(bits(&state.kept), bits(&State::new(6).weight));
    }
}

#[test]
fn a_mistake_of_the_program_is_no_damage() {
    #[derive(Checkpoint)]
    struct Other {
        weight: candle_core::Var,
        epoch: u64,
    }
    let (memory, run) = with(&[1, 2], |run| run);
    drop(run);
    let mut run = opened(&memory, |run| run);
    let mut state = Other {
        weight: State::new(5).weight,
        epoch: 3,
    };
    match run.resume(&mut state).expect_err("the state has another field") {
        Error::Mismatch(report) => assert!(report.origin.contains("step-000000002"), "{report}"),
        other => panic!("{other}"),
    }
}

#[test]
fn the_resume_follows_the_order_of_the_saves_and_not_the_steps() {
    let (memory, mut run) = with(&[10, 20, 30], |run| run);
    let mut state = State::new(0);
    fabric(&memory)
        .load(format!("{AT}/step-000000010.ckpt"), &mut state)
        .expect("whole");
    save(&mut run, 15);
    assert_eq!((latest(&run).step, steps(&run)), (15, vec![10, 15, 20, 30]));
    drop(run);
    let mut run = opened(&memory, |run| run.keep(Keep::last(2).every(10)));
    assert_eq!(run.resume(&mut state).expect("whole").expect("a checkpoint").step, 15);
    save(&mut run, 25);
    // The first one at or after 10 is 10, that after 20 is 25; 30 is of the branch that was left, and no other one is there yet.
    assert_eq!(steps(&run), [10, 15, 25, 30]);
    save(&mut run, 35);
    assert_eq!(steps(&run), [10, 25, 35]);
}

#[test]
fn each_byte_is_read_once() {
    let (memory, run) = with(&[1, 2, 3], |run| run);
    let path = latest(&run).path;
    drop(run);
    let counting = Counting::new(memory);
    let mut run = Run::at(AT).open(&on(counting.clone())).expect("a run");
    let mut state = State::new(0);
    run.resume(&mut state).expect("whole").expect("a checkpoint");
    let data = 100 * 8;
    let read = counting.bytes_read(&path);
    assert!(
        read >= data && read < 2 * data + 4096,
        "{read} bytes of {data} were read"
    );
}
