//! What is saved is the state at the call.

use std::sync::Barrier;

use candle_core::{Device, Tensor};
use fabric_core::storage::Storage as _;
use fabric_core::testing::Memory;
use fabric_core::{Fabric, SaveOptions};

use super::odd::{Gate, Odd};
use super::state::{State, on, saved};

/// All of the state fits; it goes through chunks; one chunk that is shorter than a tensor must do.
const STAGINGS: [usize; 3] = [1 << 30, 5 << 20, 0];

#[test]
fn the_state_at_the_call_is_saved_while_threads_overwrite_every_tensor() {
    for staging in STAGINGS {
        let memory = Memory::new();
        let fabric = on(memory.clone()).staging(staging).build().expect("one device");
        for turn in 0..5 {
            let state = State::new(turn);
            let expected = state.contents();
            let ready = Barrier::new(4);
            std::thread::scope(|scope| {
                let (state, ready) = (&state, &ready);
                for thread in 0..3 {
                    scope.spawn(move || {
                        ready.wait();
                        state.ruin(thread * 17 + usize::from(turn));
                    });
                }
                let saving = fabric.save_async("last", state).expect("started");
                ready.wait();
                state.ruin(usize::from(turn));
                saving.wait().expect("saved");
            });
            assert_ne!(state.contents(), expected, "it was overwritten");
            assert!(
                saved(memory.clone(), "last") == expected,
                "staging {staging}, turn {turn}"
            );
        }
    }
}

#[test]
fn the_file_is_the_one_that_a_plain_save_writes() {
    let memory = Memory::new();
    let state = State::new(7);
    let read = |path: &str| {
        let file = memory.open(path.as_ref()).expect("it is there");
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
        file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    };
    for staging in STAGINGS {
        let fabric = on(memory.clone()).staging(staging).build().expect("one device");
        let plain = fabric.save("plain", &state).expect("saved");
        let other = fabric
            .save_async("async", &state)
            .expect("started")
            .wait()
            .expect("saved");
        assert_eq!(plain, other);
        assert!(read("plain") == read("async"), "staging {staging}");
    }
}

#[test]
fn values_are_those_at_the_call_and_filters_hold() {
    let gate = Gate::default();
    let fabric = on(Odd::behind(&gate)).build().expect("one device");
    let mut state = State::new(3);
    let options = SaveOptions::new().exclude(State::FIELDS.transposed);
    let saving = fabric.save_async_with("last", &state, options).expect("started");
    state.step = 0;
    gate.open();
    let report = saving.wait().expect("saved");
    assert_eq!(report.filtered, ["transposed"]);
    let raw = fabric.open("last").expect("a checkpoint");
    assert_eq!(raw.value::<u64>("step").expect("a value"), 3 << 33);
    assert!(!raw.names().contains(&"transposed"));
}

#[test]
fn training_goes_on_while_no_byte_can_be_written() {
    let gate = Gate::default();
    let storage = Odd::behind(&gate);
    let memory = storage.memory.clone();
    let fabric = on(storage).build().expect("one device");
    let state = State::new(11);
    let expected = state.contents();
    let saving = fabric.save_async("last", &state).expect("started");
    state.ruin(0);
    assert!(!saving.is_finished());
    assert_eq!(saving.bytes_done(), 0);
    assert!(saving.bytes_in_all() > 3 << 22, "{}", saving.bytes_in_all());
    gate.open();
    while !saving.is_finished() {
        assert!(saving.bytes_done() <= saving.bytes_in_all());
        std::thread::yield_now();
    }
    assert_eq!(saving.bytes_done(), saving.bytes_in_all());
    assert_eq!(saving.entry(), None);
    saving.wait().expect("saved");
    assert!(saved(memory, "last") == expected);
}

#[test]
fn the_entry_that_is_written_has_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let fabric = Fabric::new();
    let state = State::new(2);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let saving = fabric
            .save_async(directory.path().join("last"), &state)
            .expect("started");
        while !saving.is_finished() {
            seen.extend(saving.entry().map(str::to_owned));
        }
    }
    assert!(seen.contains("large") || seen.contains("transposed"), "{seen:?}");
}

#[test]
fn a_state_that_cannot_be_saved_is_refused_in_the_call() {
    #[derive(fabric_core::Checkpoint)]
    struct Twice {
        #[checkpoint(flatten)]
        one: std::collections::BTreeMap<String, Tensor>,
        #[checkpoint(flatten)]
        other: std::collections::BTreeMap<String, Tensor>,
    }
    let scalar = || Tensor::new(1f32, &Device::Cpu).expect("a scalar");
    let map = || [("same".to_owned(), scalar())].into();
    let memory = Memory::new();
    let fabric = on(memory.clone()).build().expect("one device");
    let state = Twice {
        one: map(),
        other: map(),
    };
    let error = fabric.save_async("last", &state).expect_err("one name twice");
    assert!(matches!(error, fabric_core::Error::State(_)), "{error}");
    assert!(memory.open("last".as_ref()).is_err());
}
