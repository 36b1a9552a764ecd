//! Checkpoints change their layout without a state.

use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, Strategy};

use super::world::{State, run};

fn alone(storage: &Memory) -> Fabric {
    Fabric::builder().storage(storage.clone()).build().expect("one device")
}

fn strategies() -> Vec<(Strategy, usize)> {
    vec![
        (Strategy::single_device(), 1),
        (Strategy::fsdp().ranks(3), 3),
        (Strategy::mesh([("dp", 2), ("tp", 3), ("fsdp", 1)]), 6),
        (Strategy::mesh([("tp", 2), ("fsdp", 2), ("dp", 1)]), 4),
    ]
}

#[test]
fn every_layout_becomes_every_other_and_nothing_is_lost() {
    for (from, ranks) in strategies() {
        let storage = Memory::new();
        run(&from, ranks, &storage, |fabric| {
            fabric.save("a", &State::new(fabric, 3)).expect("saved");
        });
        for (to, to_ranks) in strategies() {
            let report = alone(&storage).reshard("a", "b", to.clone()).expect("resharded");
            assert_eq!(report.entries, 7);
            run(&to, to_ranks, &storage, |fabric| {
                let mut state = State::new(fabric, 500);
                let loaded = fabric.load("b", &mut state).expect("loaded");
                assert!(loaded.remainder.is_empty());
                assert_eq!(state.contents(), State::new(fabric, 3).contents(), "{from:?} to {to:?}");
            });
        }
    }
}

#[test]
fn a_consolidated_checkpoint_is_the_file_that_one_process_saves() {
    let storage = Memory::new();
    run(&Strategy::fsdp(), 4, &storage, |fabric| {
        fabric.save("shards", &State::new(fabric, 3)).expect("saved");
    });
    let fabric = alone(&storage);
    fabric.save("saved", &State::new(&fabric, 3)).expect("saved");
    fabric.consolidate("shards", "joined").expect("joined");
    let bytes = |path: &str| {
        let file = storage.open(path.as_ref()).expect("there");
        let mut bytes = vec![0; usize::try_from(file.len().expect("known")).expect("small")];
        file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    };
    assert_eq!(bytes("joined"), bytes("saved"));
}

#[test]
fn a_strategy_without_its_number_of_ranks_is_asked_for_it() {
    let storage = Memory::new();
    let fabric = alone(&storage);
    fabric.save("a", &State::new(&fabric, 3)).expect("saved");
    let error = fabric.reshard("a", "b", Strategy::fsdp()).expect_err("no number");
    assert!(error.to_string().contains(".ranks(n)"), "{error}");
    assert_eq!(storage.kind("b".as_ref()).expect("told"), None);
}

#[derive(Checkpoint)]
struct Positions {
    #[checkpoint(per_rank)]
    position: u64,
}

#[test]
fn values_of_ranks_keep_their_ranks() {
    let storage = Memory::new();
    run(&Strategy::fsdp(), 3, &storage, |fabric| {
        let position = 10 + fabric.rank() as u64;
        fabric.save("a", &Positions { position }).expect("saved");
    });
    let fabric = alone(&storage);
    fabric.consolidate("a", "one").expect("joined");
    fabric.reshard("one", "b", Strategy::fsdp().ranks(2)).expect("split");
    let raw = fabric.open("b").expect("opened");
    assert_eq!(raw.names(), ["position@0", "position@1", "position@2"]);
    run(&Strategy::fsdp(), 2, &storage, |fabric| {
        let mut state = Positions { position: 0 };
        let loaded = fabric.load("b", &mut state).expect("loaded");
        assert_eq!(state.position, 10 + fabric.rank() as u64);
        assert_eq!(loaded.remainder.names(), ["position@2"]);
    });
}
