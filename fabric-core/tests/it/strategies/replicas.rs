//! Ranks that hold replicas of one tensor or value hold the same, or the save says which do not.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{BatchNorm, Optimizer, ParamsAdamW};
use fabric_core::optim::AdamW;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, Replicas, Result, SaveOptions, SaveReport, Strategy};

use super::train::elements;
use super::world::{alone, numbers, part, run};

const PATH: &str = "run/last";

fn fill(value: f32, len: usize) -> Tensor {
    Tensor::full(value, len, &Device::Cpu).expect("memory")
}

fn rank_of(fabric: &Fabric) -> f32 {
    f32::from(u16::try_from(fabric.rank()).expect("few ranks"))
}

fn read(storage: &Memory, name: &str) -> Vec<f64> {
    let raw = alone(storage).open(PATH).expect("a checkpoint");
    elements(&raw.tensor(name, &Device::Cpu).expect("it is there"))
}

/// What all ranks say of a save that is refused on each of them, over an old checkpoint that stays.
fn refused<S: Checkpoint>(strategy: &Strategy, ranks: usize, state: impl Fn(&Fabric) -> S + Sync) -> (usize, String) {
    let storage = Memory::new();
    alone(&storage)
        .save(PATH, &Learned::new(0.))
        .expect("an old checkpoint");
    let errors = run(strategy, ranks, &storage, |fabric| {
        let state = state(fabric);
        let error = fabric.save(PATH, &state).expect_err("replicas differ");
        let in_background = fabric.save_async(PATH, &state).expect_err("replicas differ");
        assert_eq!(error.to_string(), in_background.to_string());
        fabric
            .save("run/after", &Learned::new(1.))
            .expect("nothing hangs afterwards");
        match error {
            Error::Disagreement { rank, .. } => (rank, error.to_string()),
            other => panic!("{other}"),
        }
    });
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    assert_eq!(read(&storage, "weight"), [0.; 5], "the old checkpoint is still there");
    assert_eq!(storage.list(Path::new("run")).expect("a directory"), ["after", "last"]);
    errors[0].clone()
}

fn assert_says(error: &str, parts: &[&str]) {
    for part in parts.iter().chain(&["Replicas::RankZero"]) {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[derive(Checkpoint)]
struct Learned {
    weight: Tensor,
}

impl Learned {
    fn new(value: f32) -> Self {
        Self { weight: fill(value, 5) }
    }
}

#[derive(Checkpoint)]
struct Stage {
    blocks: Vec<Tensor>,
}

#[derive(Checkpoint)]
struct Expert {
    up: Tensor,
    down: Tensor,
}

#[derive(Checkpoint)]
struct Experts {
    experts: Vec<Expert>,
}

#[test]
fn pipeline_stages_in_a_local_list_are_refused() {
    let stage = |fabric: &Fabric| Stage {
        blocks: (0..2u8)
            .map(|layer| fill(2. * rank_of(fabric) + f32::from(layer), 3))
            .collect(),
    };
    let (rank, error) = refused(&Strategy::mesh([("pp", 2)]), 2, stage);
    assert_eq!(rank, 1);
    assert_says(
        &error,
        &[
            "rank 1",
            "`blocks.0`",
            "1 other tensor",
            "shard(dim = …, axis = \"pp\")",
        ],
    );
}

#[test]
fn experts_in_a_local_list_are_refused() {
    let experts = |fabric: &Fabric| Experts {
        experts: vec![Expert {
            up: fill(rank_of(fabric), 2),
            down: fill(3., 2),
        }],
    };
    let (_, error) = refused(&Strategy::mesh([("ep", 3)]), 3, experts);
    assert_says(&error, &["rank 1", "`experts.0.up`", "axis = \"ep\""]);
}

#[test]
fn a_forgotten_attribute_and_a_drifted_replica_are_refused_in_every_layout() {
    for strategy in [Strategy::ddp(), Strategy::fsdp(), Strategy::mesh([("dp", 3)])] {
        for len in [1, 2, 1000, 1 << 20] {
            let (rank, error) = refused(&strategy, 3, |fabric| Learned {
                weight: fill(if fabric.rank() == 2 { 0.1 } else { 0.2 }, len),
            });
            assert_eq!(rank, 2);
            assert_says(&error, &["rank 2", "`weight`"]);
        }
    }
}

/// Rows over `tp`, replicas over `dp`.
#[derive(Checkpoint)]
struct Part {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    rows: Tensor,
}

#[test]
fn parts_are_compared_with_replicas_of_the_same_part() {
    let strategy = Strategy::mesh([("dp", 3), ("tp", 2)]);
    let rows = |fabric: &Fabric| part(&numbers(&[6, 2], 0.), 0, (fabric.rank() % 2, 2));
    let storage = Memory::new();
    run(&strategy, 6, &storage, |fabric| {
        let report = fabric
            .save(PATH, &Part { rows: rows(fabric) })
            .expect("replicas are the same");
        assert_eq!(report.differing, Vec::<String>::new());
    });
    let (rank, error) = refused(&strategy, 6, |fabric| Part {
        rows: (rows(fabric) + if fabric.rank() == 5 { 1. } else { 0. }).expect("floats"),
    });
    assert_eq!(rank, 5);
    assert_says(&error, &["`rows`", "that of rank 1", "axis = \"dp\""]);
}

#[derive(Checkpoint)]
struct Trained {
    weight: Var,
    optimizer: AdamW,
    iteration: u64,
}

/// The weights are the same, and the moments tell `gradient`.
fn trained(gradient: f32, iteration: u64) -> Trained {
    let weight = Var::from_tensor(&fill(1., 4)).expect("a variable");
    let params = ParamsAdamW {
        lr: 0.,
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(vec![weight.clone()], params).expect("an optimizer");
    let loss = (weight.as_tensor() * f64::from(gradient)).and_then(|product| product.sum_all());
    let gradients = loss.and_then(|loss| loss.backward()).expect("a loss");
    optimizer.step(&gradients).expect("a step");
    Trained {
        weight,
        optimizer,
        iteration,
    }
}

#[test]
fn moments_and_values_are_compared_as_weights_are() {
    for strategy in [Strategy::ddp(), Strategy::fsdp()] {
        let (_, error) = refused(&strategy, 2, |fabric| trained(1. + rank_of(fabric), 7));
        assert_says(&error, &["`optimizer.state.weight.exp_avg`", "rank 1"]);
        let (_, error) = refused(&strategy, 2, |fabric| trained(1., fabric.rank() as u64));
        assert_says(&error, &["`iteration`", "per_rank", "rank 1"]);
    }
}

#[test]
fn one_element_of_a_large_tensor_is_found_by_comparing_the_whole() {
    let state = |fabric: &Fabric| {
        let mut values = vec![0f32; 1 << 19];
        values[(1 << 18) + 1] = rank_of(fabric);
        let weight = Tensor::from_vec(values, 1 << 19, &Device::Cpu).expect("memory");
        Learned { weight }
    };
    for strategy in [Strategy::ddp(), Strategy::fsdp()] {
        let storage = Memory::new();
        run(&strategy, 2, &storage, |fabric| {
            let whole = SaveOptions::new().replicas(Replicas::Whole);
            let error = fabric
                .save_with(PATH, &state(fabric), whole)
                .expect_err("one element differs");
            assert_says(&error.to_string(), &["`weight`", "rank 1"]);
        });
        assert_eq!(storage.list(Path::new("")).expect("the root"), Vec::<String>::new());
    }
}

#[test]
fn ranks_that_treat_replicas_in_other_ways_are_told() {
    run(&Strategy::fsdp(), 2, &Memory::new(), |fabric| {
        let replicas = [Replicas::Sample, Replicas::RankZero][fabric.rank()];
        let options = SaveOptions::new().replicas(replicas);
        let error = fabric
            .save_with(PATH, &Learned::new(1.), options)
            .expect_err("they differ");
        assert!(error.to_string().contains("Replicas::RankZero"), "{error}");
    });
}

/// Tensors of every size, cut in every way.
#[derive(Checkpoint)]
struct Mixed {
    scalar: Tensor,
    count: Tensor,
    small: Tensor,
    large: Tensor,
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    rows: Tensor,
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    line: Tensor,
    same: Tensor,
    iteration: u64,
    note: String,
}

/// What differs tells the rank along `dp`.
fn mixed(fabric: &Fabric) -> Mixed {
    let tp = if fabric.strategy().name() == "mesh" { 2 } else { 1 };
    let replica = u16::try_from(fabric.rank() / tp).expect("few ranks");
    let start = 100. * f32::from(replica);
    let place = (fabric.rank() % tp, tp);
    let mut large = vec![0f32; 1 << 18];
    // No sample has this element.
    large[1001] = start;
    Mixed {
        scalar: Tensor::new(start, &Device::Cpu).expect("memory"),
        count: Tensor::new(i64::from(replica) - 5, &Device::Cpu).expect("memory"),
        small: numbers(&[3, 2], start),
        large: Tensor::from_vec(large, (1 << 9, 1 << 9), &Device::Cpu).expect("memory"),
        rows: part(&numbers(&[5, 3], start), 0, place),
        line: part(&numbers(&[7], start), 0, place),
        same: numbers(&[4], 9.),
        iteration: u64::from(replica),
        note: "the same".to_owned(),
    }
}

fn save_of_rank_zero(fabric: &Fabric, in_background: bool) -> Result<SaveReport> {
    let options = SaveOptions::new().replicas(Replicas::RankZero);
    if in_background {
        fabric.save_async_with(PATH, &mixed(fabric), options)?.wait()
    } else {
        fabric.save_with(PATH, &mixed(fabric), options)
    }
}

#[test]
fn the_replicas_of_rank_zero_are_saved_if_the_call_says_so_and_reported() {
    let one = Memory::new();
    alone(&one).save(PATH, &mixed(&alone(&one))).expect("one process");
    for (strategy, ranks) in [
        (Strategy::ddp(), 3),
        (Strategy::fsdp(), 3),
        (Strategy::mesh([("dp", 3), ("tp", 2)]), 6),
        (Strategy::mesh([("tp", 2)]), 2),
    ] {
        // Where all ranks hold other parts, nothing differs.
        let replicas = ranks > 2;
        for in_background in [false, true] {
            let storage = Memory::new();
            let reports = run(&strategy, ranks, &storage, |fabric| {
                let report = save_of_rank_zero(fabric, in_background).expect("the replicas of rank 0");
                let mut state = mixed(fabric);
                fabric
                    .load(PATH, &mut state)
                    .expect("it is a checkpoint like any other");
                assert_eq!(state.iteration, 0);
                assert_eq!(elements(&state.small), elements(&numbers(&[3, 2], 0.)));
                report
            });
            let names = ["count", "iteration", "line", "rows", "scalar", "small"];
            let expected = if replicas { &names[..] } else { &[] };
            for report in &reports {
                assert_eq!(report.differing, expected, "{strategy:?}");
            }
            for name in ["scalar", "count", "small", "large", "rows", "line", "same"] {
                assert_eq!(read(&storage, name), read(&one, name), "{strategy:?}: {name}");
            }
            let raw = alone(&storage).open(PATH).expect("a checkpoint");
            assert_eq!(raw.value::<u64>("iteration").expect("a value"), 0);
        }
    }
}

/// Running statistics of a module, of a map, and tensors that an attribute marks.
#[derive(Checkpoint)]
struct Buffers {
    norm: BatchNorm,
    map: BTreeMap<String, Tensor>,
    #[checkpoint(buffer)]
    seen: Vec<Tensor>,
    weight: Tensor,
}

fn buffers(fabric: &Fabric) -> Buffers {
    let rank = rank_of(fabric);
    let mut large = vec![7f32; 1 << 18];
    // No sample has this element.
    large[1001] = rank;
    let map = [
        ("running_mean", fill(rank, 3)),
        ("running_var", fill(rank + 10., 3)),
        (
            "num_batches_tracked",
            Tensor::new(i64::try_from(fabric.rank()).expect("few ranks"), &Device::Cpu).expect("memory"),
        ),
        ("weight", fill(4., 3)),
    ];
    Buffers {
        norm: BatchNorm::new(2, fill(rank, 2), fill(1., 2), fill(1., 2), fill(0., 2), 1e-5).expect("two features"),
        map: map.map(|(name, tensor)| (name.to_owned(), tensor)).into(),
        seen: vec![
            fill(rank, 4),
            Tensor::from_vec(large, (1 << 9, 1 << 9), &Device::Cpu).expect("memory"),
            Tensor::zeros((0, 2), DType::F32, &Device::Cpu).expect("nothing"),
        ],
        weight: fill(3., 5),
    }
}

#[test]
fn buffers_may_differ_and_those_of_rank_zero_are_saved_and_reported() {
    for (strategy, ranks) in [
        (Strategy::ddp(), 3),
        (Strategy::fsdp(), 3),
        (Strategy::mesh([("dp", 2), ("tp", 2)]), 4),
    ] {
        let storage = Memory::new();
        let reports = run(&strategy, ranks, &storage, |fabric| {
            let report = fabric.save(PATH, &buffers(fabric)).expect("buffers may differ");
            fabric.load(PATH, &mut buffers(fabric)).expect("loaded");
            report
        });
        for report in &reports {
            assert_eq!(
                report.differing,
                [
                    "map.num_batches_tracked",
                    "map.running_mean",
                    "map.running_var",
                    "norm.running_mean",
                    "seen.0",
                ],
                "{strategy:?}"
            );
        }
        let one = Memory::new();
        alone(&one).save(PATH, &buffers(&alone(&one))).expect("one process");
        for name in alone(&one).open(PATH).expect("a checkpoint").names() {
            assert_eq!(read(&storage, name), read(&one, name), "{strategy:?}: {name}");
        }
    }
}

#[derive(Checkpoint)]
struct Marked {
    weight: Var,
    #[checkpoint(buffer)]
    positions: Var,
}

#[test]
fn what_the_attribute_buffer_marks_is_no_parameter() {
    let variable = || Var::from_tensor(&fill(1., 2)).expect("a variable");
    let marked = Marked {
        weight: variable(),
        positions: variable(),
    };
    let named = fabric_core::named_parameters(&marked);
    assert_eq!(
        named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["weight"]
    );
}

#[test]
fn ranks_with_other_numbers_of_layers_are_told_what_to_do() {
    let storage = Memory::new();
    run(&Strategy::mesh([("pp", 2)]), 2, &storage, |fabric| {
        let state = Stage {
            blocks: vec![fill(1., 3); 2 + fabric.rank()],
        };
        let error = fabric.save(PATH, &state).expect_err("one layer more").to_string();
        for part in ["rank 1", "`blocks.2`", "stack tensors", "shard(dim"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    });
}

#[derive(Checkpoint)]
struct Tied {
    #[checkpoint(shard(dim = 0))]
    embedding: Tensor,
    head: Tensor,
}

#[test]
fn ties_that_are_cut_in_two_ways_are_refused_where_the_cut_matters() {
    let tied = || {
        let embedding = fill(1., 4);
        Tied {
            head: embedding.clone(),
            embedding,
        }
    };
    run(&Strategy::fsdp(), 2, &Memory::new(), |fabric| {
        let error = fabric.save(PATH, &tied()).expect_err("two cuts").to_string();
        assert!(error.contains("`head`") && error.contains("`embedding`"), "{error}");
    });
    run(&Strategy::ddp(), 2, &Memory::new(), |fabric| {
        fabric.save(PATH, &tied()).expect("nothing is cut");
    });
}
