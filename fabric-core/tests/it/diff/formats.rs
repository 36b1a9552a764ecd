//! One state in every format is equal to itself.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{ExportOptions, RawCheckpoint, Strategy};
use testkit::files::fixture;
use testkit::pickle::text;
use testkit::states::{Train, tensor};
use testkit::world;

use super::{assert_equal, diff, on};

#[test]
fn a_file_of_this_library_equals_a_pt_file_and_a_directory_of_the_same_state() {
    let memory = Memory::new();
    let fabric = on(&memory);
    fabric.save("own.ckpt", &Train::new(3)).expect("saved");
    fabric
        .export("own.ckpt", "torch.pt", ExportOptions::new())
        .expect("exported");
    fabric
        .reshard("own.ckpt", "shards", Strategy::fsdp().ranks(3))
        .expect("resharded");
    let own = fabric.open("own.ckpt").expect("a file");
    for other in ["torch.pt", "shards"] {
        let diff = assert_equal(&own, &fabric.open(other).expect("a checkpoint"));
        assert_eq!(diff.equal_tensors, 12, "{other}");
        assert!(diff.equal_values > 6, "{other}");
    }
    let weights = ExportOptions::new().subtree("model");
    fabric
        .export("own.ckpt", "model.safetensors", weights)
        .expect("exported");
    assert_equal(
        &own.subtree("model"),
        &fabric.open("model.safetensors").expect("a file"),
    );
}

#[test]
fn every_layout_of_shards_equals_every_other() {
    let strategies = [
        (Strategy::single_device(), 1),
        (Strategy::fsdp().ranks(3), 3),
        (Strategy::mesh([("dp", 2), ("tp", 3), ("fsdp", 1)]), 6),
        (Strategy::mesh([("tp", 2), ("fsdp", 2), ("dp", 1)]), 4),
    ];
    let saved = |seed| {
        strategies
            .iter()
            .enumerate()
            .map(move |(number, strategy)| (number, strategy.clone(), seed))
    };
    let memory = Memory::new();
    for (number, (strategy, ranks), seed) in saved(3).chain(saved(4)) {
        world::run(&strategy, ranks, &memory, |fabric| {
            let path = format!("{seed}-{number}");
            fabric.save(path, &world::State::new(fabric, seed)).expect("saved");
        });
    }
    let fabric = on(&memory);
    let open = |number: usize, seed: u16| fabric.open(format!("{seed}-{number}")).expect("saved");
    for (first, second) in (0..4).flat_map(|first| (0..4).map(move |second| (first, second))) {
        assert_equal(&open(first, 3), &open(second, 3));
        let diff = diff(&open(first, 3), &open(second, 4));
        assert_eq!((diff.values.len(), diff.tensors.len(), diff.equal_tensors), (1, 6, 0));
        for tensor in &diff.tensors {
            let change = tensor.change.expect("numbers");
            let count = tensor.first.elements().expect("a shape") as u64;
            assert_eq!((change.elements, change.largest), (count, Some(1.)), "{}", tensor.name);
        }
    }
}

#[derive(fabric_core::Checkpoint)]
struct Large {
    #[checkpoint(shard(dim = 1, axis = "tp"))]
    columns: Tensor,
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    rows: Tensor,
}

/// Several MiB, whose rows and columns end nowhere near the end of a block, in files that are cut along rows and along columns.
#[test]
fn one_element_of_a_large_tensor_that_is_cut_otherwise_is_found() {
    let strategies = [
        Strategy::mesh([("dp", 1), ("tp", 1), ("fsdp", 1)]),
        Strategy::mesh([("dp", 2), ("tp", 3), ("fsdp", 1)]),
    ];
    let numbers = |seed| tensor(seed, (3, 700_001));
    let other = numbers(1);
    let first = other
        .flatten_all()
        .and_then(|flat| flat.to_vec1::<f32>())
        .expect("floats");
    let mut second = first.clone();
    second[1_000_000] = 2.;
    let spiked = Tensor::from_vec(second, (3, 700_001), &Device::Cpu).expect("memory");
    let memory = Memory::new();
    for (path, strategy, columns) in [("one", &strategies[0], &other), ("six", &strategies[1], &spiked)] {
        let ranks = strategy.axes().map(|(_, size)| size.unwrap_or(1)).product();
        world::run(strategy, ranks, &memory, |fabric| {
            let along = world::along(strategy, ranks, fabric.rank(), "tp");
            let state = Large {
                columns: world::part(columns, 1, along),
                rows: world::part(&numbers(2), 0, along),
            };
            fabric.save(path, &state).expect("saved");
        });
    }
    let fabric = on(&memory);
    let diff = diff(
        &fabric.open("one").expect("a directory"),
        &fabric.open("six").expect("a directory"),
    );
    assert_eq!((diff.tensors.len(), diff.equal_tensors), (1, 1), "{diff:?}");
    let change = diff.tensors[0].change.expect("numbers");
    let expected = 2. - f64::from(first[1_000_000]);
    let norm = first
        .iter()
        .map(|number| f64::from(*number).powi(2))
        .sum::<f64>()
        .sqrt();
    assert_eq!((change.elements, change.largest), (1, Some(expected)));
    let relative = change.relative.expect("numbers");
    assert!(
        (relative / (expected / norm) - 1.).abs() < 1e-9,
        "{relative} and {}",
        expected / norm
    );
}

/// Views, byte orders, element types and layouts of every kind, against the same tensors as PyTorch itself gave them out.
#[test]
fn files_of_pytorch_equal_the_same_tensors_in_safetensors() {
    let fixtures = fixture("");
    let mut compared = 0;
    for entry in std::fs::read_dir(fixtures).expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        let expected = format!("{}.expected.safetensors", path.display());
        if !std::path::Path::new(&expected).exists() {
            continue;
        }
        let fabric = fabric_core::Fabric::new();
        let [original, expected] = [path.clone(), expected.into()].map(|path| fabric.open(path).expect("a fixture"));
        let tensors = |raw: &RawCheckpoint| raw.names().iter().filter(|name| raw.info(name).is_some()).count();
        let diff = diff(&original, &expected);
        assert!(
            diff.tensors.is_empty() && diff.only_in_second.is_empty(),
            "{}: {diff:#?}",
            path.display()
        );
        assert_eq!(diff.equal_tensors, tensors(&expected), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 25, "only {compared} fixtures were found");
}

#[test]
fn a_transposed_view_is_compared_with_the_tensor_in_order() {
    let elements: Vec<f32> = (0..6u8).map(f32::from).collect();
    let data: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
    let view = testkit::torch::tensor("0", 6, 0, &[3, 2], &[1, 3]);
    let file = testkit::torch::torch(&[(text("a"), view)], &data);
    let raw = testkit::files::open(&[("view.pt", &file)], "view.pt").expect("a file");
    let order = |order: [f32; 6]| {
        let tensor = Tensor::from_slice(&order, (3, 2), &Device::Cpu).expect("memory");
        super::opened(&BTreeMap::from([("a".to_owned(), tensor)]))
    };
    assert_equal(&raw, &order([0., 3., 1., 4., 2., 5.]));
    let diff = diff(&order([0., 3., 1., 4., 2., 9.]), &raw);
    let change = diff.tensors[0].change.expect("numbers");
    assert_eq!((change.elements, change.largest), (1, Some(4.)));
}
