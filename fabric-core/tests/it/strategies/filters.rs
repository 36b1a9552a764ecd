//! Filters see whole tensors on every rank, whatever part of them the rank holds, and keep what they keep on one device.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, SaveOptions, SaveReport, Strategy, TensorInfo};

use super::world::{alone, along, numbers, part, run};

const PATH: &str = "run/last";

fn long(_: &str, tensor: &TensorInfo) -> bool {
    tensor.shape()[0] >= 8
}

fn square(_: &str, tensor: &TensorInfo) -> bool {
    tensor.shape()[0] == tensor.shape()[1]
}

#[derive(Checkpoint)]
struct Filtered {
    #[checkpoint(shard(dim = 0, axis = "fsdp"), filter = long)]
    rows: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 0, axis = "dp"), shard(dim = 1, axis = "tp"), filter = square)]
    grid: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 0, axis = "fsdp"), shard(dim = 1, axis = "tp"))]
    called: BTreeMap<String, Tensor>,
    whole: Tensor,
}

/// Parts of one state: `r8` has 8 rows as a whole. `start` is the first element of every tensor.
fn state(fabric: &Fabric, start: f32) -> Filtered {
    let along = |axis: &str| along(fabric.strategy(), fabric.world_size(), fabric.rank(), axis);
    let cut = |shape: [usize; 2], rows: &str, columns: &str| {
        let whole = numbers(&shape, start);
        part(&part(&whole, 0, along(rows)), 1, along(columns))
    };
    let map = |shapes: &[[usize; 2]], rows: &str, columns: &str| {
        let named = shapes
            .iter()
            .map(|&shape| (format!("r{}c{}", shape[0], shape[1]), shape));
        named.map(|(name, shape)| (name, cut(shape, rows, columns))).collect()
    };
    Filtered {
        rows: map(&[[7, 2], [8, 2], [9, 3], [12, 2], [4, 2], [1, 2]], "fsdp", ""),
        grid: map(&[[4, 4], [5, 5], [4, 8], [8, 4], [5, 6], [3, 3]], "dp", "tp"),
        called: map(&[[6, 6], [5, 7], [9, 9], [12, 12], [3, 20]], "fsdp", "tp"),
        whole: numbers(&[3, 3], start),
    }
}

fn contents(state: &Filtered) -> Vec<(String, Vec<f32>)> {
    let values = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32");
    let maps = [&state.rows, &state.grid, &state.called].into_iter().flatten();
    maps.map(|(name, tensor)| (name.clone(), values(tensor))).collect()
}

fn options() -> SaveOptions {
    SaveOptions::new().filter(Filtered::FIELDS.called, |_, tensor| {
        tensor.shape().iter().sum::<usize>() >= 12 && tensor.shape()[1] < 20
    })
}

fn worlds() -> Vec<(Strategy, usize)> {
    vec![
        (Strategy::fsdp(), 2),
        (Strategy::fsdp(), 3),
        (Strategy::fsdp(), 5),
        (Strategy::mesh([("dp", 2), ("tp", 2), ("fsdp", 1)]), 4),
        (Strategy::mesh([("fsdp", 2), ("tp", 2), ("dp", 1)]), 4),
        (Strategy::ddp(), 2),
    ]
}

fn save(fabric: &Fabric) -> SaveReport {
    fabric.save_with(PATH, &state(fabric, 1.), options()).expect("saved")
}

fn save_in_background(fabric: &Fabric) -> SaveReport {
    let saving = fabric.save_async_with(PATH, &state(fabric, 1.), options());
    saving.expect("started").wait().expect("saved")
}

#[test]
fn the_same_is_kept_as_on_one_device() {
    let single = Memory::new();
    let expected = save(&alone(&single));
    assert!(
        expected.filtered.contains(&"rows.r7c2".to_owned()) && !expected.filtered.contains(&"rows.r8c2".to_owned())
    );
    let expected_file = alone(&single).open(PATH).expect("opened");
    for (strategy, ranks) in worlds() {
        for save in [save, save_in_background] {
            let storage = Memory::new();
            for report in run(&strategy, ranks, &storage, save) {
                assert_eq!(report.filtered, expected.filtered, "{strategy:?}");
                assert_eq!(report.entries, expected.entries, "{strategy:?}");
            }
            let file = alone(&storage).open(PATH).expect("opened");
            assert_eq!(file.names(), expected_file.names(), "{strategy:?}");
            assert_eq!(file.filtered(), expected_file.filtered(), "{strategy:?}");
        }
    }
}

/// What a load looks for follows from the schema's filters: under any world, what was saved and nothing more.
#[test]
fn a_load_under_another_world_looks_for_the_same() {
    for (strategy, ranks) in worlds() {
        let storage = Memory::new();
        run(&strategy, ranks, &storage, |fabric| {
            fabric.save(PATH, &state(fabric, 1.)).expect("saved");
        });
        let device = alone(&storage);
        let mut whole = state(&device, 500.);
        let expected = device.load(PATH, &mut whole).expect("loaded").report;
        for (other, ranks) in worlds() {
            run(&other, ranks, &storage, |fabric| {
                let mut found = state(fabric, 500.);
                let report = fabric.load(PATH, &mut found).expect("loaded").report;
                assert_eq!(report.filtered, expected.filtered, "{strategy:?} to {other:?}");
                assert_eq!(report.restored, expected.restored, "{strategy:?} to {other:?}");
                let (old, new) = (contents(&state(fabric, 500.)), contents(&state(fabric, 1.)));
                let names = |map: &BTreeMap<String, Tensor>, below: &str| {
                    map.keys().map(|name| format!("{below}.{name}")).collect::<Vec<_>>()
                };
                let names = [
                    names(&found.rows, "rows"),
                    names(&found.grid, "grid"),
                    names(&found.called, "called"),
                ]
                .concat();
                for (at, name) in names.iter().enumerate() {
                    let left = report.filtered.contains(name);
                    let should = if left { &old[at] } else { &new[at] };
                    assert_eq!(&contents(&found)[at], should, "{name}, {strategy:?} to {other:?}");
                }
            });
        }
    }
}

fn refused(save: impl Fn(&Fabric) -> Error + Sync) -> Vec<Error> {
    let storage = Memory::new();
    let errors = run(&Strategy::fsdp(), 3, &storage, save);
    assert_eq!(storage.list(Path::new("")).expect("the root"), Vec::<String>::new());
    errors
}

/// One rank asks about whole tensors where the others have nothing to ask.
#[test]
fn a_filter_that_not_all_ranks_have_is_named() {
    for asks in [0, 1] {
        let errors = refused(|fabric| {
            let options = if fabric.rank() == asks {
                options()
            } else {
                SaveOptions::new()
            };
            let mut state = state(fabric, 1.);
            // Nothing that the schema asks about: only the call does.
            state.rows.clear();
            fabric.save_with(PATH, &state, options).expect_err("they differ")
        });
        for error in errors {
            let text = error.to_string();
            assert!(matches!(error, Error::Disagreement { .. }), "{text}");
            assert!(
                text.contains("filter by shape") && text.contains("`called.r12c12`"),
                "{text}"
            );
        }
    }
}

#[test]
fn parts_that_make_no_whole_are_named_before_a_filter_is_asked() {
    let strategy = Strategy::mesh([("dp", 2), ("fsdp", 2), ("tp", 1)]);
    let storage = Memory::new();
    let errors = run(&strategy, 4, &storage, |fabric| {
        let mut state = state(fabric, 1.);
        if fabric.rank() == 3 {
            state.rows.insert("r12c2".to_owned(), numbers(&[5, 2], 0.));
        }
        let error = fabric.save(PATH, &state).expect_err("no parts of one tensor");
        error.to_string()
    });
    for error in errors {
        assert!(
            error.contains("rows.r12c2") && error.contains("on rank 1 and 5 on rank 3"),
            "{error}"
        );
    }
}

#[test]
fn a_filter_of_parts_that_keeps_nothing_is_refused_as_on_one_device() {
    let nothing = || SaveOptions::new().filter(Filtered::FIELDS.called, |_, tensor| tensor.shape()[0] > 12);
    let device = alone(&Memory::new());
    let expected = device.save_with(PATH, &state(&device, 1.), nothing());
    let expected = expected.expect_err("nothing is kept").to_string();
    for error in refused(|fabric| {
        fabric
            .save_with(PATH, &state(fabric, 1.), nothing())
            .expect_err("nothing is kept")
    }) {
        assert_eq!(error.to_string(), expected);
    }
}
