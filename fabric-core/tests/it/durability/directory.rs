//! Checkpoints of two ranks in a directory, and files and directories that take each other's place: a stop at every
//! operation, with every loss of what was not synced.

use std::path::Path;

use candle_core::{Device, Tensor};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::{FileKind, Storage};
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Checkpoint, Error, Fabric, Result, Strategy};

use super::state::on;

const PATH: &str = "run/last";
const OLD: u8 = 1;
const NEW: u8 = 2;

/// How many of the states that a stop may leave are looked at.
const STATES: usize = 150;

#[derive(Checkpoint)]
struct Halves {
    #[checkpoint(shard(dim = 0))]
    rows: Tensor,
    whole: Tensor,
    step: u64,
}

impl Halves {
    fn new(seed: u8, rank: usize, ranks: usize) -> Self {
        let start = f32::from(seed) * 100.;
        let rows = Tensor::arange(start, start + 4., &Device::Cpu).and_then(|rows| rows.reshape((4, 1)));
        let each = 4 / ranks;
        let rows = rows
            .and_then(|rows| rows.narrow(0, rank * each, each))
            .and_then(|rows| rows.copy());
        Self {
            rows: rows.expect("rows"),
            whole: Tensor::new(&[seed, 7], &Device::Cpu).expect("two elements"),
            step: u64::from(seed) << 33,
        }
    }

    fn contents(&self) -> (Vec<f32>, Vec<u8>, u64) {
        let rows = self.rows.flatten_all().and_then(|rows| rows.to_vec1());
        (rows.expect("f32"), self.whole.to_vec1().expect("u8"), self.step)
    }
}

/// Where a checkpoint comes from.
#[derive(Clone, Copy, Debug)]
enum World {
    /// One process, one file.
    One,
    /// So many ranks, a directory.
    Many(usize),
}

const TWO: World = World::Many(2);

/// Saves on all ranks of a world, whose storages are one: if it stops, it stops for all.
fn save(world: World, storage: &(impl Storage + Clone + 'static), seed: u8) -> Result<()> {
    let World::Many(ranks) = world else {
        return on(storage.clone()).save(PATH, &Halves::new(seed, 0, 1)).map(drop);
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = ThreadGroup::new(ranks)
            .into_iter()
            .map(|group| {
                let fabric = Fabric::builder().strategy(Strategy::fsdp()).storage(storage.clone());
                let fabric = fabric.process_group(group).build().expect("a world");
                scope.spawn(move || fabric.save(PATH, &Halves::new(seed, fabric.rank(), ranks)).map(drop))
            })
            .collect();
        let ended: Vec<Result<()>> = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect();
        ended.into_iter().collect()
    })
}

fn with_old(world: World) -> Memory {
    let memory = Memory::new();
    save(world, &memory, OLD).expect("nothing fails yet");
    memory
}

/// Which of the two states one device finds.
fn found(storage: &Memory, when: &str) -> u8 {
    let mut state = Halves::new(0, 0, 1);
    let loaded = on(storage.clone()).load(PATH, &mut state);
    loaded.unwrap_or_else(|error| panic!("{when}: {error}\n{storage:?}"));
    let found = [OLD, NEW]
        .into_iter()
        .find(|&seed| state.contents() == Halves::new(seed, 0, 1).contents());
    found.unwrap_or_else(|| panic!("{when}: neither the old state nor the new: {:?}", state.contents()))
}

/// Fails if anything is there beside one checkpoint of a world.
fn assert_alone(storage: &Memory, world: World, when: &str) {
    assert_eq!(storage.list(Path::new("run")).expect("a directory"), ["last"], "{when}");
    let kind = storage.kind(Path::new(PATH)).expect("memory");
    let World::Many(ranks) = world else {
        assert_eq!(kind, Some(FileKind::File), "{when}");
        return;
    };
    assert_eq!(kind, Some(FileKind::Directory), "{when}");
    let names = storage.list(Path::new(PATH)).expect("a directory");
    let [generation, manifest] = names.as_slice() else {
        panic!("{when}: {names:?}");
    };
    assert_eq!(
        (generation.starts_with("g-"), manifest.as_str()),
        (true, "manifest.fabric"),
        "{when}"
    );
    let files = storage.list(&Path::new(PATH).join(generation)).expect("a folder");
    assert_eq!(files.len(), ranks, "{when}: {files:?}");
}

/// Every way from one world to another.
fn transitions() -> Vec<(World, World)> {
    vec![
        (TWO, TWO),
        (TWO, World::Many(1)),
        (World::Many(1), TWO),
        (World::Many(4), TWO),
        (World::One, World::One),
        (World::One, TWO),
        (TWO, World::One),
    ]
}

/// How many operations a save takes at most: which rank is first does not matter to their number.
fn operations(from: World, to: World) -> usize {
    let storage = Faulty::new(with_old(from));
    save(to, &storage, NEW).expect("no fault is set");
    storage.operations()
}

#[test]
fn a_save_replaces_whatever_was_there_and_leaves_nothing_of_it() {
    for (from, to) in transitions() {
        let memory = with_old(from);
        save(to, &memory, NEW).expect("nothing fails");
        let when = format!("{from:?} to {to:?}");
        assert_alone(&memory, to, &when);
        for left in memory.crash_states(STATES) {
            assert_eq!(found(&left, &when), NEW, "{when}: not durable");
        }
    }
}

#[test]
fn a_stop_at_any_operation_leaves_the_old_checkpoint_or_the_new_whatever_was_not_synced() {
    for (from, to) in transitions() {
        let (mut olds, mut news) = (0, 0);
        for k in 0..operations(from, to) {
            let memory = with_old(from);
            let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
            let saved = save(to, &storage, NEW);
            let log = storage.log();
            let when = format!(
                "{from:?} to {to:?}: stop at {k}, {}",
                log.get(k).map_or("", String::as_str)
            );
            for left in memory.crash_states(STATES) {
                match found(&left, &when) {
                    OLD => olds += 1,
                    _ => news += 1,
                }
                assert!(
                    saved.is_err() || found(&left, &when) == NEW,
                    "{when}: the save said that it succeeded"
                );
            }
            // The process was killed, and the machine goes on.
            found(&memory, &when);
            for next in [to, from] {
                save(next, &memory, OLD).unwrap_or_else(|error| panic!("{when}: {error}"));
                assert_eq!(found(&memory, &when), OLD, "{when}");
                assert_alone(&memory, next, &format!("{when}, then {next:?}"));
            }
        }
        assert!(olds > 0 && news > 0, "{from:?} to {to:?}: {olds} old and {news} new");
    }
}

#[test]
fn the_next_save_of_either_kind_removes_what_a_killed_one_left() {
    for (from, to) in transitions() {
        let mut left_something = 0;
        for k in 0..operations(from, to) {
            for next in [World::One, TWO] {
                let memory = with_old(from);
                let before = format!("{memory:?}");
                let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
                // A stop among the courtesies at the end is no error.
                drop(save(to, &storage, NEW));
                left_something += usize::from(format!("{memory:?}") != before);
                save(next, &memory, NEW).expect("nothing fails any more");
                assert_alone(
                    &memory,
                    next,
                    &format!("{from:?} to {to:?}: stop at {k}, {}, then {next:?}", storage.log()[k]),
                );
            }
        }
        assert!(left_something > 0, "no stop left anything, so nothing was shown");
    }
}

#[test]
fn a_stop_during_the_first_save_ever_leaves_nothing_or_everything() {
    let storage = Faulty::new(Memory::new());
    save(TWO, &storage, NEW).expect("no fault is set");
    for k in 0..storage.operations() {
        let memory = Memory::new();
        let stopping = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
        drop(save(TWO, &stopping, NEW));
        let when = format!("stop at {k}, {}", stopping.log()[k]);
        for left in memory.crash_states(STATES) {
            match on(left.clone()).open(PATH) {
                Ok(_) => assert_eq!(found(&left, &when), NEW),
                Err(error) => assert!(matches!(error, Error::NotFound { .. }), "{when}: {error}"),
            }
        }
    }
}

#[test]
fn a_device_error_at_any_operation_leaves_a_checkpoint_and_after_the_next_save_nothing_else() {
    for (from, to) in transitions() {
        for k in 0..operations(from, to) {
            for fault in [Fault::Os(5), Fault::ShortWrite, Fault::Full] {
                let memory = with_old(from);
                let storage = Faulty::new(memory.clone()).with_fault(k, fault);
                let saved = save(to, &storage, NEW);
                let log = storage.log();
                let what = log.get(k).map_or("", String::as_str);
                let when = format!("{from:?} to {to:?}: {fault:?} at {k}, {what}");
                let holds = found(&memory, &when);
                if saved.is_ok() {
                    assert_eq!(holds, NEW, "{when}: the save said that it succeeded");
                }
                save(to, &memory, NEW).unwrap_or_else(|error| panic!("{when}: {error}"));
                assert_alone(&memory, to, &when);
            }
        }
    }
}
