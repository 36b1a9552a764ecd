//! Damaged contents are never compared as if they were whole.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use fabric_core::{DiffOptions, Error, Strategy};
use testkit::files;
use testkit::pickle::text;
use testkit::states::{image, tensor};

use super::opened;

#[test]
fn damage_in_a_tensor_that_is_read_is_an_error() {
    let state = |seed| BTreeMap::from([("a".to_owned(), tensor(seed, (1000, 1000)))]);
    let mut bytes = image(&state(1));
    bytes[2_000_001] ^= 4;
    let damaged = files::open(&[("x", &bytes)], "x").expect("the index is whole");
    let other = opened(&state(2));
    for (first, second) in [(&damaged, &other), (&other, &damaged)] {
        let error = first.diff(second, DiffOptions::new()).expect_err("damage");
        assert!(
            matches!(&error, Error::Checksum { entry, block: 1, .. } if entry == "a"),
            "{error}"
        );
    }
}

/// The columns of a shard are read in pieces that end inside of blocks, and verified when all are there.
#[test]
fn damage_in_a_block_that_is_read_in_pieces_is_an_error() {
    let memory = files::holding([
        ("whole", image(&(tensor(1, (2, 600_000)), 7u64))),
        ("other", image(&(tensor(2, (2, 600_000)), 7u64))),
    ]);
    let fabric = files::on(memory.clone());
    fabric
        .reshard("whole", "shards", Strategy::fsdp().ranks(2))
        .expect("resharded");
    let other = fabric.open("other").expect("a file");
    let sound = fabric.open("shards").expect("a directory");
    sound.diff(&other, DiffOptions::new()).expect("whole");
    let mut damaged = 0;
    let storage: &dyn fabric_core::storage::Storage = &memory;
    for folder in storage.list("shards".as_ref()).expect("a directory") {
        let folder = format!("shards/{folder}");
        for name in storage.list(folder.as_ref()).unwrap_or_default() {
            let path = format!("{folder}/{name}");
            let mut bytes = files::read(storage, &path);
            bytes[700_000] ^= 1;
            storage.remove_file(path.as_ref()).expect("it is there");
            files::write(storage, &path, &bytes);
            damaged += 1;
        }
    }
    assert_eq!(damaged, 2);
    let shards = fabric.open("shards").expect("the index is whole");
    let error = shards.diff(&other, DiffOptions::new()).expect_err("damage");
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
}

#[test]
fn damage_in_a_pt_file_is_an_error() {
    let data: Vec<u8> = (0..24).collect();
    let view = testkit::torch::tensor("0", 6, 0, &[3, 2], &[1, 3]);
    let mut file = testkit::torch::torch(&[(text("a"), view)], &data);
    let at = file.windows(24).position(|window| window == data).expect("the storage");
    file[at + 5] ^= 1;
    let damaged = files::open(&[("x.pt", &file)], "x.pt").expect("the pickle is whole");
    let zeros = Tensor::zeros((3, 2), candle_core::DType::F32, &Device::Cpu).expect("memory");
    let other = opened(&BTreeMap::from([("a".to_owned(), zeros)]));
    let error = other.diff(&damaged, DiffOptions::new()).expect_err("damage");
    assert!(error.to_string().starts_with("x.pt is damaged"), "{error}");
}

#[test]
fn views_that_show_far_more_than_the_file_has_are_refused() {
    let view = testkit::torch::tensor("0", 6, 0, &[1 << 20, 1 << 20], &[0, 0]);
    let bomb = |first: u8| testkit::torch::torch(&[(text("a"), view.clone())], &[first; 24]);
    let [first, second] = [1, 2].map(|first| files::open(&[("x.pt", &bomb(first))], "x.pt").expect("a pickle"));
    let error = first.diff(&second, DiffOptions::new()).expect_err("too much");
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}
