//! What the `shard` attributes above a tensor mean: their order, which of them counts, and over which axes.

use candle_core::{Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, Strategy};

use super::train::elements;
use super::world::{alone, along, numbers, part, run};

const PATH: &str = "run/last";

#[derive(Checkpoint)]
struct Layer {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    weight: Tensor,
}

/// FSDP over a layer that is tensor parallel.
#[derive(Checkpoint)]
struct Model {
    #[checkpoint(shard(dim = 0, axis = "fsdp"))]
    layer: Layer,
}

/// The part that is left when the nearer axis has cut first.
fn layer(fabric: &Fabric, whole: &Tensor) -> Model {
    let along = |axis| along(fabric.strategy(), fabric.world_size(), fabric.rank(), axis);
    let weight = part(&part(whole, 0, along("tp")), 0, along("fsdp"));
    Model {
        layer: Layer { weight },
    }
}

fn worlds() -> [(Strategy, usize); 7] {
    [
        (Strategy::single_device(), 1),
        (Strategy::ddp(), 3),
        (Strategy::fsdp(), 3),
        (Strategy::mesh([("fsdp", 2), ("tp", 2)]), 4),
        (Strategy::mesh([("tp", 2), ("fsdp", 2)]), 4),
        (Strategy::mesh([("tp", 3), ("fsdp", 2)]), 6),
        (Strategy::mesh([("fsdp", 5), ("dp", 1), ("tp", 2)]), 10),
    ]
}

#[test]
fn the_attribute_nearer_to_the_tensor_cuts_first_in_every_world() {
    let whole = numbers(&[7, 2], 0.);
    for (from, from_ranks) in worlds() {
        let storage = Memory::new();
        run(&from, from_ranks, &storage, |fabric| {
            fabric.save(PATH, &layer(fabric, &whole)).expect("saved");
        });
        let raw = alone(&storage).open(PATH).expect("a checkpoint");
        let saved = raw.tensor("layer.weight", &Device::Cpu).expect("it is there");
        assert_eq!(saved.dims(), whole.dims(), "{from:?}");
        assert_eq!(elements(&saved), elements(&whole), "{from:?}");
        for (to, to_ranks) in worlds() {
            run(&to, to_ranks, &storage, |fabric| {
                let mut state = layer(fabric, &numbers(&[7, 2], 900.));
                fabric.load(PATH, &mut state).expect("any world");
                let expected = layer(fabric, &whole);
                let when = format!("{from:?} to {to:?}, rank {}", fabric.rank());
                assert_eq!(
                    elements(&state.layer.weight),
                    elements(&expected.layer.weight),
                    "{when}"
                );
            });
        }
    }
}

/// The part of rank 1 of 2 by 2, with `fsdp` outside: the second half of the first half.
#[test]
fn a_rank_holds_the_part_that_fsdp_left_of_its_tensor_parallel_part() {
    let storage = Memory::new();
    run(&Strategy::mesh([("fsdp", 2), ("tp", 2)]), 4, &storage, |fabric| {
        let rows = [[0f32], [2.], [1.], [3.]][fabric.rank()];
        let weight = Tensor::new(&rows, &Device::Cpu).expect("a row");
        fabric
            .save(
                PATH,
                &Model {
                    layer: Layer { weight },
                },
            )
            .expect("saved");
    });
    let raw = alone(&storage).open(PATH).expect("a checkpoint");
    let saved = raw.tensor("layer.weight", &Device::Cpu).expect("it is there");
    assert_eq!(elements(&saved), [0., 1., 2., 3.]);
}

#[derive(Checkpoint)]
struct Columns {
    #[checkpoint(shard(dim = 1))]
    weight: Tensor,
    #[checkpoint(shard(dim = 1))]
    bias: Tensor,
}

#[derive(Checkpoint)]
struct Rows {
    #[checkpoint(shard(dim = 0))]
    below: Columns,
}

#[test]
fn the_nearer_attribute_of_one_axis_wins() {
    let (weight, bias) = (numbers(&[2, 4], 0.), numbers(&[4], 50.));
    let storage = Memory::new();
    run(&Strategy::fsdp(), 2, &storage, |fabric| {
        let below = Columns {
            weight: part(&weight, 1, (fabric.rank(), 2)),
            bias: bias.clone(),
        };
        fabric.save(PATH, &Rows { below }).expect("saved");
    });
    let raw = alone(&storage).open(PATH).expect("a checkpoint");
    for (name, whole) in [("below.weight", &weight), ("below.bias", &bias)] {
        let saved = raw.tensor(name, &Device::Cpu).expect("it is there");
        assert_eq!(saved.dims(), whole.dims(), "{name}");
        assert_eq!(elements(&saved), elements(whole), "{name}");
    }
}

#[derive(Checkpoint)]
struct Misspelt {
    #[checkpoint(shard(dim = 0, axis = "tensor"))]
    up: Tensor,
}

fn misspelt() -> Misspelt {
    Misspelt { up: numbers(&[4], 0.) }
}

#[test]
fn an_axis_that_a_mesh_does_not_list_is_an_error_that_names_its_axes() {
    for axes in [vec![("tp", 2)], vec![("dp", 2), ("tp", 2)], vec![("tp", 1)]] {
        let strategy = Strategy::mesh(axes.clone());
        let ranks = strategy.world_size().expect("sizes are given");
        let storage = Memory::new();
        alone(&storage).save(PATH, &misspelt()).expect("one device has no axes");
        let errors = run(&strategy, ranks, &storage, |fabric| {
            let saved = fabric.save("run/new", &misspelt()).expect_err("no such axis");
            let loaded = fabric.load(PATH, &mut misspelt()).expect_err("no such axis");
            [saved.to_string(), loaded.to_string()]
        });
        for error in errors.into_iter().flatten() {
            for part in [
                "`up`",
                "`tensor`",
                &format!("(\"{}\", {})", axes[0].0, axes[0].1),
                "(\"tensor\", 1)",
            ] {
                assert!(error.contains(part), "{part} is not in {error}");
            }
        }
    }
}

#[test]
fn an_axis_that_no_rank_is_split_over_may_be_listed_or_left_to_the_strategy() {
    let listed = Strategy::mesh([("tp", 2), ("tensor", 1)]);
    for (strategy, ranks) in [
        (listed, 2),
        (Strategy::ddp(), 2),
        (Strategy::fsdp(), 2),
        (Strategy::single_device(), 1),
    ] {
        let storage = Memory::new();
        run(&strategy, ranks, &storage, |fabric| {
            fabric.save(PATH, &misspelt()).expect("the axis has one rank");
            let mut state = Misspelt { up: numbers(&[4], 9.) };
            fabric.load(PATH, &mut state).expect("the axis has one rank");
            assert_eq!(elements(&state.up), [0., 1., 2., 3.]);
        });
    }
}
