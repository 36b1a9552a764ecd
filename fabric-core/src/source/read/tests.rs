//! Tests that several threads read a long tensor, and a box of one.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use super::stretches::Stretches;
use super::*;
use crate::Fabric;
use crate::entry::Region;
use crate::storage::Storage;
use crate::testing::{Faulty, Memory};

const PATH: &str = "last.ckpt";
const TENSOR: &str = "weight";

/// A checkpoint of one tensor of bytes, and the bytes.
fn saved(len: usize) -> (Memory, Vec<u8>) {
    let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
    let tensor = Tensor::from_slice(&bytes, len, &Device::Cpu).unwrap();
    let memory = Memory::new();
    let fabric = Fabric::builder().storage(memory.clone()).build().unwrap();
    fabric
        .save(PATH, &BTreeMap::from([(TENSOR.to_owned(), tensor)]))
        .unwrap();
    (memory, bytes)
}

/// By way of a storage that lends and of one that does not, with the same outcome.
fn read_by(memory: &Memory, threads: usize) -> Result<Vec<u8>> {
    let lent = read_through(memory.clone(), threads, None);
    let read = read_through(Faulty::new(memory.clone()), threads, None);
    match (&lent, &read) {
        (Ok(lent), Ok(read)) => assert!(lent == read, "{threads} threads"),
        (lent, read) => assert_eq!(
            lent.as_ref().err().map(ToString::to_string),
            read.as_ref().err().map(ToString::to_string)
        ),
    }
    lent
}

/// All of the tensor, or a box of it.
fn read_through(storage: impl Storage + 'static, threads: usize, region: Option<&Region>) -> Result<Vec<u8>> {
    let raw = Fabric::builder().storage(storage).build()?.open(PATH)?;
    let whole = &raw.index.tensors[TENSOR];
    let stored = &region.map_or_else(|| whole.clone(), |region| whole.cut_out(region));
    let mut into = vec![255; stored.info.byte_len().unwrap()];
    read_into(&*raw.source, TENSOR, stored, &mut into, threads)?;
    Ok(into)
}

#[test]
fn any_number_of_threads_reads_every_byte_of_a_long_tensor() {
    for len in [
        SHARED_FROM - 1,
        SHARED_FROM,
        SHARED_FROM + 1,
        SHARED_FROM + 9 * BLOCK + 7,
    ] {
        let (memory, bytes) = saved(len);
        for threads in [1, 2, 3, 4, 8, 100] {
            assert!(
                read_by(&memory, threads).unwrap() == bytes,
                "{len} bytes, {threads} threads"
            );
        }
    }
}

#[test]
fn any_box_of_a_long_tensor_is_read_whatever_blocks_it_begins_and_ends_in() {
    let len = SHARED_FROM + 9 * BLOCK + 7;
    let (memory, bytes) = saved(len);
    for (from, to) in [
        (0, len),
        (0, 9 * BLOCK),
        (1, len),
        (BLOCK, len),
        (BLOCK - 1, 2 * BLOCK + 1),
        (3 * BLOCK, 20 * BLOCK + 5),
        (3 * BLOCK + 5, len - 1),
        (len - 7, len),
        (len - 8, len),
    ] {
        let region = Region {
            offset: vec![from],
            size: vec![to - from],
        };
        for threads in [1, 2, 8] {
            let lent = read_through(memory.clone(), threads, Some(&region)).unwrap();
            assert!(lent == bytes[from..to], "{from} to {to}, {threads} threads");
            let read = read_through(Faulty::new(memory.clone()), threads, Some(&region)).unwrap();
            assert!(read == bytes[from..to], "{from} to {to}, {threads} threads");
        }
    }
}

#[test]
fn every_stretch_of_whole_blocks_is_read_by_itself_in_any_order() {
    for len in [1, BLOCK - 1, BLOCK, 3 * BLOCK, 9 * BLOCK + 7] {
        let (memory, bytes) = saved(len);
        let raw = Fabric::builder().storage(memory).build().unwrap().open(PATH).unwrap();
        let stretches = Stretches::of(&*raw.source, TENSOR, &raw.index.tensors[TENSOR]).unwrap();
        let stretches = stretches.expect("it is one run of the file");
        let mut into = vec![255; len];
        let mut parts: Vec<_> = into.chunks_mut(4 * BLOCK).enumerate().collect();
        parts.reverse();
        for (number, part) in parts {
            stretches.read(number * 4 * BLOCK, part).unwrap();
        }
        assert!(into == bytes, "{len} bytes");
        // One that is longer than the tensor is not filled half.
        assert!(stretches.read(0, &mut vec![0; len + 1]).is_err());
        stretches.finish().unwrap();
    }
}

#[test]
fn a_damaged_block_is_called_by_its_number_whichever_thread_meets_it() {
    let (memory, bytes) = saved(SHARED_FROM + 3 * BLOCK + 1);
    let path = Path::new(PATH);
    let file = memory.open(path).unwrap();
    let mut whole = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut whole, 0).unwrap();
    let data = whole.windows(bytes.len()).position(|window| window == bytes).unwrap();
    for damaged in [0, 1, 7, 8, 13, 19] {
        let mut changed = whole.clone();
        changed[data + damaged * BLOCK] ^= 1;
        memory.remove_file(path).unwrap();
        memory.create(path).unwrap().write_all(&changed).unwrap();
        for threads in [1, 2, 4, 8] {
            let error = read_by(&memory, threads).unwrap_err();
            assert!(
                matches!(error, Error::Checksum { block, .. } if block == damaged),
                "block {damaged}, {threads} threads: {error}"
            );
        }
        let raw = Fabric::builder()
            .storage(memory.clone())
            .build()
            .unwrap()
            .open(PATH)
            .unwrap();
        let stretches = Stretches::of(&*raw.source, TENSOR, &raw.index.tensors[TENSOR]).unwrap();
        let error = stretches
            .unwrap()
            .read(damaged * BLOCK, &mut vec![0; BLOCK.min(bytes.len() - damaged * BLOCK)])
            .unwrap_err();
        assert!(
            matches!(error, Error::Checksum { block, .. } if block == damaged),
            "{error}"
        );
    }
}

#[test]
fn a_thread_takes_as_much_as_is_lent_at_a_time_and_leaves_work_for_the_others() {
    for (blocks, threads, each) in [
        (16, 2, 8),
        (16, 4, 4),
        (16, 8, 4),
        (64, 8, 8),
        (40, 8, 5),
        (1024, 2, 8),
        (3, 8, 4),
    ] {
        assert_eq!(
            stretch(blocks * BLOCK, threads),
            each,
            "{blocks} blocks, {threads} threads"
        );
    }
}
