//! Values that differ by rank: kept for each, given back to the same one, and accounted for in other worlds.

use candle_core::Tensor;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, Strategy};

use super::world::{alone, along, numbers, part, run};

const PATH: &str = "run/last";

#[derive(Checkpoint)]
struct Progress {
    #[checkpoint(shard(dim = 0))]
    weight: Tensor,
    #[checkpoint(per_rank)]
    position: u64,
    #[checkpoint(per_rank)]
    random: Vec<u32>,
    epoch: u32,
}

impl Progress {
    fn new(fabric: &Fabric, seed: u16) -> Self {
        let weight = numbers(&[5, 2], f32::from(seed));
        let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp");
        Self {
            weight: part(&weight, 0, along),
            position: 1000 * u64::from(seed) + fabric.rank() as u64,
            random: vec![u32::from(seed); fabric.rank() + 1],
            epoch: 3,
        }
    }

    fn own(&self) -> (u64, Vec<u32>) {
        (self.position, self.random.clone())
    }
}

fn saved(strategy: &Strategy, ranks: usize) -> Memory {
    let storage = Memory::new();
    run(strategy, ranks, &storage, |fabric| {
        fabric.save(PATH, &Progress::new(fabric, 7)).expect("saved");
    });
    storage
}

fn layouts() -> [Strategy; 2] {
    [Strategy::fsdp(), Strategy::ddp()]
}

#[test]
fn each_rank_gets_its_own_back() {
    for strategy in layouts() {
        for ranks in [1, 2, 4] {
            run(&strategy, ranks, &saved(&strategy, ranks), |fabric| {
                let mut state = Progress::new(fabric, 900);
                let loaded = fabric.load(PATH, &mut state).expect("the same world");
                assert_eq!(state.own(), Progress::new(fabric, 7).own());
                assert_eq!(loaded.remainder.names(), Vec::<&str>::new());
            });
        }
    }
}

#[test]
fn the_values_of_ranks_that_are_no_more_are_in_the_remainder_of_all() {
    for strategy in layouts() {
        let storage = saved(&strategy, 4);
        for ranks in [1, 2, 3] {
            run(&strategy, ranks, &storage, |fabric| {
                let mut state = Progress::new(fabric, 900);
                let loaded = fabric.load(PATH, &mut state).expect("fewer ranks");
                assert_eq!(state.own(), Progress::new(fabric, 7).own());
                let gone = (ranks..4).map(|rank| format!("position@{rank}"));
                let gone = gone.chain((ranks..4).map(|rank| format!("random@{rank}")));
                assert_eq!(
                    loaded.remainder.names(),
                    gone.collect::<Vec<_>>(),
                    "{strategy:?} on {ranks}"
                );
                assert_eq!(loaded.remainder.value::<u64>("position@3").expect("a value"), 7003);
            });
        }
        let fabric = alone(&storage);
        let mut state = Progress::new(&fabric, 900);
        let loaded = fabric.load(PATH, &mut state).expect("one device");
        assert_eq!((state.own(), loaded.remainder.len()), ((7000, vec![7]), 6));
    }
}

#[test]
fn a_new_rank_misses_its_own_and_no_rank_loads_then() {
    for strategy in layouts() {
        let storage = saved(&strategy, 2);
        run(&strategy, 3, &storage, |fabric| {
            let mut state = Progress::new(fabric, 900);
            match fabric.load(PATH, &mut state).expect_err("rank 2 has nothing") {
                Error::Mismatch(report) => {
                    assert_eq!(fabric.rank(), 2);
                    assert_eq!(report.missing, ["position@2", "random@2"]);
                    assert_eq!(report.unexpected, Vec::<String>::new());
                }
                Error::Rank { rank, message, .. } => {
                    assert_eq!(rank, 2);
                    assert!(message.contains("position@2"), "{message}");
                }
                other => panic!("{other}"),
            }
            assert_eq!(state.own(), Progress::new(fabric, 900).own());
            assert_eq!(
                state.weight.to_vec2::<f32>().expect("floats"),
                Progress::new(fabric, 900).weight.to_vec2::<f32>().expect("floats")
            );
        });
    }
}

#[test]
fn without_strictness_a_new_rank_keeps_what_it_has_and_no_rank_finds_others_in_the_remainder() {
    for strategy in layouts() {
        let storage = saved(&strategy, 2);
        run(&strategy, 4, &storage, |fabric| {
            let mut state = Progress::new(fabric, 900);
            let loaded = fabric
                .load_with(PATH, &mut state, LoadOptions::new().strict(false))
                .expect("what there is");
            let seed = if fabric.rank() < 2 { 7 } else { 900 };
            assert_eq!(state.own(), Progress::new(fabric, seed).own());
            assert_eq!(loaded.remainder.names(), Vec::<&str>::new(), "rank {}", fabric.rank());
            assert_eq!(loaded.report.unexpected, Vec::<String>::new(), "rank {}", fabric.rank());
        });
    }
}

/// One process has no number: what it saved belongs to rank 0.
#[test]
fn what_one_device_saved_goes_to_the_first_rank() {
    let storage = Memory::new();
    let one = alone(&storage);
    one.save(PATH, &Progress::new(&one, 7)).expect("saved");
    for strategy in layouts() {
        run(&strategy, 2, &storage, |fabric| {
            let mut state = Progress::new(fabric, 900);
            let loaded = fabric
                .load_with(PATH, &mut state, LoadOptions::new().strict(false))
                .expect("what there is");
            let seed = if fabric.rank() == 0 { 7 } else { 900 };
            assert_eq!(state.own(), Progress::new(fabric, seed).own());
            assert_eq!(loaded.report.unexpected, Vec::<String>::new(), "rank {}", fabric.rank());
            assert_eq!(loaded.remainder.names(), Vec::<&str>::new(), "rank {}", fabric.rank());
        });
    }
}

#[derive(Checkpoint)]
struct Weights {
    #[checkpoint(shard(dim = 0))]
    weight: Tensor,
    epoch: u32,
}

#[test]
fn whoever_does_not_ask_for_them_finds_all_in_the_remainder() {
    run(&Strategy::fsdp(), 2, &saved(&Strategy::fsdp(), 2), |fabric| {
        let Progress { weight, epoch, .. } = Progress::new(fabric, 900);
        let loaded = fabric
            .load(PATH, &mut Weights { weight, epoch })
            .expect("the rest is remainder");
        let names = ["position@0", "position@1", "random@0", "random@1"];
        assert_eq!(loaded.remainder.names(), names);
        let only = LoadOptions::new().only(Progress::FIELDS.position);
        let loaded = fabric
            .load_with(PATH, &mut Progress::new(fabric, 900), only)
            .expect("one field");
        assert_eq!(loaded.remainder.names(), ["epoch", "random@0", "random@1", "weight"]);
    });
}

#[derive(Checkpoint)]
struct Sometimes {
    weight: Tensor,
    #[checkpoint(per_rank)]
    position: Option<u64>,
}

#[test]
fn a_value_that_only_some_ranks_have_is_restored_on_those() {
    let state = |rank: usize, seed: u64| Sometimes {
        weight: Tensor::zeros(3, candle_core::DType::F32, &candle_core::Device::Cpu).expect("memory"),
        position: (rank == 1).then_some(seed),
    };
    for strategy in [Strategy::ddp(), Strategy::fsdp()] {
        let storage = Memory::new();
        run(&strategy, 2, &storage, |fabric| {
            fabric.save("run/last", &state(fabric.rank(), 7)).expect("saved");
            let mut live = state(fabric.rank(), 0);
            fabric.load("run/last", &mut live).expect("loaded");
            assert_eq!(live.position, (fabric.rank() == 1).then_some(7));
        });
    }
}

#[test]
fn a_shared_value_that_only_some_ranks_have_names_the_attribute() {
    #[derive(Checkpoint)]
    struct State {
        best: Option<f64>,
        step: u64,
    }
    for on in [0, 1] {
        run(&Strategy::ddp(), 2, &Memory::new(), |fabric| {
            let state = State {
                best: (fabric.rank() == on).then_some(0.5),
                step: 3,
            };
            let error = fabric
                .save("run/last", &state)
                .expect_err("one rank lacks a value")
                .to_string();
            assert!(
                error.contains("`best`") && error.contains("needs #[checkpoint(per_rank)]"),
                "{error}"
            );
            assert!(!error.contains("shard"), "{error}");
        });
    }
}
