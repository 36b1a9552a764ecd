//! `LoadOptions::progress`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::group::ThreadGroup;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, ExportOptions, Fabric, LoadOptions, RawCheckpoint, Strategy};

use super::state::{Calls, MIB, State, Values, buggy, on, said, saved};

fn watched(calls: &Calls) -> LoadOptions {
    LoadOptions::new().progress(calls.callback())
}

/// As long as the threads, at most 8, may read before one of them is told of.
const LONGEST: u64 = 9 * MIB;

#[test]
fn a_load_tells_of_every_byte_and_never_goes_back() {
    let (_, fabric) = saved();
    let calls = Calls::default();
    let mut state = State::new(2., 0);
    fabric.load_with("last", &mut state, watched(&calls)).expect("loaded");
    assert!(state.is(1.));
    let calls = calls.ended(State::BYTES, LONGEST);
    let entries: BTreeSet<&str> = calls.iter().map(|call| call.entry.as_str()).collect();
    assert!(entries.contains("large"), "{entries:?}");
    assert!(
        (10..60).contains(&calls.len()),
        "200 small tensors are no 200 calls: {}",
        calls.len()
    );
}

#[test]
fn what_is_verified_first_is_read_twice() {
    let (_, fabric) = saved();
    let calls = Calls::default();
    let options = watched(&calls).verify_first(true);
    fabric
        .load_with("last", &mut State::new(2., 0), options)
        .expect("loaded");
    calls.ended(2 * State::BYTES, LONGEST);
}

#[test]
fn an_open_checkpoint_and_another_element_type_tell_the_same() {
    let (_, fabric) = saved();
    let raw = fabric.open("last").expect("a checkpoint");
    let calls = Calls::default();
    raw.load_with(&mut State::new(2., 0), watched(&calls)).expect("loaded");
    calls.ended(State::BYTES, LONGEST);

    let mut half = BTreeMap::new();
    half.insert(
        "large".to_owned(),
        Var::zeros((10, 1 << 20), DType::F16, &Device::Cpu).expect("memory"),
    );
    let calls = Calls::default();
    let options = watched(&calls).strict(false).cast(true);
    fabric.load_raw_with("last", &mut half, options).expect("loaded");
    calls.ended(40 * MIB, LONGEST);
}

#[test]
fn nobody_is_called_where_nothing_is_read() {
    let fabric = on(Memory::new());
    let mut state = Values { step: 7 };
    fabric.save("last", &state).expect("saved");
    let calls = Calls::default();
    fabric.load_with("last", &mut state, watched(&calls)).expect("loaded");
    fabric
        .load_with("first", &mut state, watched(&calls))
        .expect_err("nothing there");
    assert!(calls.all().is_empty());
}

/// A state that has all tensors of a file that candle has types for.
fn like(raw: &RawCheckpoint) -> BTreeMap<String, Tensor> {
    let mut state = BTreeMap::new();
    for name in raw.names() {
        let Some((info, dtype)) = raw.info(name).and_then(|info| Some((info, info.dtype().to_candle()?))) else {
            continue;
        };
        let Ok(zeros) = Tensor::zeros(info.shape(), dtype, &Device::Cpu) else {
            continue;
        };
        state.insert(name.to_owned(), zeros);
    }
    state
}

#[test]
fn files_of_every_format_tell_of_every_byte() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch");
    let directory = tempfile::tempdir().expect("a directory");
    let fabric = Fabric::new();
    let own = |name: &str| directory.path().join(name);
    fabric.save(own("last.ckpt"), &State::new(1., 0)).expect("saved");
    fabric
        .reshard(own("last.ckpt"), own("ranks"), Strategy::fsdp().ranks(3))
        .expect("laid out");
    for name in ["last.pt", "last.safetensors"] {
        fabric
            .export(own("last.ckpt"), own(name), ExportOptions::new())
            .expect("exported");
    }
    let own = ["last.ckpt", "ranks", "last.pt", "last.safetensors"].map(own);
    let foreign = [
        "mlp.pt",
        "mlp_legacy.pt",
        "views_zip.pt",
        "views_legacy.pt",
        "dcp_fsdp2",
        "dcp_single",
        "hf_fsdp2",
        "hub_sharded",
    ];
    let foreign = foreign.map(|name| fixtures.join(name));
    for (path, verify_first) in own
        .iter()
        .chain(&foreign)
        .flat_map(|path| [(path, false), (path, true)])
    {
        let raw = fabric.open(path).unwrap_or_else(|error| panic!("{error}"));
        let mut state = like(&raw);
        let calls = Calls::default();
        let options = watched(&calls).strict(false).verify_first(verify_first);
        raw.load_raw_with(&mut state, options)
            .unwrap_or_else(|error| panic!("{error}"));
        let calls = calls.all();
        let last = calls
            .last()
            .unwrap_or_else(|| panic!("{}: nobody was called", path.display()));
        assert_eq!(last.done, last.in_all, "{}", path.display());
        if path.starts_with(directory.path()) {
            let readings = 1 + u64::from(verify_first);
            assert_eq!(last.done, readings * State::BYTES, "{}", path.display());
        }
        assert!(
            calls.is_sorted_by(|a, b| a.done < b.done),
            "{}: {calls:?}",
            path.display()
        );
    }
}

/// A tensor that ranks hold columns of: no rank reads whole blocks.
#[derive(Checkpoint)]
struct Columns {
    #[checkpoint(shard(dim = 1, axis = "fsdp"))]
    matrix: Tensor,
}

#[test]
fn one_rank_may_look_on_where_others_do_not_and_is_told_of_its_own_part() {
    let memory = Memory::new();
    let whole = Columns {
        matrix: Tensor::full(1f32, (3000, 1200), &Device::Cpu).expect("memory"),
    };
    on(memory.clone()).save("last", &whole).expect("saved");
    let (memory, ranks) = (&memory, ThreadGroup::new(3));
    thread::scope(|scope| {
        for group in ranks {
            scope.spawn(move || {
                let fabric = Fabric::builder().strategy(Strategy::fsdp()).process_group(group);
                let fabric = fabric.storage(memory.clone()).build().expect("three ranks");
                let matrix = Tensor::zeros((3000, 400), DType::F32, &Device::Cpu).expect("memory");
                let calls = Calls::default();
                let options = match fabric.rank() {
                    1 => watched(&calls),
                    _ => LoadOptions::new(),
                };
                let mut part = Columns { matrix };
                fabric.load_with("last", &mut part, options).expect("loaded");
                if fabric.rank() == 1 {
                    calls.ended(4 * 3000 * 400, 2 * MIB);
                }
            });
        }
    });
}

#[test]
fn a_panic_of_the_callback_unwinds_out_of_the_load_and_the_state_can_be_used_and_loaded_again() {
    let (_, fabric) = saved();
    for verify_first in [false, true] {
        let mut state = State::new(2., 9);
        let options = LoadOptions::new().progress(buggy).verify_first(verify_first);
        let load = || fabric.load_with("last", &mut state, options);
        let panic = catch_unwind(AssertUnwindSafe(load)).expect_err("it unwinds");
        assert_eq!(said(&*panic), "the bar has a bug");
        assert!(!state.is(1.) && state.step == 9, "values are assigned at the end");
        assert_eq!(state.is(2.), verify_first, "nothing is written before all is verified");
        fabric.load("last", &mut state).expect("loaded");
        assert!(state.is(1.) && state.step == 7);
    }
}

#[test]
fn the_other_ranks_hear_of_a_panic_of_the_callback() {
    let (memory, _) = saved();
    let memory = &memory;
    let ended: Vec<_> = thread::scope(|scope| {
        let begin = |group: ThreadGroup| {
            scope.spawn(move || {
                let fabric = Fabric::builder().strategy(Strategy::ddp()).process_group(group);
                let fabric = fabric.storage(memory.clone()).build().expect("two ranks");
                let options = LoadOptions::new();
                let options = if fabric.rank() == 0 {
                    options
                } else {
                    options.progress(buggy)
                };
                fabric.load_with("last", &mut State::new(2., 0), options).map(drop)
            })
        };
        let threads: Vec<_> = ThreadGroup::new(2).into_iter().map(begin).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let [Ok(Err(Error::Interrupted { source, .. })), Err(panic)] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert!(source.to_string().contains("the bar has a bug"), "{source}");
    assert_eq!(said(&**panic), "the bar has a bug");
}
