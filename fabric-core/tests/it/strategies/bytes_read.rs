//! Only the bytes that a rank needs are read, of only the files that have them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use fabric_core::testing::{Counting, Memory};
use fabric_core::{Checkpoint, Fabric, LoadOptions, Strategy};

use super::files::{Files, files, holding};
use super::world::{alone, along, part, run, run_over};

const PATH: &str = "run/last";

/// Blocks are 1 MiB: the tensors are longer than several, and not a multiple.
const ROWS: usize = 1100;
const COLUMNS: usize = 520;

#[derive(Checkpoint)]
pub(crate) struct Rows {
    #[checkpoint(shard(dim = 0))]
    weight: Tensor,
}

#[derive(Checkpoint)]
pub(crate) struct Columns {
    #[checkpoint(shard(dim = 1))]
    weight: Tensor,
}

#[derive(Checkpoint)]
struct Both<W> {
    model: W,
    #[checkpoint(shard(dim = 0))]
    other: Tensor,
}

pub(crate) trait Weight: Checkpoint + Sized {
    const DIM: usize;
    fn of(weight: Tensor) -> Self;
    fn weight(&self) -> &Tensor;
}

impl Weight for Rows {
    const DIM: usize = 0;
    fn of(weight: Tensor) -> Self {
        Self { weight }
    }
    fn weight(&self) -> &Tensor {
        &self.weight
    }
}

impl Weight for Columns {
    const DIM: usize = 1;
    fn of(weight: Tensor) -> Self {
        Self { weight }
    }
    fn weight(&self) -> &Tensor {
        &self.weight
    }
}

fn whole() -> Tensor {
    let bytes = 0..u32::try_from(ROWS * COLUMNS).expect("small");
    Tensor::from_vec(bytes.collect::<Vec<u32>>(), (ROWS, COLUMNS), &Device::Cpu).expect("a tensor")
}

fn held(fabric: &Fabric, whole: &Tensor, dim: usize) -> Tensor {
    part(
        whole,
        dim,
        along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp"),
    )
}

fn state<W: Weight>(fabric: &Fabric, whole: &Tensor) -> Both<W> {
    Both {
        model: W::of(held(fabric, whole, W::DIM)),
        other: held(fabric, whole, 0),
    }
}

const BYTES: u64 = (ROWS * COLUMNS * 4) as u64;

/// What the ranks read.
struct Read {
    /// The bytes of the weight, by all ranks together.
    total: u64,
    /// The files that each rank opened.
    files: Vec<Vec<PathBuf>>,
}

/// Loads the component on so many ranks, and counts.
fn counted<W: Weight>(storage: &Memory, ranks: usize, load: fn(&Fabric, &mut Both<W>)) -> Read {
    let counting: Vec<Counting> = (0..ranks).map(|_| Counting::new(storage.clone())).collect();
    let whole = whole();
    let done = run_over(
        &Strategy::fsdp(),
        &counting,
        fabric_core::group::ThreadGroup::TIMEOUT,
        |fabric| {
            let zeros = whole.zeros_like().expect("zeros");
            let mut state = state::<W>(fabric, &zeros);
            load(fabric, &mut state);
            let expected = held(fabric, &whole, W::DIM).to_vec2::<u32>().expect("numbers");
            assert_eq!(state.model.weight().to_vec2::<u32>().expect("numbers"), expected);
            assert!(
                state
                    .other
                    .max_all()
                    .and_then(|max| max.to_scalar::<u32>())
                    .expect("a number")
                    == 0
            );
        },
    );
    assert!(done.iter().all(Result::is_ok), "a rank panicked");
    let by_rank: Vec<_> = counting
        .iter()
        .map(|counting| tensor_bytes(storage, counting))
        .collect();
    Read {
        total: by_rank.iter().flat_map(BTreeMap::values).sum(),
        files: by_rank.iter().map(|read| read.keys().cloned().collect()).collect(),
    }
}

/// The bytes of the weight that were read, each as often as it was, by file; of other tensors none may be.
fn tensor_bytes(storage: &Memory, counting: &Counting) -> BTreeMap<PathBuf, u64> {
    let opened = counting.bytes_read_by_file().into_keys();
    opened
        .filter(|path| path.extension().is_none_or(|end| end != "fabric"))
        .map(|path| {
            let bytes = &files(storage, &path)[&path];
            let (header, tensors) = safetensors::SafeTensors::read_metadata(bytes).expect("a valid file");
            let read = |name: &str| -> u64 {
                let Some(info) = tensors.info(name) else { return 0 };
                let place = |end: usize| (8 + header + end) as u64;
                let (start, end) = (place(info.data_offsets.0), place(info.data_offsets.1));
                let reads = counting.reads(&path).into_iter();
                reads
                    .map(|read| read.end.min(end).saturating_sub(read.start.max(start)))
                    .sum()
            };
            assert_eq!(
                ["other", "unrelated"].map(read),
                [0, 0],
                "{}: nobody needs it",
                path.display()
            );
            (path.clone(), read("model.weight") + read("weight"))
        })
        .collect()
}

fn only_the_model<W: Weight>(fabric: &Fabric, state: &mut Both<W>) {
    let only = LoadOptions::new().only(Both::<W>::FIELDS.model);
    fabric.load_with(PATH, state, only).expect("the model");
}

fn saved<W: Weight>(ranks: usize) -> Memory {
    let (storage, whole) = (Memory::new(), whole());
    run(&Strategy::fsdp(), ranks, &storage, |fabric| {
        fabric.save(PATH, &state::<W>(fabric, &whole)).expect("saved");
    });
    storage
}

#[test]
fn rows_are_read_once_by_all_ranks_together() {
    for (writers, readers) in [(1, 3), (2, 3), (4, 3), (3, 4), (3, 3), (3, 1), (2, 5)] {
        let read = counted::<Rows>(&saved::<Rows>(writers), readers, only_the_model);
        assert_eq!(read.total, BYTES, "{writers} wrote, {readers} read");
    }
}

#[test]
fn only_files_that_overlap_are_opened() {
    let read = counted::<Rows>(&saved::<Rows>(4), 2, only_the_model);
    let opened: Vec<usize> = read.files.iter().map(Vec::len).collect();
    assert_eq!(opened, [2, 2]);
    let read = counted::<Rows>(&saved::<Rows>(2), 4, only_the_model);
    assert_eq!(read.files.iter().map(Vec::len).collect::<Vec<_>>(), [1; 4]);
}

#[test]
fn columns_are_read_with_at_most_a_quarter_more() {
    for (writers, readers) in [(1, 3), (2, 3), (4, 3), (3, 4), (2, 8)] {
        let read = counted::<Columns>(&saved::<Columns>(writers), readers, only_the_model);
        let most = BYTES + BYTES / 4;
        assert!(
            (BYTES..=most).contains(&read.total),
            "{writers} wrote, {readers} read: {} of {BYTES}",
            read.total
        );
    }
}

#[test]
fn columns_of_rows_and_rows_of_columns_are_read_with_at_most_a_quarter_more() {
    for (writers, readers) in [(1, 4), (3, 4), (4, 3)] {
        let read = counted::<Columns>(&saved::<Rows>(writers), readers, only_the_model);
        assert!(
            read.total <= BYTES + BYTES / 4,
            "rows of {writers} to columns of {readers}: {}",
            read.total
        );
        let read = counted::<Rows>(&saved::<Columns>(writers), readers, only_the_model);
        assert!(
            read.total <= BYTES + BYTES / 4,
            "columns of {writers} to rows of {readers}: {}",
            read.total
        );
    }
}

#[test]
fn one_file_is_read_the_same_way() {
    let (storage, whole) = (Memory::new(), whole());
    let one = alone(&storage);
    one.save(PATH, &state::<Rows>(&one, &whole)).expect("saved");
    assert_eq!(counted::<Rows>(&storage, 3, only_the_model).total, BYTES);
    let columns = counted::<Columns>(&storage, 3, only_the_model).total;
    assert!(columns <= BYTES + BYTES / 4, "{columns}");
}

fn bare() -> Memory {
    let whole = whole();
    let bytes: Vec<u8> = whole
        .flatten_all()
        .and_then(|flat| flat.to_vec1::<u32>())
        .expect("numbers")
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    let view = |bytes| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::U32, vec![ROWS, COLUMNS], bytes).expect("a view")
    };
    let tensors = [("weight", view(&bytes)), ("unrelated", view(&bytes))];
    let file = safetensors::serialize(tensors, None).expect("a file");
    holding(&Files::from([(PathBuf::from("weights/model.safetensors"), file)]))
}

#[test]
fn plain_weights_are_read_the_same_way_into_parts() {
    fn raw<W: Weight>(fabric: &Fabric, state: &mut Both<W>) {
        let options = LoadOptions::new().strict(false);
        fabric
            .load_raw_with("weights/model.safetensors", &mut state.model, options)
            .expect("weights");
    }
    let storage = bare();
    assert_eq!(counted::<Rows>(&storage, 3, raw).total, BYTES);
    let columns = counted::<Columns>(&storage, 3, raw).total;
    assert!((BYTES..=BYTES + BYTES / 4).contains(&columns), "{columns}");
}
