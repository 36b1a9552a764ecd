//! What fails is told, once and to the right one, and leaves the checkpoint that was there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Error, Fabric, Saving};

use super::odd::Odd;
use super::state::{State, on, saved};

/// A fabric whose storage fails while the switch is on.
fn switched(staging: usize) -> (Fabric, Memory, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let on_now = Arc::clone(&switch);
    let storage = Odd::new(move |_| {
        if on_now.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    });
    let memory = storage.memory.clone();
    let fabric = on(storage).staging(staging).build().expect("one device");
    (fabric, memory, switch)
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
}

#[test]
fn who_waits_is_told_and_the_old_checkpoint_stays() {
    for staging in [0, 1 << 30] {
        let (fabric, memory, full) = switched(staging);
        fabric.save("last", &State::new(1)).expect("saved");
        full.store(true, Ordering::Relaxed);
        let state = State::new(2);
        let saving = fabric.save_async("last", &state).expect("started");
        // The guards are released although nothing takes what is copied.
        state.ruin(0);
        let error = saving.wait().expect_err("there is no room");
        assert!(is_full(&error), "{error}");
        full.store(false, Ordering::Relaxed);
        assert!(saved(memory.clone(), "last") == State::new(1).contents());
        let next = fabric.save_async("last", &State::new(3)).expect("the error was told");
        next.wait().expect("saved");
        assert!(saved(memory, "last") == State::new(3).contents());
    }
}

/// Leaves a save to itself, and returns the handle if it is kept.
fn left(saving: Saving, how: &str) -> Option<Saving> {
    match how {
        "detach" => saving.detach(),
        "drop" => drop(saving),
        _ => return Some(saving),
    }
    None
}

#[test]
fn an_error_that_nobody_waited_for_is_returned_by_the_next_save_and_only_by_that() {
    for (next_is_async, how) in [(false, "detach"), (true, "detach"), (false, "drop"), (true, "keep")] {
        let (fabric, memory, full) = switched(1 << 30);
        full.store(true, Ordering::Relaxed);
        let saving = fabric.save_async("run/last", &State::new(1)).expect("started");
        let kept = left(saving, how);
        // A load waits, and has errors of its own.
        let error = fabric.load("run/last", &mut State::new(1)).expect_err("nothing there");
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        full.store(false, Ordering::Relaxed);
        let save = || {
            if next_is_async {
                return fabric.save_async("next", &State::new(2))?.wait();
            }
            fabric.save("next", &State::new(2))
        };
        let error = save().expect_err("the earlier one failed");
        let Error::Background { path, source } = &error else {
            panic!("{error}");
        };
        assert!(path.ends_with("run/last") && is_full(source), "{error}");
        assert!(error.to_string().contains("run/last"), "{error}");
        if let Some(kept) = kept {
            let error = kept.wait().expect_err("it failed");
            assert!(
                matches!(&error, Error::Background { source, .. } if is_full(source)),
                "{error}"
            );
        }
        save().expect("told once");
        assert!(saved(memory, "next") == State::new(2).contents());
    }
}

#[test]
fn an_error_that_nobody_waited_for_is_returned_by_wait_once() {
    for how in ["detach", "drop", "keep"] {
        let (fabric, memory, full) = switched(1 << 30);
        fabric.wait().expect("nothing is on its way");
        full.store(true, Ordering::Relaxed);
        let saving = fabric.save_async("run/last", &State::new(1)).expect("started");
        let kept = left(saving, how);
        fabric.open("run/last").expect_err("nothing there");
        let error = fabric.clone().wait().expect_err("it failed");
        assert!(
            matches!(&error, Error::Background { path, source } if path.ends_with("run/last") && is_full(source)),
            "{error}"
        );
        fabric.wait().expect("told once");
        if let Some(kept) = kept {
            kept.wait().expect_err("whoever asks for this save is told too");
        }
        full.store(false, Ordering::Relaxed);
        fabric.save_async("next", &State::new(2)).expect("started").detach();
        fabric.wait().expect("saved");
        assert!(saved(memory, "next") == State::new(2).contents());
    }
}

#[test]
fn a_panic_in_the_background_is_an_error_of_whoever_waits() {
    let storage = Odd::new(|path| {
        assert!(!path.to_string_lossy().contains("bad"), "the driver has a bug");
        Ok(())
    });
    let fabric = on(storage).staging(0).build().expect("one device");
    let state = State::new(1);
    let saving = fabric.save_async("bad", &state).expect("started");
    state.ruin(0);
    let error = saving.wait().expect_err("a panic");
    assert!(
        matches!(&error, Error::Panicked { what } if what == "the driver has a bug"),
        "{error}"
    );
    fabric
        .save_async("good", &state)
        .expect("started")
        .wait()
        .expect("saved");
}

#[test]
fn whatever_a_stop_leaves_is_the_old_checkpoint_or_the_new_one() {
    let state = |seed: u8| -> (candle_core::Tensor, u64) {
        let tensor = candle_core::Tensor::new(&[seed, 1, seed], &candle_core::Device::Cpu).expect("three bytes");
        (tensor, u64::from(seed))
    };
    let begin = || {
        let memory = Memory::new();
        on(memory.clone())
            .build()
            .expect("one device")
            .save("run/last", &state(1))
            .expect("saved");
        (memory.clone(), Faulty::new(memory))
    };
    let (_, healthy) = begin();
    let save = |storage: Faulty| {
        on(storage)
            .build()
            .expect("one device")
            .save_async("run/last", &state(2))?
            .wait()
    };
    save(healthy.clone()).expect("saved");
    let (mut old, mut new) = (0, 0);
    for operation in 0..healthy.operations() {
        let (memory, faulty) = begin();
        let outcome = save(faulty.with_fault(operation, Fault::Stop));
        for left in memory.crash_states(100) {
            let mut found = state(9);
            on(left)
                .build()
                .expect("one device")
                .load("run/last", &mut found)
                .expect("a whole one");
            let values: Vec<u8> = found.0.to_vec1().expect("bytes");
            match found.1 {
                1 => {
                    assert_eq!(values, [1, 1, 1]);
                    assert!(outcome.is_err(), "a save that was told to be durable is gone");
                    old += 1;
                }
                2 => {
                    assert_eq!(values, [2, 1, 2]);
                    new += 1;
                }
                other => panic!("a mixture: {other}"),
            }
        }
    }
    assert!(old > 5 && new > 0, "{old} {new}");
}
