//! The bytes that ranks read through a recipe. Blocks are 1 MiB, and most stored parts are longer than one.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use fabric_core::group::ThreadGroup;
use fabric_core::optim::Sgd;
use fabric_core::testing::{Counting, Memory};
use fabric_core::{Fabric, LoadOptions, Migrations, Strategy};
use testkit::files;

use super::changes::{Change, PATH, joined, named, some, tensors};
use super::training::{Columns, Contents, Rows, Sharded, Tensors, Training};
use crate::strategies::world::{run, run_over};

/// Where a new cut meets a stored row, it leaves more than a third of the row on each side.
fn even() -> Change {
    Change::of(
        &[
            ("q", &[1120, 960]),
            ("k", &[480, 960]),
            ("a", &[720, 400]),
            ("b", &[720, 1600]),
            ("s", &[1200, 900]),
            ("t", &[1000, 1200]),
            ("r", &[1100, 1000]),
            ("gone", &[100, 1000]),
        ],
        |m| {
            join(m);
            m.split("model.s", [("model.upper", 500), ("model.lower", 700)], 0)
                .split("model.t", [("model.left", 600), ("model.right", 600)], 1);
        },
        |old| {
            let mut new = joining(old);
            new.extend(named([
                ("upper", some(old, "s", 0, 0, 500)),
                ("lower", some(old, "s", 0, 500, 700)),
                ("left", some(old, "t", 1, 0, 600)),
                ("right", some(old, "t", 1, 600, 600)),
            ]));
            new
        },
    )
}

/// Cuts lie anywhere.
fn odd() -> Change {
    Change::of(
        &[
            ("q", &[1103, 521]),
            ("k", &[497, 521]),
            ("a", &[701, 367]),
            ("b", &[701, 733]),
            ("s", &[907, 611]),
            ("t", &[801, 1009]),
            ("r", &[1009, 501]),
            ("gone", &[101, 1001]),
        ],
        |m| {
            join(m);
            m.split("model.s", [("model.upper", 400), ("model.lower", 507)], 0)
                .split("model.t", [("model.left", 333), ("model.right", 676)], 1);
        },
        |old| {
            let mut new = joining(old);
            new.extend(named([
                ("upper", some(old, "s", 0, 0, 400)),
                ("lower", some(old, "s", 0, 400, 507)),
                ("left", some(old, "t", 1, 0, 333)),
                ("right", some(old, "t", 1, 333, 676)),
            ]));
            new
        },
    )
}

fn join(m: &mut Migrations) {
    m.concat(["model.q", "model.k"], "model.qk", 0)
        .concat(["model.a", "model.b"], "model.ab", 1)
        .rename("model.r", "model.z")
        .remove("model.gone");
}

fn joining(old: &Tensors) -> Tensors {
    named([
        ("qk", joined(old, &["q", "k"], 0)),
        ("ab", joined(old, &["a", "b"], 1)),
        ("z", old["r"].clone()),
    ])
}

/// The old program after a step.
fn trained<S: Sharded>(fabric: &Fabric, contents: &Tensors, gradients: &Tensors) -> Training<S> {
    let mut training = Training::new(fabric, contents);
    training.step(fabric, gradients);
    training
}

/// The old program, saved by four ranks, and what the new program has of it.
fn saved<S: Sharded>(change: &Change) -> (Memory, Contents) {
    let storage = Memory::new();
    let (contents, gradients) = (tensors(change.before, 1), tensors(change.before, 100));
    run(&Strategy::fsdp(), 4, &storage, |fabric| {
        let training = trained::<S>(fabric, &contents, &gradients);
        fabric.save(PATH, &training.state).expect("saved");
    });
    let whole = trained::<S>(&Fabric::new(), &contents, &gradients).contents();
    (storage, change.restored(&whole))
}

/// A tensor in a file of the checkpoint.
struct Stored {
    name: String,
    bytes: u64,
    /// The bytes of it that were read, by all ranks together, each as often as it was.
    read: u64,
}

/// Loads on so many ranks, and counts.
fn counted<S: Sharded>(change: &Change, (storage, whole): &(Memory, Contents), ranks: usize) -> Vec<Stored> {
    let counting: Vec<Counting> = (0..ranks).map(|_| Counting::new(storage.clone())).collect();
    let zeros = |(name, tensor): (&String, &Tensor)| (name.clone(), tensor.zeros_like().expect("zeros"));
    let zeros: Tensors = whole.model.iter().map(zeros).collect();
    let done = run_over(&Strategy::fsdp(), &counting, ThreadGroup::TIMEOUT, |fabric| {
        let mut training = Training::<S>::new(fabric, &zeros);
        let options = LoadOptions::new().migrations(change.recipe);
        fabric.load_with(PATH, &mut training.state, options).expect("loaded");
        training.check(fabric, whole, "counted");
    });
    assert!(done.iter().all(Result::is_ok), "a rank panicked");
    let opened = counting.iter().flat_map(Counting::bytes_read_by_file);
    let opened: BTreeSet<PathBuf> = opened.map(|(path, _)| path).collect();
    let is_manifest = |path: &&PathBuf| path.extension().is_some_and(|end| end == "fabric");
    let with_tensors = opened.iter().filter(|path| !is_manifest(path));
    with_tensors.flat_map(|path| stored(storage, &counting, path)).collect()
}

/// The tensors in a file, with what was read of each. The file has a manifest of its own beside them.
fn stored(storage: &Memory, counting: &[Counting], path: &Path) -> Vec<Stored> {
    let file = files::read(storage, path);
    let (header, index) = safetensors::SafeTensors::read_metadata(&file).expect("a valid file");
    let reads: Vec<Range<u64>> = counting.iter().flat_map(|counting| counting.reads(path)).collect();
    let mut all = Vec::new();
    for (name, info) in index.tensors() {
        let place = |end: usize| (8 + header + end) as u64;
        let (start, end) = (place(info.data_offsets.0), place(info.data_offsets.1));
        let inside = |read: &Range<u64>| read.end.min(end).saturating_sub(read.start.max(start));
        if name.contains("model.") {
            all.push(Stored {
                name,
                bytes: end - start,
                read: reads.iter().map(inside).sum(),
            });
        }
    }
    all
}

/// Calls `check` with what four ranks saved along each dimension.
fn each(change: &Change, check: impl Fn(&(Memory, Contents), &str)) {
    check(&saved::<Rows<Sgd>>(change), "saved along 0");
    check(&saved::<Columns<Sgd>>(change), "saved along 1");
}

/// The bytes that this number of ranks reads, for each dimension along which they load.
fn along_both(change: &Change, saved: &(Memory, Contents), ranks: usize) -> [Vec<Stored>; 2] {
    [
        counted::<Rows<Sgd>>(change, saved, ranks),
        counted::<Columns<Sgd>>(change, saved, ranks),
    ]
}

/// The bytes of all tensors that the new program has.
fn needed(whole: &Contents) -> u64 {
    let tensors = std::iter::once(&whole.model).chain(whole.moments.values());
    let elements: usize = tensors.flat_map(Tensors::values).map(Tensor::elem_count).sum();
    elements as u64 * 4
}

/// Checks that every byte is read once, and nothing of what the recipe removes.
fn check_once(ranks: usize) {
    let change = even();
    each(&change, |saved, when| {
        for (dim, all) in along_both(&change, saved, ranks).into_iter().enumerate() {
            let when = format!("{when}, loaded by {ranks} along {dim}");
            let mut total = 0;
            for Stored { name, bytes, read } in all {
                let expected = if name.contains("gone") { 0 } else { bytes };
                assert_eq!(read, expected, "{name} of {bytes} bytes, {when}");
                total += read;
            }
            assert_eq!(total, needed(&saved.1), "{when}");
        }
    });
}

#[test]
fn every_byte_is_read_once_by_all_ranks_together() {
    check_once(2);
}

/// Both parts of a split tensor are read by one process, and complete the blocks together.
#[test]
fn every_byte_is_read_once_by_one_process() {
    check_once(1);
}

#[test]
fn cuts_that_lie_anywhere_are_read_with_at_most_a_quarter_more() {
    let change = odd();
    each(&change, |saved, when| {
        let needed = needed(&saved.1);
        for ranks in [1, 2, 3] {
            for (dim, all) in along_both(&change, saved, ranks).into_iter().enumerate() {
                let (gone, others): (Vec<Stored>, Vec<Stored>) =
                    all.into_iter().partition(|stored| stored.name.contains("gone"));
                let [gone, read] = [gone, others].map(|all| all.iter().map(|stored| stored.read).sum::<u64>());
                let when = format!("{when}, loaded by {ranks} along {dim}: {read} of {needed}");
                assert_eq!(gone, 0, "{when}");
                assert!((needed..=needed + needed / 4).contains(&read), "{when}");
            }
        }
    });
}
