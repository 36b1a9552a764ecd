//! What it costs to open a checkpoint of many chunks: a program by itself, because allocations are counted.

#[allow(dead_code, reason = "shared with the other program")]
mod archive;
#[path = "../../fabric-core/tests/counting/mod.rs"]
mod counting;
#[allow(dead_code, reason = "shared with the other program")]
mod made;
#[allow(dead_code, reason = "shared with the other program")]
mod pickle;

use std::path::Path;

use archive::Stored;
use counting::{Tally, tally};
use fabric_core::Fabric;
use fabric_core::storage::Counting;
use made::{Chunk, Made, elements};

/// Tensors, each cut into a grid of 50 by 20 chunks of one element, dealt out to eight ranks.
fn many(tensors: usize) -> Made {
    let mut made = Made::new();
    let payload = Stored::counting(1, &[1, 1]).archive();
    for number in 0..tensors {
        let mut chunks = Vec::new();
        for at in 0..1000 {
            let file = format!("__{}_0.distcp", at % 8);
            let contents = made.files.entry(file.clone()).or_default();
            let start = i128::try_from(contents.len()).unwrap();
            contents.extend(&payload);
            let len = i128::try_from(payload.len()).unwrap();
            chunks.push(Chunk {
                offset: vec![at / 20, at % 20],
                size: vec![1, 1],
                place: made::Place { file, start, len },
            });
        }
        made.tensors
            .push((format!("layer.{number}.weight"), vec![50, 20], chunks));
    }
    made
}

/// Opens, and says what was allocated and which bytes were read.
fn open(made: &Made) -> (Tally, u64) {
    let counting = Counting::new(made.storage());
    let fabric = Fabric::builder().storage(counting.clone()).build().unwrap();
    let (raw, tally) = tally(|| fabric.open("run").unwrap());
    let index = counting.bytes_read(Path::new("run/.metadata"));
    let read: u64 = counting.bytes_read_by_file().values().sum();
    assert_eq!(read, index, "opening reads the index and nothing of the tensors");
    assert_eq!(raw.len(), made.tensors.len());
    let last = made.tensors.len() - 1;
    assert_eq!(elements(&raw, &format!("layer.{last}.weight")), [1.; 1000]);
    (tally, index)
}

#[test]
fn opening_twenty_thousand_chunks_takes_what_four_times_five_thousand_take() {
    let (most, many_bytes) = open(&many(20));
    let (small, small_bytes) = open(&many(5));
    let (half, _) = open(&many(10));
    assert!(many_bytes < 4 * small_bytes + small_bytes / 10);
    // Tables that double in size may be a step ahead.
    assert!(most.total < 5 * small.total, "{most:?}, {small:?}");
    assert!(most.total < half.total * 5 / 2, "{most:?}, {half:?}");
    // The index itself is held while it is read, and the objects of its pickle.
    assert!(
        most.peak < usize::try_from(20 * many_bytes).unwrap(),
        "{most:?} for {many_bytes}"
    );
}
