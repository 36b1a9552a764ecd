//! Saving and loading take a few blocks beside the state, whatever its size; a hostile file takes no more than it has.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use fabric_core::Fabric;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use testkit::allocations::tally;

use crate::alone;

/// A durable file is written from eight blocks of 2 MiB. So that each can be a large page it lies in twice as many
/// addresses, which take no memory before they are touched. One block of a MiB a thread is read at a time.
const BLOCK: usize = 2 * (2 << 20);
const BLOCKS: usize = 8;

/// The records of a few hundred tensors, and what is gathered of the small ones.
const RECORDS: usize = 4 << 20;

#[test]
fn saving_and_loading_take_a_few_blocks_beside_the_state() {
    alone(
        "checkpoint::saving_and_loading_take_a_few_blocks_beside_the_state",
        || {
            let (_, of_a_copy) = tally(|| vec![1u8; 64 << 20]);
            assert!(of_a_copy.largest >= 64 << 20, "the counter does not count");

            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("large.ckpt");
            let fabric = Fabric::new();
            let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("memory");
            for elements in [1 << 20, 16 << 20] {
                // One large tensor, several middling ones, a strided one and many small ones.
                let large = zeros(&[elements]);
                let strided = zeros(&[1 << 10, elements >> 12]).t().expect("a matrix");
                let middling: Vec<Tensor> = (0..4).map(|_| zeros(&[elements / 8])).collect();
                let small: Vec<Tensor> = (0..100).map(|_| zeros(&[16])).collect();
                let mut state = (large, strided, middling, small);
                let (saved, of_save) = tally(|| fabric.save(&path, &state));
                saved.expect("a save");
                let (loaded, of_load) = tally(|| fabric.load(&path, &mut state).map(drop));
                loaded.expect("a load");
                for (what, of) in [("save", of_save), ("load", of_load)] {
                    assert!(of.largest <= BLOCK + RECORDS, "{what} of {elements} elements: {of:?}");
                    assert!(
                        of.peak <= BLOCKS * BLOCK + RECORDS,
                        "{what} of {elements} elements: {of:?}"
                    );
                }
            }
            hostile_files_take_no_more_than_they_have();
        },
    );
}

/// Headers and indexes that claim what is not there.
fn hostile_files_take_no_more_than_they_have() {
    let header = |claim: u64, json: &str| [&claim.to_le_bytes(), json.as_bytes()].concat();
    let shape = r#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let files = [
        header(u64::MAX, "{}"),
        header(90_000_000, "{}"),
        header(shape.len() as u64, shape),
        [&header(shape.len() as u64, shape)[..], &[0; 100]].concat(),
    ];
    for bytes in files {
        let memory = Memory::new();
        memory
            .create(Path::new("x"))
            .and_then(|mut file| file.write_all(&bytes))
            .expect("memory");
        let fabric = Fabric::builder().storage(memory).build().expect("one device");
        let (opened, of_open) = tally(|| fabric.open("x").map(drop));
        assert!(opened.is_err());
        assert!(
            of_open.largest < 1 << 16,
            "{of_open:?} for a file of {} bytes",
            bytes.len()
        );
    }
}
