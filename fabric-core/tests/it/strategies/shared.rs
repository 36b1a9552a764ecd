//! What ranks share: large replicas written in pieces, ties that are cut in different ways, options that are absent.

use std::path::Path;

use candle_core::{Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Strategy};

use super::files::files;
use super::train::elements;
use super::world::{alone, along, numbers, part, run};

const PATH: &str = "run/last";

#[derive(Checkpoint)]
struct Replicas {
    large: Tensor,
    small: Tensor,
    last: Tensor,
}

/// The large tensor is 4 MiB.
fn replicas(seed: u32) -> Replicas {
    let count = 1 << 20;
    let large = Tensor::arange(seed, seed + count, &Device::Cpu).and_then(|all| all.reshape((1 << 10, 1 << 10)));
    let rows = numbers(&[100, 100], 0.);
    Replicas {
        large: large.expect("a tensor"),
        small: numbers(&[3], 5.),
        last: rows,
    }
}

#[test]
fn a_large_replica_is_written_by_all_in_pieces_and_loads_anywhere() {
    for (strategy, ranks) in [(Strategy::fsdp(), 3), (Strategy::mesh([("dp", 2), ("tp", 2)]), 4)] {
        let storage = Memory::new();
        run(&strategy, ranks, &storage, |fabric| {
            fabric.save(PATH, &replicas(7)).expect("saved");
        });
        let written = files(&storage, Path::new(PATH));
        let lens = written
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|end| end == "safetensors"));
        let lens: Vec<usize> = lens.map(|(_, bytes)| bytes.len()).collect();
        let share = lens.iter().sum::<usize>() / ranks;
        assert!(
            lens.len() == ranks && lens.iter().all(|len| len.abs_diff(share) < 64 << 10),
            "{lens:?}"
        );
        for (to, readers) in [
            (Strategy::single_device(), 1),
            (Strategy::fsdp(), 2),
            (Strategy::ddp(), 3),
        ] {
            run(&to, readers, &storage, |fabric| {
                let mut state = replicas(900);
                fabric.load(PATH, &mut state).expect("any world");
                let found = state
                    .large
                    .flatten_all()
                    .and_then(|all| all.to_vec1::<u32>())
                    .expect("numbers");
                assert!(found.iter().zip(7..).all(|(found, expected)| *found == expected));
            });
        }
    }
}

/// One tensor, which one field has as it is and another in parts.
#[derive(Checkpoint)]
struct Untied {
    #[checkpoint(shard(dim = 0, axis = "x"))]
    one: Tensor,
    #[checkpoint(shard(dim = 0, axis = "y"))]
    two: Tensor,
    #[checkpoint(shard(dim = 1, axis = "y"))]
    three: Tensor,
    four: Tensor,
}

/// A file holds four names of one tensor; every rank reads another part of it under each name, and the checksums of the
/// parts are put together all the same.
#[test]
fn names_of_one_tensor_load_into_parts_that_are_cut_in_different_ways() {
    let storage = Memory::new();
    let one = alone(&storage);
    let tensor = numbers(&[6, 4], 3.);
    let same = || tensor.clone();
    one.save(
        PATH,
        &Untied {
            one: same(),
            two: same(),
            three: same(),
            four: same(),
        },
    )
    .expect("saved");
    for axes in [
        [("x", 2), ("y", 2)],
        [("y", 3), ("x", 2)],
        [("x", 1), ("y", 4)],
        [("x", 3), ("y", 1)],
    ] {
        let strategy = Strategy::mesh(axes).shard_axis("x");
        let ranks = axes[0].1 * axes[1].1;
        run(&strategy, ranks, &storage, |fabric| {
            let held = |dim, axis| part(&tensor, dim, along(fabric.strategy(), ranks, fabric.rank(), axis));
            let expected = [held(0, "x"), held(0, "y"), held(1, "y"), tensor.clone()];
            let [one, two, three, four] = expected.clone().map(|part| part.zeros_like().expect("zeros"));
            let mut state = Untied { one, two, three, four };
            fabric.load(PATH, &mut state).expect("parts of one tensor");
            for (found, expected) in [&state.one, &state.two, &state.three, &state.four]
                .into_iter()
                .zip(&expected)
            {
                assert_eq!(elements(found), elements(expected), "{axes:?}, rank {}", fabric.rank());
            }
        });
    }
}

#[derive(Checkpoint)]
struct Maybe {
    #[checkpoint(shard(dim = 0))]
    extra: Option<Tensor>,
    #[checkpoint(per_rank)]
    tensor: Option<Tensor>,
}

#[test]
fn a_tensor_that_one_rank_lacks_is_named() {
    run(&Strategy::fsdp(), 3, &Memory::new(), |fabric| {
        let extra = (fabric.rank() != 1).then(|| numbers(&[2], 0.));
        let error = fabric
            .save(PATH, &Maybe { extra, tensor: None })
            .expect_err("rank 1 has nothing");
        assert!(matches!(error, Error::Disagreement { rank: 1, .. }), "{error}");
        assert!(error.to_string().contains("`extra`"), "{error}");
    });
}

#[test]
fn a_tensor_of_each_rank_is_refused_with_what_to_do_instead() {
    run(&Strategy::fsdp(), 2, &Memory::new(), |fabric| {
        let tensor = Some(numbers(&[2], 0.));
        let error = fabric
            .save(PATH, &Maybe { extra: None, tensor })
            .expect_err("no value")
            .to_string();
        assert!(error.contains("`tensor`") && error.contains("shard"), "{error}");
    });
}

/// Ranks that should hold the same rows hold different numbers of them.
#[test]
fn parts_that_make_no_whole_are_an_error_that_names_the_ranks() {
    let strategy = Strategy::mesh([("dp", 2), ("tp", 2)]).shard_axis("tp");
    let storage = Memory::new();
    run(&strategy, 4, &storage, |fabric| {
        let rows = if fabric.rank() == 3 { 5 } else { 2 };
        let state = Maybe {
            extra: Some(numbers(&[rows], 0.)),
            tensor: None,
        };
        let error = fabric.save(PATH, &state).expect_err("no whole").to_string();
        for part in ["`extra`", "2 indices along dimension 0 on rank 1 and 5 on rank 3"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    });
    assert_eq!(
        format!("{storage:?}"),
        format!("{:?}", Memory::new()),
        "something was written"
    );
}
