//! What it costs to open a checkpoint of many chunks.

use std::path::Path;

use fabric_core::Fabric;
use fabric_core::testing::Counting;
use testkit::allocations::{Tally, tally};
use testkit::dcp::{self, Chunk, Made, elements};
use testkit::payload::Stored;
use testkit::pickle;

use crate::alone;

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
                place: dcp::Place { file, start, len },
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
    let _alone = alone();
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

/// An object that is remembered under a number, and what refers to it.
fn remembered(number: u8, object: &[u8]) -> (Vec<u8>, Vec<u8>) {
    ([object, &[b'q', number]].concat(), vec![b'h', number])
}

#[test]
fn an_index_that_refers_to_the_same_objects_again_and_again_takes_no_more_memory_than_a_small_file_may() {
    let _alone = alone();
    let made = many(1);
    let long = "a".repeat(100_000);
    let (first, again) = remembered(1, &pickle::text(&long));
    let path = pickle::tuple(&[vec![first], vec![again; 60]].concat());
    let (first, again) = remembered(2, &path);
    let path = |at: usize| if at == 0 { first.clone() } else { again.clone() };
    let names = (0..20_000).map(|at| (pickle::text(&format!("layer.{at}")), path(at)));
    let mut long_paths = made.fields();
    long_paths[1].1 = pickle::dict(&names.collect::<Vec<_>>());

    let chunk = [("offsets", dcp::size(&[0; 60])), ("sizes", dcp::size(&[1; 60]))];
    let (first, again) = remembered(3, &made.make("ChunkStorageMetadata", &chunk));
    let (chunks, chunks_again) = remembered(4, &pickle::list(&[vec![first], vec![again; 100_000]].concat()));
    let tensor = |chunks: &[u8]| {
        let state = [
            (
                "properties",
                pickle::instance(
                    &properties(),
                    Some(&pickle::tuple(&[pickle::global("torch", "float32")])),
                ),
            ),
            ("size", dcp::size(&[1; 60])),
            ("chunks", chunks.to_vec()),
        ];
        made.make("TensorStorageMetadata", &state)
    };
    let tensors = (0..1000).map(|at| {
        let chunks = if at == 0 { &chunks } else { &chunks_again };
        (pickle::text(&format!("layer.{at}")), tensor(chunks))
    });
    let mut same_chunks = made.fields();
    let index = [("fqn", pickle::text("layer.0")), ("offset", dcp::size(&[0; 60]))];
    let place = [
        ("relative_path", pickle::text("__0_0.distcp")),
        ("offset", pickle::int(0)),
        ("length", pickle::int(100)),
    ];
    let storage_info = pickle::global("torch.distributed.checkpoint.filesystem", "_StorageInfo");
    let place = pickle::instance(&storage_info, Some(&pickle::attributes(&place)));
    same_chunks[2].1 = pickle::dict(&[(made.make("MetadataIndex", &index), place)]);
    same_chunks[0].1 = pickle::dict(&tensors.collect::<Vec<_>>());

    // Paths that spell no name are passed over.
    for (fields, refused) in [
        (long_paths, None),
        (same_chunks, Some("more chunks than there are places")),
    ] {
        let metadata = pickle::pickle(&made.make("Metadata", &fields));
        let storage = made.storage_with(&metadata);
        let (outcome, tally) = tally(|| dcp::open(&storage));
        match (&outcome, refused) {
            (Err(error), Some(refused)) => assert!(error.to_string().contains(refused), "{error}"),
            _ => assert!(outcome.is_ok() && refused.is_none(), "{outcome:?}"),
        }
        assert!(tally.peak < 64 << 20, "{tally:?} for {} bytes", metadata.len());
    }
}

fn properties() -> Vec<u8> {
    pickle::global("torch.distributed.checkpoint.metadata", "TensorProperties")
}
