//! Retention that fails or stops at any of its operations.

use std::io::ErrorKind;
use std::path::Path;

use fabric_core::group::ThreadGroup;
use fabric_core::run::{Keep, Run};
use fabric_core::storage::Storage;
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Fabric, Strategy};

use super::{AT, State};

/// A fabric of one rank that writes files, or directories.
fn on(storage: impl Storage + 'static, directories: bool) -> Fabric {
    let fabric = Fabric::builder().storage(storage);
    let fabric = if directories {
        let group = ThreadGroup::new(1).remove(0);
        fabric.strategy(Strategy::fsdp()).process_group(group)
    } else {
        fabric
    };
    fabric.build().expect("one rank")
}

fn prepared(directories: bool) -> Memory {
    let memory = Memory::new();
    let mut run = Run::at(AT).open(&on(memory.clone(), directories)).expect("a run");
    for step in 1..=4 {
        run.save(step, &State::new(step), &[]).expect("saved");
    }
    memory
}

/// Opens the run under a new rule, and saves.
fn work(storage: impl Storage + 'static, directories: bool) -> fabric_core::Result<()> {
    let mut run = Run::at(AT).keep(Keep::last(2)).open(&on(storage, directories))?;
    run.save(5, &State::new(5), &[]).map(drop)
}

/// Fails unless the newest checkpoint is whole, everything that is listed is whole, and the next save leaves two.
fn assert_sound(memory: &Memory, directories: bool, when: &str) {
    let fabric = on(memory.clone(), directories);
    let mut run = Run::at(AT)
        .keep(Keep::last(2))
        .open(&fabric)
        .unwrap_or_else(|error| panic!("{when}: {error}"));
    let kept = run.checkpoints().unwrap_or_else(|error| panic!("{when}: {error}"));
    for one in &kept {
        let mut state = State::new(0);
        fabric
            .load(&one.path, &mut state)
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        state.assert_is(one.step);
    }
    let mut state = State::new(0);
    let resumed = run
        .resume(&mut state)
        .unwrap_or_else(|error| panic!("{when}: {error}"))
        .expect("a checkpoint");
    assert!(resumed.step >= 4 && resumed.skipped.is_empty(), "{when}: {resumed:?}");
    run.save(6, &State::new(6), &[])
        .unwrap_or_else(|error| panic!("{when}: {error}"));
    let steps: Vec<u64> = run
        .checkpoints()
        .expect("readable")
        .iter()
        .map(|kept| kept.step)
        .collect();
    assert_eq!(steps, [resumed.step, 6], "{when}");
    drop(run);
    let mut names = memory.list(Path::new(AT)).expect("a directory");
    // A power failure may take the lock of a save away and leave its hidden directory, which then proves nothing of its origin.
    names.retain(|name| !(directories && name.starts_with(".step-") && name.ends_with(".partial")));
    assert_eq!(names.len(), 2, "{when}: {names:?}");
}

#[test]
fn a_device_error_at_any_operation_leaves_a_run_that_goes_on() {
    for directories in [false, true] {
        let healthy = Faulty::new(prepared(directories));
        work(healthy.clone(), directories).expect("no fault is set");
        for k in 0..healthy.operations() {
            for fault in [Fault::Os(5), Fault::Error(ErrorKind::StorageFull)] {
                let memory = prepared(directories);
                let storage = Faulty::new(memory.clone()).with_fault(k, fault);
                let outcome = work(storage.clone(), directories);
                let when = format!("{fault:?} at operation {k}, {}: {outcome:?}", storage.log()[k]);
                assert_sound(&memory, directories, &when);
            }
        }
    }
}

#[test]
fn a_process_that_stops_at_any_operation_leaves_a_run_that_goes_on() {
    for directories in [false, true] {
        let healthy = Faulty::new(prepared(directories));
        work(healthy.clone(), directories).expect("no fault is set");
        for k in 0..healthy.operations() {
            let memory = prepared(directories);
            let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
            let outcome = work(storage.clone(), directories);
            let when = format!("stopped at operation {k}: {outcome:?}");
            for left in memory.crash_states(4) {
                assert_sound(&left, directories, &when);
            }
        }
    }
}
