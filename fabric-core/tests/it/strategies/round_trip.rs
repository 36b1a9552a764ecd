//! What any world saved, any other loads.

use std::collections::BTreeMap;

use candle_core::Device;
use fabric_core::Strategy;
use fabric_core::testing::Memory;

use super::world::{State, alone, run};

/// All tensors of a save, read at once and without a state.
fn every_tensor(storage: &Memory) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let raw = alone(storage).open("run/last").expect("a checkpoint");
    let tensors = raw.tensors(&Device::Cpu).expect("every tensor");
    let numbers = tensors.into_iter().map(|(name, tensor)| {
        let numbers = tensor.flatten_all().and_then(|flat| flat.to_vec1());
        (name, (tensor.dims().to_vec(), numbers.expect("floats")))
    });
    numbers.collect()
}

/// The same of what one process saves.
fn every_tensor_of_one() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let storage = Memory::new();
    let fabric = alone(&storage);
    fabric.save("run/last", &State::new(&fabric, 7)).expect("saved");
    every_tensor(&storage)
}

/// Strategies with their numbers of ranks.
fn worlds() -> Vec<(Strategy, usize)> {
    vec![
        (Strategy::single_device(), 1),
        (Strategy::ddp(), 3),
        (Strategy::fsdp(), 1),
        (Strategy::fsdp(), 2),
        (Strategy::fsdp(), 4),
        (Strategy::fsdp(), 12),
        (Strategy::mesh([("tp", 3), ("dp", 1), ("fsdp", 1)]), 3),
        (Strategy::mesh([("dp", 2), ("tp", 2), ("fsdp", 1)]), 4),
        (Strategy::mesh([("tp", 2), ("dp", 3), ("fsdp", 1)]), 6),
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
        assert_eq!(
            every_tensor(&storage),
            every_tensor_of_one(),
            "{from:?} on {from_ranks}"
        );
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
