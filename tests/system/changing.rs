//! Files that change while they are read: a load gives what was saved, or an error, and never anything else.

mod lent;
mod reading;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Fabric, LoadOptions, Strategy};
use testkit::dcp::Made;
use testkit::files::on;
use testkit::payload::Stored;
use testkit::pickle::{call, dict, global, int, persistent, pickle, text, tuple};
use testkit::zip::zip;

use self::reading::{
    ByColumns, ByRows, Changing, Whole, by_ranks, changes_at_every_read, of_all, read_raw, read_states,
};

const PATH: &str = "last.ckpt";

/// Two elements that follow each other in the files of these tests, in the middle of a row, far from the ends of everything.
const MARK: usize = 300_017;

/// As many elements, counted from 0: several blocks and many pieces.
const COUNT: usize = 600_000;

const ROWS: usize = 600;

fn elements() -> Vec<f32> {
    (0..COUNT).map(as_element).collect()
}

fn as_element(number: usize) -> f32 {
    f32::from_bits(0x4000_0000 + u32::try_from(number).unwrap())
}

fn saved() -> Memory {
    let memory = Memory::new();
    let w = Tensor::from_vec(elements(), (ROWS, COUNT / ROWS), &Device::Cpu).unwrap();
    let state = Whole {
        w: Var::from_tensor(&w).unwrap(),
    };
    on(memory.clone()).save(PATH, &state).unwrap();
    memory
}

/// A file of `torch.save` with these tensors over one storage: offset, size and strides of each.
fn torch(views: &[(&str, usize, [usize; 2], [usize; 2])]) -> Memory {
    let number = |number: usize| int(i128::try_from(number).unwrap());
    let storage = [
        text("storage"),
        global("torch", "FloatStorage"),
        text("0"),
        text("cpu"),
        number(COUNT),
    ];
    let view = |(name, offset, size, strides): &(&str, usize, [usize; 2], [usize; 2])| {
        let arguments = [
            persistent(&tuple(&storage)),
            number(*offset),
            tuple(&size.map(number)),
            tuple(&strides.map(number)),
            b"\x89".to_vec(),
            call(&global("collections", "OrderedDict"), &[]),
        ];
        (
            text(name),
            call(&global("torch._utils", "_rebuild_tensor_v2"), &arguments),
        )
    };
    let entries: Vec<_> = views.iter().map(view).collect();
    let data: Vec<u8> = elements().iter().flat_map(|element| element.to_le_bytes()).collect();
    let file = zip(&[
        ("data.pkl", &pickle(&dict(&entries))),
        ("byteorder", b"little"),
        ("data/0", &data),
        ("version", b"3\n"),
    ]);
    let memory = Memory::new();
    memory.create(Path::new(PATH)).unwrap().write_all(&file).unwrap();
    memory
}

#[test]
fn a_checkpoint_that_changes_between_two_reads_gives_a_checksum_error() {
    read_raw(&saved(), PATH, "a checkpoint");
    read_states(&saved(), PATH, "a checkpoint");
}

#[test]
fn small_tensors_that_change_between_two_reads_give_a_checksum_error() {
    let memory = Memory::new();
    let small = |number: usize| {
        let elements: Vec<f32> = (0..100).map(|at| as_element(number * 100 + at)).collect();
        let len = elements.len();
        (
            format!("w{number}"),
            Tensor::from_vec(elements, len, &Device::Cpu).unwrap(),
        )
    };
    let state: BTreeMap<String, Tensor> = (MARK / 100 - 3..MARK / 100 + 3).map(small).collect();
    on(memory.clone()).save(PATH, &state).unwrap();
    read_raw(&memory, PATH, "neighbours");
}

#[test]
fn a_directory_that_changes_between_two_reads_gives_a_checksum_error() {
    let memory = Memory::new();
    let all = Tensor::from_vec(elements(), (ROWS, COUNT / ROWS), &Device::Cpu).unwrap();
    let rows = ROWS / 2;
    let saving = Changing::new(&memory, usize::MAX);
    let groups = ThreadGroup::with_timeout(2, std::time::Duration::from_secs(20));
    std::thread::scope(|scope| {
        for (rank, group) in groups.into_iter().enumerate() {
            let (all, storage) = (&all, saving.clone());
            scope.spawn(move || {
                let part = all.narrow(0, rank * rows, rows).unwrap().copy().unwrap();
                let state = ByRows {
                    w: Var::from_tensor(&part).unwrap(),
                };
                let builder = Fabric::builder().storage(storage).strategy(Strategy::fsdp());
                builder
                    .process_group(group)
                    .build()
                    .unwrap()
                    .save(PATH, &state)
                    .unwrap();
            });
        }
    });
    read_raw(&memory, PATH, "a directory");
    read_states(&memory, PATH, "a directory");
    changes_at_every_read(&memory, "a directory, consolidated", |storage| {
        let done = storage.fabric().consolidate(PATH, "whole.ckpt");
        let read = done.and_then(|_| on(memory.clone()).open("whole.ckpt")?.tensors(&Device::Cpu));
        let _ = memory.remove_file(Path::new("whole.ckpt"));
        Ok(of_all(&read?))
    });
}

#[test]
fn a_storage_of_pytorch_that_changes_between_two_reads_gives_a_checksum_error() {
    let memory = torch(&[("w", 0, [ROWS, COUNT / ROWS], [COUNT / ROWS, 1])]);
    read_raw(&memory, PATH, "a whole storage");
    read_states(&memory, PATH, "a whole storage");
}

#[test]
fn views_of_one_storage_that_change_between_two_reads_give_a_checksum_error() {
    let columns = COUNT / ROWS;
    let memory = torch(&[
        ("first", 0, [1, 5], [5, 1]),
        ("half", 7, [2, 250_003], [250_003, 1]),
        ("small", MARK - 40, [9, 9], [9, 1]),
        ("transposed", 3, [columns, ROWS - 1], [1, columns]),
        ("sliced", 11, [ROWS - 1, 900], [columns, 1]),
        ("expanded", MARK, [3, 2], [0, 1]),
        ("across", 64, [300, 3], [1, 150_000]),
    ]);
    read_raw(&memory, PATH, "views");
}

#[test]
fn parts_of_a_view_that_change_between_two_reads_give_a_checksum_error() {
    // The last row is left out, so that the tensor is a view.
    let columns = COUNT / ROWS;
    let memory = torch(&[("w", 0, [ROWS - 2, columns], [columns, 1])]);
    for verify_first in [false, true] {
        let options = || LoadOptions::new().verify_first(verify_first);
        changes_at_every_read(&memory, "rows of a view", |storage| {
            by_ranks(storage, |fabric| {
                let mut state = ByRows::zeros((ROWS - 2) / 2, columns);
                fabric.load_with(PATH, &mut state, options())?;
                Ok(state.read())
            })
        });
        changes_at_every_read(&memory, "columns of a view", |storage| {
            by_ranks(storage, |fabric| {
                let mut state = ByColumns::zeros(ROWS - 2, columns / 2);
                fabric.load_with(PATH, &mut state, options())?;
                Ok(state.read())
            })
        });
    }
}

#[test]
fn a_distributed_checkpoint_that_changes_between_two_reads_gives_a_checksum_error() {
    let stored = |from: usize, rows: usize| {
        let mut stored = Stored::counting(0, &[rows, 1]);
        let columns = COUNT / ROWS;
        stored.size = vec![rows, columns];
        stored.strides = vec![columns, 1];
        stored.elements = elements()[from * columns..(from + rows) * columns].to_vec();
        stored
    };
    let mut made = Made::new();
    made.tensor(
        "w",
        &[ROWS, COUNT / ROWS],
        &[(&[0, 0], stored(0, 250)), (&[250, 0], stored(250, 350))],
    );
    let memory = made.storage();
    read_raw(&memory, "run", "a distributed checkpoint");
    read_states(&memory, "run", "a distributed checkpoint");
}
