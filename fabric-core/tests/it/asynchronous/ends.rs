//! Whoever lets go of a save finishes it.

use fabric_core::storage::Storage;
use fabric_core::testing::Memory;

use super::odd::{Gate, Odd};
use super::state::{State, on, saved};

fn opened_later(gate: &Gate) -> std::thread::JoinHandle<()> {
    let gate = gate.clone();
    std::thread::spawn(move || gate.open())
}

fn is_there(memory: &Memory) -> bool {
    memory.kind("last".as_ref()).expect("it can be told").is_some()
}

#[test]
fn dropping_the_handle_finishes_the_write() {
    let gate = Gate::default();
    let storage = Odd::behind(&gate);
    let memory = storage.memory.clone();
    let fabric = on(storage).build().expect("one device");
    let saving = fabric.save_async("last", &State::new(1)).expect("started");
    assert!(!is_there(&memory));
    let opener = opened_later(&gate);
    drop(saving);
    assert!(saved(memory, "last") == State::new(1).contents());
    opener.join().expect("no panic");
}

#[test]
fn dropping_the_last_clone_of_the_fabric_finishes_the_write() {
    let gate = Gate::default();
    let storage = Odd::behind(&gate);
    let memory = storage.memory.clone();
    let fabric = on(storage).build().expect("one device");
    fabric.save_async("last", &State::new(1)).expect("started").detach();
    let clone = fabric.clone();
    drop(fabric);
    assert!(!is_there(&memory), "a clone is left, and the gate is shut");
    let opener = opened_later(&gate);
    drop(clone);
    assert!(saved(memory, "last") == State::new(1).contents());
    opener.join().expect("no panic");
}

#[test]
fn a_handle_outlives_its_fabric() {
    let gate = Gate::default();
    let fabric = on(Odd::behind(&gate)).build().expect("one device");
    let saving = fabric.save_async("last", &State::new(1)).expect("started");
    let opener = opened_later(&gate);
    drop(fabric);
    assert!(saving.is_finished(), "dropping the fabric waited");
    assert!(saving.wait().expect("saved").entries > 10);
    opener.join().expect("no panic");
}

#[test]
fn a_state_may_be_dropped_at_once() {
    let memory = Memory::new();
    for staging in [0, 1 << 30] {
        let fabric = on(memory.clone()).staging(staging).build().expect("one device");
        let state = State::new(5);
        let saving = fabric.save_async("last", &state).expect("started");
        drop(state);
        saving.wait().expect("saved");
        assert!(saved(memory.clone(), "last") == State::new(5).contents());
    }
}
