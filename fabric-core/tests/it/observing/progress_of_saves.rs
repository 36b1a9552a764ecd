//! `SaveOptions::progress`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use candle_core::{Device, Tensor};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, SaveOptions, Strategy};

use super::state::{Calls, MIB, State, Values, buggy, on, said, saved};

fn watched(calls: &Calls) -> SaveOptions {
    SaveOptions::new().progress(calls.callback())
}

#[test]
fn a_save_tells_of_every_byte_on_the_thread_that_writes() {
    let fabric = on(Memory::new());
    for background in [false, true] {
        let calls = Calls::default();
        let state = State::new(1., 0);
        let thread = if background {
            let saving = fabric
                .save_async_with("last", &state, watched(&calls))
                .expect("started");
            saving.wait().expect("saved");
            "fabric-save".to_owned()
        } else {
            fabric.save_with("last", &state, watched(&calls)).expect("saved");
            thread::current().name().unwrap_or_default().to_owned()
        };
        let calls = calls.ended(State::BYTES, 9 * MIB);
        assert!(calls.iter().all(|call| call.thread == thread), "{calls:?}");
        let entries: BTreeSet<&str> = calls.iter().map(|call| call.entry.as_str()).collect();
        assert!(
            entries.contains("large") && entries.contains("transposed"),
            "{entries:?}"
        );
        assert!(calls.len() < 60, "200 small tensors are no 200 calls: {}", calls.len());
    }
}

#[test]
fn the_handle_of_a_save_in_the_background_tells_the_same() {
    let fabric = on(Memory::new());
    let calls = Calls::default();
    let saving = fabric
        .save_async_with("last", &State::new(1., 0), watched(&calls))
        .expect("started");
    assert_eq!(saving.bytes_in_all(), State::BYTES);
    while !saving.is_finished() {
        thread::yield_now();
    }
    assert_eq!((saving.bytes_done(), saving.entry()), (State::BYTES, None));
    saving.wait().expect("saved");
    calls.ended(State::BYTES, 9 * MIB);
}

#[test]
fn a_checkpoint_does_not_depend_on_who_looks_on() {
    let (memory, fabric) = saved();
    let options = watched(&Calls::default());
    fabric.save_with("watched", &State::new(1., 7), options).expect("saved");
    let contents = |path: &str| {
        let file = memory.open(Path::new(path)).expect("saved");
        let mut bytes = vec![0; usize::try_from(file.len().expect("known")).expect("small")];
        file.read_exact_at(&mut bytes, 0).expect("memory");
        bytes
    };
    assert!(contents("last") == contents("watched"));
}

#[test]
fn nobody_is_called_where_there_is_nothing_to_write() {
    let calls = Calls::default();
    let fabric = on(Memory::new());
    fabric
        .save_with("last", &Values { step: 7 }, watched(&calls))
        .expect("saved");
    assert!(calls.all().is_empty());
}

/// Rows of one tensor, and one that every rank holds.
#[derive(Checkpoint)]
struct Part {
    #[checkpoint(shard(dim = 0, axis = "fsdp"))]
    rows: Tensor,
    whole: Tensor,
}

impl Part {
    fn new() -> Self {
        let ones = |rows: usize| Tensor::full(1f32, (rows, 1 << 18), &Device::Cpu).expect("memory");
        Self {
            rows: ones(2),
            whole: ones(3),
        }
    }
}

fn on_ranks<T: Send>(
    strategy: &Strategy,
    ranks: usize,
    memory: &Memory,
    work: impl Fn(&Fabric) -> T + Sync,
) -> Vec<thread::Result<T>> {
    thread::scope(|scope| {
        let begin = |group| {
            let fabric = Fabric::builder().strategy(strategy.clone()).process_group(group);
            let fabric = fabric.storage(memory.clone()).build().expect("as many ranks");
            let work = &work;
            scope.spawn(move || work(&fabric))
        };
        let threads: Vec<_> = ThreadGroup::new(ranks).into_iter().map(begin).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    })
}

#[test]
fn each_rank_is_told_of_the_bytes_that_it_writes() {
    let memory = Memory::new();
    let told = on_ranks(&Strategy::fsdp(), 3, &memory, |fabric| {
        let calls = Calls::default();
        fabric.save_with("run", &Part::new(), watched(&calls)).expect("saved");
        calls.ended(3 * MIB, 3 * MIB);
    });
    assert!(
        told.iter().all(Result::is_ok),
        "2 MiB of rows, and a third of what is replicated: {told:?}"
    );

    let told = on_ranks(&Strategy::ddp(), 2, &memory, |fabric| {
        let calls = Calls::default();
        fabric.save_with("one", &Part::new(), watched(&calls)).expect("saved");
        calls.all().last().map(|call| (call.done, call.in_all))
    });
    let told: Vec<_> = told.into_iter().map(|told| told.expect("no panic")).collect();
    assert_eq!(told, [Some((5 * MIB, 5 * MIB)), None], "rank 0 writes");
}

#[test]
fn a_panic_of_the_callback_unwinds_out_of_the_save_and_leaves_what_was_there() {
    let (memory, fabric) = saved();
    let options = || SaveOptions::new().progress(buggy);
    let save = || fabric.save_with("last", &State::new(2., 8), options());
    let panic = catch_unwind(AssertUnwindSafe(save)).expect_err("it unwinds");
    assert_eq!(said(&*panic), "the bar has a bug");

    let saving = fabric
        .save_async_with("last", &State::new(2., 8), options())
        .expect("started");
    let error = saving.wait().expect_err("a panic");
    assert!(
        matches!(&error, Error::Panicked { what } if what == "the bar has a bug"),
        "{error}"
    );

    assert_eq!(
        memory.list(Path::new("")).expect("memory"),
        ["last"],
        "nothing is left of the others"
    );
    let mut state = State::new(3., 0);
    fabric.load("last", &mut state).expect("the old one");
    assert!(state.is(1.) && state.step == 7);
}

#[test]
fn the_other_ranks_hear_of_a_panic_of_the_callback() {
    let memory = Memory::new();
    let mut ended = on_ranks(&Strategy::fsdp(), 2, &memory, |fabric| {
        let options = SaveOptions::new();
        let options = match fabric.rank() {
            0 => options,
            _ => options.progress(|_| panic!("the bar has a bug")),
        };
        fabric.save_with("run", &Part::new(), options).map(drop)
    });
    let panic = ended.pop().expect("rank 1").expect_err("it unwinds");
    assert_eq!(said(&*panic), "the bar has a bug");
    let error = ended
        .pop()
        .expect("rank 0")
        .expect("no panic")
        .expect_err("rank 1 failed");
    assert!(
        matches!(&error, Error::Rank { rank: 1, message, .. } if message.contains("the bar has a bug")),
        "{error}"
    );
    let left = memory.list(Path::new("")).expect("memory");
    assert!(left.is_empty(), "{left:?}");
}
