//! Of a distributed checkpoint that PyTorch wrote, too, a rank reads what it needs, and the framing of the archives around it.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::Local;
use fabric_core::testing::Counting;
use fabric_core::{Checkpoint, LoadOptions, Strategy};

use super::bytes_read::{Columns, Rows, Weight};
use super::world::{along, part, run_over};

/// Of `weight`, which two ranks wrote; `unrelated` lies beside it.
const ROWS: usize = 441;
const COLUMNS: usize = 380;
const BYTES: u64 = (ROWS * COLUMNS * 4) as u64;

/// What is read to find the bytes in an archive: its beginning and its end.
const FRAMING: u64 = 4096 + 2048;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch/dcp_rows2")
}

#[derive(Checkpoint)]
struct Trained<W> {
    model: W,
}

fn whole() -> Tensor {
    let numbers = (0..ROWS * COLUMNS).map(|number| f32::from(u16::try_from(number % 65_536).expect("16 bits")));
    let high = (0..ROWS * COLUMNS).map(|number| 65_536. * f32::from(u16::try_from(number / 65_536).expect("few")));
    let numbers: Vec<f32> = numbers.zip(high).map(|(low, high)| low + high).collect();
    Tensor::from_vec(numbers, (ROWS, COLUMNS), &Device::Cpu).expect("a tensor")
}

/// What each rank reads of the files with the tensors when it loads, the index being known.
fn read_by<W: Weight>(ranks: usize) -> Vec<u64> {
    let counting: Vec<Counting> = (0..ranks).map(|_| Counting::new(Local::new())).collect();
    let whole = whole();
    let done = run_over(&Strategy::fsdp(), &counting, ThreadGroup::TIMEOUT, |fabric| {
        let held = |whole: &Tensor| {
            let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp");
            part(whole, W::DIM, along)
        };
        let zeros = held(&whole.zeros_like().expect("zeros"));
        let mut state = Trained { model: W::of(zeros) };
        let options = LoadOptions::new().strict(false);
        fabric.load_with(directory(), &mut state, options).expect("the weight");
        let numbers = |tensor: &Tensor| tensor.to_vec2::<f32>().expect("numbers");
        assert_eq!(numbers(state.model.weight()), numbers(&held(&whole)));
    });
    assert!(done.iter().all(Result::is_ok), "a rank panicked");
    let tensors = |counting: &Counting| {
        let files = counting.bytes_read_by_file().into_iter();
        let tensors = files.filter(|(path, _)| path.extension().is_some_and(|end| end == "distcp"));
        tensors.map(|(_, bytes)| bytes).sum()
    };
    counting.iter().map(tensors).collect()
}

/// How many of the two chunks, of 221 and 220 rows, a rank's rows lie in.
fn chunks(rank: usize, ranks: usize) -> u64 {
    let (each, more) = (ROWS / ranks, ROWS % ranks);
    let start = rank * each + rank.min(more);
    let end = start + each + usize::from(rank < more);
    u64::from(start < 221) + u64::from(end > 221)
}

#[test]
fn rows_of_a_distributed_checkpoint_are_read_once_and_framing_beside_them() {
    for ranks in [1, 2, 3] {
        let read = read_by::<Rows>(ranks);
        let framing: u64 = (0..ranks).map(|rank| chunks(rank, ranks) * FRAMING).sum();
        assert_eq!(read.iter().sum::<u64>(), BYTES + framing, "{ranks} ranks: {read:?}");
    }
}

#[test]
fn columns_of_a_distributed_checkpoint_are_read_with_at_most_a_quarter_more() {
    for ranks in [2, 3] {
        let read: u64 = read_by::<Columns>(ranks).iter().sum();
        // Every rank needs something of both chunks.
        let framing = 2 * ranks as u64 * FRAMING;
        let needed = BYTES + framing..=BYTES + BYTES / 4 + framing;
        assert!(needed.contains(&read), "{ranks} ranks: {read} of {BYTES}");
    }
}
