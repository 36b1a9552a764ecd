//! What any world saved, any other loads.

use fabric_core::Strategy;
use fabric_core::storage::Memory;

use super::world::{State, run};

/// Strategies with their numbers of ranks.
fn worlds() -> Vec<(Strategy, usize)> {
    vec![
        (Strategy::single_device(), 1),
        (Strategy::ddp(), 3),
        (Strategy::fsdp(), 1),
        (Strategy::fsdp(), 2),
        (Strategy::fsdp(), 4),
        (Strategy::fsdp(), 12),
        (Strategy::mesh([("tp", 3)]), 3),
        (Strategy::mesh([("dp", 2), ("tp", 2)]), 4),
        (Strategy::mesh([("tp", 2), ("dp", 3)]), 6),
        (Strategy::mesh([("dp", 2), ("fsdp", 2), ("tp", 2)]), 8),
    ]
}

#[test]
fn every_world_loads_what_every_other_saved() {
    for (from, from_ranks) in worlds() {
        let storage = Memory::new();
        run(&from, from_ranks, &storage, |fabric| {
            fabric.save("run/last", &State::new(fabric, 7)).expect("saved");
        });
        for (to, to_ranks) in worlds() {
            run(&to, to_ranks, &storage, |fabric| {
                let mut state = State::new(fabric, 900);
                let loaded = fabric.load("run/last", &mut state).unwrap_or_else(|error| {
                    panic!(
                        "{from:?} on {from_ranks} to {to:?} on {to_ranks}, rank {}: {error}",
                        fabric.rank()
                    )
                });
                assert!(loaded.remainder.is_empty());
                assert_eq!(
                    state.contents(),
                    State::new(fabric, 7).contents(),
                    "{from:?} on {from_ranks} to {to:?} on {to_ranks}, rank {}",
                    fabric.rank()
                );
            });
        }
    }
}
