//! The same on many ranks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use fabric_core::group::ThreadGroup;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Error, Fabric, SaveOptions, Strategy, WhenBusy};
use testkit::world::{State, run};

use super::odd::Odd;

fn worlds() -> Vec<(Strategy, usize)> {
    vec![
        (Strategy::ddp(), 3),
        (Strategy::fsdp(), 2),
        (Strategy::fsdp(), 5),
        (Strategy::mesh([("dp", 2), ("tp", 2), ("fsdp", 1)]), 4),
    ]
}

fn overwrite(state: &State) {
    for tensor in [
        &state.column,
        &state.row,
        &state.both,
        &state.rows,
        &state.whole,
        &state.scalar,
    ] {
        if tensor.elem_count() > 0 {
            let zeros = Tensor::zeros(tensor.shape(), tensor.dtype(), tensor.device()).expect("memory");
            tensor.inplace_op2(&zeros, &Set).expect("it can be written");
        }
    }
}

struct Set;

impl candle_core::InplaceOp2 for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn cpu_fwd(
        &self,
        to: &mut candle_core::CpuStorage,
        _: &candle_core::Layout,
        from: &candle_core::CpuStorage,
        _: &candle_core::Layout,
    ) -> candle_core::Result<()> {
        *to = from.clone();
        Ok(())
    }
}

#[test]
fn every_strategy_saves_the_state_at_the_call() {
    for (strategy, ranks) in worlds() {
        let storage = Memory::new();
        run(&strategy, ranks, &storage, |fabric| {
            for turn in 0..5 {
                let state = State::new(fabric, turn);
                let saving = fabric.save_async(format!("run/{turn}"), &state).expect("started");
                overwrite(&state);
                if fabric.rank() % 2 == 0 {
                    saving.detach();
                } else {
                    saving.wait().expect("saved");
                }
            }
        });
        run(&strategy, ranks, &storage, |fabric| {
            for turn in 0..5 {
                let mut state = State::new(fabric, 900);
                fabric.load(format!("run/{turn}"), &mut state).expect("loaded");
                assert_eq!(state.contents(), State::new(fabric, turn).contents(), "{strategy:?}");
            }
        });
    }
}

#[test]
fn steps_of_the_background_do_not_mix_with_those_of_the_callers() {
    let storage = Memory::new();
    run(&Strategy::fsdp(), 3, &storage, |fabric| {
        for turn in 0..10 {
            let state = State::new(fabric, turn);
            let saving = fabric.save_async("run/async", &state).expect("started");
            fabric.save("run/plain", &state).expect("saved");
            let mut loaded = State::new(fabric, 900);
            fabric.load("run/async", &mut loaded).expect("loaded");
            assert_eq!(loaded.contents(), state.contents());
            saving.wait().expect("saved");
        }
    });
}

#[test]
fn all_ranks_skip_or_none_does() {
    for (strategy, ranks) in worlds() {
        let storage = Memory::new();
        let skipped = run(&strategy, ranks, &storage, |fabric| {
            let options = SaveOptions::new().when_busy(WhenBusy::Skip);
            let save = |turn| {
                let state = State::new(fabric, turn);
                let saving = fabric
                    .save_async_with("last", &state, options.clone())
                    .expect("no error");
                let skipped = saving.is_skipped();
                saving.detach();
                skipped
            };
            (0..30).map(save).collect::<Vec<_>>()
        });
        assert!(
            skipped.iter().all(|rank| *rank == skipped[0]),
            "{strategy:?}: {skipped:?}"
        );
        assert!(!skipped[0][0], "the first one is not");
    }
}

/// As `run`, on a storage that fails for the file of rank 1 while the switch is on.
fn run_failing(ranks: usize, rank: impl Fn(&Fabric, &AtomicBool) + Sync) -> Memory {
    let switch = Arc::new(AtomicBool::new(true));
    let on = Arc::clone(&switch);
    let storage = Odd::new(move |path| {
        let of_rank_1 = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains('1'));
        let in_generation = path.extension().is_some_and(|end| end == "safetensors");
        if on.load(Ordering::Relaxed) && of_rank_1 && in_generation {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    });
    std::thread::scope(|scope| {
        for group in ThreadGroup::new(ranks) {
            let builder = Fabric::builder().strategy(Strategy::fsdp()).process_group(group);
            let fabric = builder.storage(storage.clone()).build().expect("a world");
            let (rank, switch) = (&rank, &switch);
            scope.spawn(move || rank(&fabric, switch));
        }
    });
    storage.memory
}

#[test]
fn an_error_of_one_rank_reaches_all_and_one_that_not_all_waited_for_stops_all() {
    let memory = run_failing(3, |fabric, full| {
        let state = State::new(fabric, 1);
        let saving = fabric.save_async("run/last", &state).expect("started");
        if fabric.rank() == 2 {
            // Nobody waits here, so the next save of all ranks is told.
            drop(saving);
        } else {
            let error = saving.wait().expect_err("rank 1 has no room");
            match fabric.rank() {
                1 => assert!(matches!(error, Error::Io { .. }), "{error}"),
                _ => assert!(matches!(error, Error::Rank { rank: 1, .. }), "{error}"),
            }
        }
        full.store(false, Ordering::Relaxed);
        let error = fabric.save("run/last", &state).expect_err("rank 2 was not told");
        match fabric.rank() {
            2 => assert!(matches!(error, Error::Background { .. }), "{error}"),
            _ => assert!(matches!(error, Error::Rank { rank: 2, .. }), "{error}"),
        }
        fabric
            .save_async("run/last", &state)
            .expect("started")
            .wait()
            .expect("saved");
    });
    assert!(memory.kind("run/last".as_ref()).expect("it can be told").is_some());
}

#[test]
fn ranks_with_different_states_are_told_in_the_call() {
    run(&Strategy::ddp(), 2, &Memory::new(), |fabric| {
        let mut state = State::new(fabric, 1);
        state.iteration += fabric.rank() as u64;
        let error = fabric.save_async("last", &state).expect_err("another value");
        assert!(matches!(error, Error::Disagreement { rank: 1, .. }), "{error}");
    });
}
