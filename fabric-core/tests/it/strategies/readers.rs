//! Entries that are open already: loaded by all ranks together with the Fabric, or by one process with the reader.

use candle_core::Tensor;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions, Strategy};

use super::world::{along, numbers, part, run};

const PATH: &str = "run/last";

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(shard(dim = 0))]
    rows: Tensor,
    whole: Tensor,
}

#[derive(Checkpoint)]
struct Train {
    model: Model,
    #[checkpoint(per_rank)]
    position: u64,
    iteration: u64,
}

#[derive(Checkpoint)]
struct Counter {
    iteration: u64,
}

#[derive(Checkpoint)]
struct Rest {
    model: Model,
    #[checkpoint(per_rank)]
    position: u64,
}

impl Model {
    fn new(fabric: &Fabric, start: f32) -> Self {
        let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp");
        Self {
            rows: part(&numbers(&[7, 2], start), 0, along),
            whole: numbers(&[3], start),
        }
    }

    fn contents(&self) -> (Vec<Vec<f32>>, Vec<f32>) {
        let rows = self.rows.to_vec2().expect("a matrix");
        (rows, self.whole.to_vec1().expect("a vector"))
    }
}

fn saved(strategy: &Strategy, ranks: usize) -> Memory {
    let storage = Memory::new();
    run(strategy, ranks, &storage, |fabric| {
        let state = Train {
            model: Model::new(fabric, 7.),
            position: fabric.rank() as u64,
            iteration: 5,
        };
        fabric.save(PATH, &state).expect("saved");
    });
    storage
}

#[test]
fn ranks_load_a_remainder_together_each_its_part_and_its_own_values() {
    for strategy in [Strategy::fsdp(), Strategy::ddp()] {
        for ranks in [1, 2, 3] {
            run(&strategy, ranks, &saved(&strategy, 3), |fabric| {
                let mut counter = Counter { iteration: 0 };
                let loaded = fabric.load(PATH, &mut counter).expect("the rest is remainder");
                let mut rest = Rest {
                    model: Model::new(fabric, 900.),
                    position: 900,
                };
                let loaded = fabric.load_from(&loaded.remainder, &mut rest).expect("all of the rest");
                assert_eq!(rest.model.contents(), Model::new(fabric, 7.).contents());
                assert_eq!(rest.position, fabric.rank() as u64);
                let left = (ranks..3).map(|rank| format!("position@{rank}"));
                assert_eq!(loaded.remainder.names(), left.collect::<Vec<_>>());
            });
        }
    }
}

#[test]
fn ranks_load_a_subtree_together_as_bare_weights() {
    let strategy = Strategy::fsdp();
    run(&strategy, 3, &saved(&strategy, 2), |fabric| {
        let weights = fabric.open(PATH).expect("a checkpoint").subtree("model");
        let mut model = Model::new(fabric, 900.);
        fabric.load_raw_from(&weights, &mut model).expect("the same model");
        assert_eq!(model.contents(), Model::new(fabric, 7.).contents());
    });
}

#[test]
fn a_rank_that_is_about_to_load_other_entries_is_named() {
    let strategy = Strategy::fsdp();
    run(&strategy, 2, &saved(&strategy, 2), |fabric| {
        let raw = fabric.open(PATH).expect("a checkpoint");
        let part = if fabric.rank() == 1 { raw.subtree("model") } else { raw };
        let mut model = Model::new(fabric, 900.);
        let options = LoadOptions::new().strict(false);
        let outcome = fabric.load_raw_from_with(&part, &mut model, options);
        let error = outcome.expect_err("other entries").to_string();
        assert!(error.contains("rank 1"), "{error}");
        assert_eq!(model.contents(), Model::new(fabric, 900.).contents());
    });
}

#[test]
fn a_reader_loads_whole_tensors_on_one_rank_and_says_which_call_loads_parts() {
    let strategy = Strategy::fsdp();
    run(&strategy, 2, &saved(&strategy, 2), |fabric| {
        if fabric.rank() == 1 {
            return;
        }
        // Nobody comes to meet this rank.
        let raw = fabric.open(PATH).expect("a checkpoint");
        let mut model = Model::new(fabric, 900.);
        let weights = raw.subtree("model");
        let error = weights.load_raw(&mut model).expect_err("a part").to_string();
        assert!(error.contains("fabric.load_raw_from(&entries, &mut state)"), "{error}");
        let error = weights.load(&mut model).expect_err("a part").to_string();
        assert!(error.contains("fabric.load_from(&entries, &mut state)"), "{error}");
        assert_eq!(model.contents(), Model::new(fabric, 900.).contents());
        let mut whole = Model {
            rows: numbers(&[7, 2], 900.),
            whole: numbers(&[3], 900.),
        };
        weights.load(&mut whole).expect("whole tensors");
        let expected = (numbers(&[7, 2], 7.), numbers(&[3], 7.));
        let (rows, short) = (
            expected.0.to_vec2().expect("a matrix"),
            expected.1.to_vec1().expect("a vector"),
        );
        assert_eq!(whole.contents(), (rows, short));
    });
}
