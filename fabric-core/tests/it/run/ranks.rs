//! Runs of several ranks: one answer for all.

use fabric_core::run::{Every, Keep, Run};
use fabric_core::testing::Memory;
use fabric_core::{Error, Strategy};
use testkit::world::run;

use super::{AT, State, damage, fabric, steps};

#[test]
fn all_ranks_resume_the_same_checkpoint_and_pass_over_the_damaged_one() {
    for strategy in [Strategy::ddp(), Strategy::fsdp()] {
        let memory = Memory::new();
        run(&strategy, 3, &memory, |fabric| {
            let mut run = Run::at(AT).keep(Keep::last(2)).open(fabric).expect("a run");
            for step in 1..=3 {
                run.save_async(step, &State::new(step), &[("loss", 1.)]).expect("saved");
            }
            run.wait().expect("saved");
            assert_eq!(steps(&run), [2, 3]);
            assert!(!run.due(1));
        });
        if strategy.layout() == fabric_core::Layout::OneFile {
            let newest = Run::at(AT)
                .open(&fabric(&memory))
                .expect("a run")
                .latest()
                .expect("readable");
            damage(&memory, &newest.expect("a checkpoint"));
        }
        let expected = if strategy.layout() == fabric_core::Layout::OneFile {
            2
        } else {
            3
        };
        run(&strategy, 3, &memory, |fabric| {
            let mut run = Run::at(AT)
                .save_every(Every::minutes(0))
                .stop_on_signals()
                .open(fabric)
                .expect("a run");
            let mut state = State::new(0);
            let resumed = run.resume(&mut state).expect("one is whole").expect("a checkpoint");
            assert_eq!(resumed.step, expected);
            state.assert_is(expected);
            assert!(run.due(4) && !run.stop_requested().expect("together"));
            run.save(4, &State::new(4), &[]).expect("saved");
        });
    }
}

#[test]
fn a_run_that_one_process_holds_is_refused_on_every_rank() {
    let memory = Memory::new();
    let held = Run::at(AT).open(&fabric(&memory)).expect("a run");
    run(&Strategy::ddp(), 2, &memory, |fabric| {
        let error = Run::at(AT).open(fabric).expect_err("it is held");
        match (fabric.rank(), error) {
            (0, Error::RunInUse { .. }) | (1, Error::Rank { rank: 0, .. }) => {}
            (rank, error) => panic!("rank {rank}: {error}"),
        }
    });
    drop(held);
}
