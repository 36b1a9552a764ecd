//! Every operation of a save fails once, in every way; what was saved before must never be the price.

use std::io::ErrorKind;
use std::path::Path;

use fabric_core::group::ThreadGroup;
use fabric_core::storage::Storage;
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Error, Fabric, Strategy};

use super::state::{PATH, State, on};

const OLD: u8 = 1;
const NEW: u8 = 2;

/// A store with the old checkpoint, durable.
fn with_old() -> Memory {
    let memory = Memory::new();
    on(memory.clone())
        .save(PATH, &State::new(OLD))
        .expect("nothing fails yet");
    memory
}

/// Which of the two states a store holds; anything else fails the test.
fn found(storage: &Memory, when: &str) -> u8 {
    let mut state = State::new(0);
    on(storage.clone())
        .load(PATH, &mut state)
        .unwrap_or_else(|error| panic!("{when}: {error}"));
    let found = [OLD, NEW]
        .into_iter()
        .find(|&seed| state.contents() == State::new(seed).contents());
    found.unwrap_or_else(|| panic!("{when}: neither the old state nor the new: {:?}", state.contents()))
}

fn left_over(storage: &dyn Storage) -> Vec<String> {
    let mut names = storage.list(Path::new("run")).expect("the directory is there");
    names.retain(|name| name != "last.ckpt");
    names
}

fn operations() -> usize {
    let storage = Faulty::new(with_old());
    on(storage.clone())
        .save(PATH, &State::new(NEW))
        .expect("no fault is set");
    storage.operations()
}

#[test]
fn a_device_error_at_any_operation_leaves_the_old_checkpoint_or_the_new_and_nothing_else() {
    for fault in [
        Fault::Os(5),
        Fault::Error(ErrorKind::StorageFull),
        Fault::Error(ErrorKind::PermissionDenied),
        Fault::ShortWrite,
        Fault::Full,
    ] {
        for k in 0..operations() {
            let memory = with_old();
            let storage = Faulty::new(memory.clone()).with_fault(k, fault);
            let outcome = on(storage.clone()).save(PATH, &State::new(NEW));
            let when = format!("{fault:?} at operation {k}, {}", storage.log()[k]);
            let holds = found(&memory, &when);
            match outcome {
                Ok(_) => assert_eq!(holds, NEW, "{when}: the save said that it succeeded"),
                Err(error) => {
                    assert!(matches!(error, Error::Io { .. }), "{when}: {error}");
                    assert_eq!(says_in_place(&error), holds == NEW, "{when}: {error}");
                }
            }
            assert_eq!(left_over(&memory), Vec::<String>::new(), "{when}");
        }
    }
}

/// Whether an error says that the new checkpoint has its place, and what is not certain about it.
fn says_in_place(error: &Error) -> bool {
    error
        .to_string()
        .ends_with("; the new checkpoint is in place, and a power failure may undo it")
}

#[test]
fn an_error_of_a_rank_says_whether_the_new_manifest_is_in_place() {
    let ranks = |storage: Faulty| {
        let group = ThreadGroup::new(1).remove(0);
        let fabric = Fabric::builder().strategy(Strategy::fsdp()).process_group(group);
        fabric.storage(storage).build().expect("one rank")
    };
    let world = || {
        let memory = Memory::new();
        let before = Faulty::new(memory.clone());
        ranks(before).save(PATH, &State::new(OLD)).expect("no fault is set");
        memory
    };
    let healthy = Faulty::new(world());
    ranks(healthy.clone())
        .save(PATH, &State::new(NEW))
        .expect("no fault is set");
    let mut seen = 0;
    for k in 0..healthy.operations() {
        let memory = world();
        let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Os(5));
        if let Err(error) = ranks(storage.clone()).save(PATH, &State::new(NEW)) {
            let when = format!("operation {k}, {}", storage.log()[k]);
            let is_new = found(&memory, &when) == NEW;
            assert_eq!(says_in_place(&error), is_new, "{when}: {error}");
            seen += usize::from(is_new);
        }
    }
    assert!(seen > 0, "no error came after the new manifest had its place");
}

#[test]
fn an_error_before_the_rename_leaves_the_old_checkpoint() {
    let mut seen = 0;
    for k in 0..operations() {
        let memory = with_old();
        let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Os(5));
        let outcome = on(storage.clone()).save(PATH, &State::new(NEW));
        let renamed = storage.log()[..k]
            .iter()
            .any(|operation| operation.starts_with("rename"));
        if outcome.is_err() && !renamed {
            seen += 1;
            assert_eq!(found(&memory, &storage.log()[k]), OLD);
        }
    }
    assert!(seen > 5, "only {seen} operations before the rename failed");
}

#[test]
fn a_stop_at_any_operation_leaves_the_old_checkpoint_or_the_new_whatever_was_not_synced() {
    let (mut olds, mut news) = (0, 0);
    for k in 0..operations() {
        let memory = with_old();
        let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
        let outcome = on(storage.clone()).save(PATH, &State::new(NEW));
        for (number, left) in memory.crash_states(500).into_iter().enumerate() {
            let when = format!("stop at operation {k}, {}, state {number}", storage.log()[k]);
            match found(&left, &when) {
                OLD => olds += 1,
                _ => news += 1,
            }
            assert!(
                outcome.is_err() || found(&left, &when) == NEW,
                "{when}: the save said that it succeeded"
            );
        }
    }
    assert!(
        olds > 0 && news > 0,
        "{olds} old and {news} new: the stops do not cover the save"
    );
}

#[test]
fn a_save_that_reports_success_is_durable() {
    let memory = with_old();
    on(memory.clone())
        .save(PATH, &State::new(NEW))
        .expect("no fault is set");
    for left in memory.crash_states(500) {
        assert_eq!(found(&left, "after success"), NEW);
    }
}

#[test]
fn a_stop_during_the_first_save_ever_leaves_nothing_or_everything() {
    let storage = Faulty::new(Memory::new());
    on(storage.clone())
        .save(PATH, &State::new(NEW))
        .expect("no fault is set");
    for k in 0..storage.operations() {
        let memory = Memory::new();
        let stopping = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
        assert!(on(stopping).save(PATH, &State::new(NEW)).is_err());
        for left in memory.crash_states(500) {
            match on(left.clone()).open(PATH) {
                Ok(_) => assert_eq!(found(&left, "first save"), NEW),
                Err(error) => assert!(matches!(error, Error::NotFound { .. }), "{error}"),
            }
        }
    }
}

#[test]
fn the_next_save_removes_what_a_killed_one_left() {
    let mut left_something = 0;
    for k in 0..operations() {
        let memory = with_old();
        let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
        on(storage).save(PATH, &State::new(NEW)).expect_err("it was stopped");
        left_something += usize::from(!left_over(&memory).is_empty());
        on(memory.clone())
            .save(PATH, &State::new(NEW))
            .expect("nothing fails any more");
        assert_eq!(
            left_over(&memory),
            Vec::<String>::new(),
            "after a stop at operation {k}"
        );
    }
    assert!(left_something > 0, "no stop left a partial file, so nothing was shown");
}

#[test]
fn a_device_error_while_loading_names_what_was_written_and_changes_no_value() {
    let memory = with_old();
    let healthy = Faulty::new(memory.clone());
    on(healthy.clone())
        .load(PATH, &mut State::new(0))
        .expect("no fault is set");
    let mut interrupted = 0;
    for k in 0..healthy.operations() {
        let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Os(5));
        let mut state = State::new(0);
        let before = state.contents();
        let error = on(storage).load(PATH, &mut state).expect_err("an operation failed");
        let after = state.contents();
        assert_eq!(
            (before.2, &before.3),
            (after.2, &after.3),
            "values changed though the load failed"
        );
        match error {
            Error::Interrupted { written, .. } => {
                interrupted += 1;
                assert!(!written.is_empty());
            }
            error => {
                assert!(matches!(error, Error::Io { .. }), "{error}");
                assert_eq!(before, after, "operation {k}: tensors changed without being named");
            }
        }
    }
    assert!(interrupted <= healthy.operations());
}

#[test]
fn a_state_that_cannot_be_saved_touches_no_storage() {
    let storage = Faulty::new(Memory::new());
    let nameless = std::collections::BTreeMap::from([(String::new(), State::new(1).bias)]);
    let error = on(storage.clone())
        .save(PATH, &nameless)
        .expect_err("an entry without a name");
    assert!(matches!(error, Error::State(_)), "{error}");
    assert_eq!(storage.operations(), 0);
}
