//! A callback that uses the Fabric that it is called by, and one that owns a handle of it.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, Result, SaveOptions, Saving, WhenBusy};

use super::state::{State, on, saved};

#[derive(Checkpoint)]
struct Number {
    n: u64,
}

/// Runs what may hang, and fails if it does.
pub(crate) fn within_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = channel();
    std::thread::spawn(move || done.send(work()));
    outcome
        .recv_timeout(Duration::from_secs(60))
        .expect("it neither hangs nor panics")
}

/// What came of each call.
type Outcomes = Vec<(&'static str, Result<()>)>;

/// Every call of a Fabric that could wait.
fn calls(fabric: &Fabric) -> Outcomes {
    let skip = || SaveOptions::new().when_busy(WhenBusy::Skip);
    let fail = || SaveOptions::new().when_busy(WhenBusy::Fail);
    let (from, to) = (Path::new("there"), Path::new("nested"));
    vec![
        ("save", fabric.save(to, &Number { n: 1 }).map(drop)),
        ("save_async", fabric.save_async(to, &Number { n: 1 }).map(drop)),
        ("skip", fabric.save_async_with(to, &Number { n: 1 }, skip()).map(drop)),
        ("fail", fabric.save_async_with(to, &Number { n: 1 }, fail()).map(drop)),
        ("load", fabric.load(from, &mut Number { n: 1 }).map(drop)),
        ("load_raw", fabric.load_raw(from, &mut Number { n: 1 }).map(drop)),
        ("open", fabric.open(from).map(drop)),
        ("consolidate", fabric.consolidate(from, to).map(drop)),
        (
            "export",
            fabric
                .export(from, "nested.pt", fabric_core::ExportOptions::new())
                .map(drop),
        ),
        ("wait", fabric.wait()),
    ]
}

fn is_refused(calls: &[(&str, Result<()>)]) {
    for (call, outcome) in calls {
        let Err(error @ Error::Nested { .. }) = outcome else {
            panic!("{call}: {outcome:?}");
        };
        let text = error.to_string();
        assert!(text.contains("wait for itself"), "{call}: {text}");
    }
}

/// A Fabric with a checkpoint at `there`, a callback that makes every call of a clone, once, and what came of it.
fn asked() -> (
    Fabric,
    impl Fn(&fabric_core::Progress<'_>) + Send + Sync + 'static,
    Receiver<Outcomes>,
) {
    let fabric = on(Memory::new()).build().expect("one device");
    fabric.save("there", &State::new(1)).expect("saved");
    let (said, heard) = channel();
    let clone = fabric.clone();
    let first = Mutex::new(Some(said));
    let callback = move |_: &fabric_core::Progress<'_>| {
        let said = first.lock().expect("no panic").take();
        if let Some(said) = said {
            said.send(calls(&clone)).expect("the test listens");
        }
    };
    (fabric, callback, heard)
}

#[test]
fn a_callback_of_a_save_in_the_background_that_uses_its_fabric_gets_an_error() {
    within_a_minute(|| {
        let (fabric, callback, heard) = asked();
        let options = SaveOptions::new().progress(callback);
        let saving = fabric.save_async_with("last", &State::new(2), options);
        saving.expect("started").wait().expect("saved");
        is_refused(&heard.recv().expect("it was called"));
        fabric.load("last", &mut State::new(3)).expect("the fabric goes on");
    });
}

#[test]
fn a_callback_of_a_plain_save_that_uses_its_fabric_gets_an_error() {
    within_a_minute(|| {
        let (fabric, callback, heard) = asked();
        let options = SaveOptions::new().progress(callback);
        fabric.save_with("last", &State::new(2), options).expect("saved");
        is_refused(&heard.recv().expect("it was called"));
        fabric.load("last", &mut State::new(3)).expect("the fabric goes on");
    });
}

#[test]
fn a_callback_of_a_load_that_uses_its_fabric_gets_an_error_on_whatever_thread_it_is_called() {
    within_a_minute(|| {
        for verify_first in [false, true] {
            let (fabric, callback, heard) = asked();
            let options = LoadOptions::new().progress(callback).verify_first(verify_first);
            fabric.load_with("there", &mut State::new(2), options).expect("loaded");
            is_refused(&heard.recv().expect("it was called"));
            fabric.save("last", &State::new(3)).expect("the fabric goes on");
        }
    });
}

#[test]
fn a_callback_that_uses_another_fabric_does_so() {
    within_a_minute(|| {
        let memory = Memory::new();
        let fabric = on(memory.clone()).build().expect("one device");
        let other = on(memory.clone()).build().expect("one device");
        let options = SaveOptions::new().progress(move |progress| {
            if progress.bytes_done == progress.bytes_in_all {
                other.save("other", &Number { n: 7 }).expect("saved");
                other.save_async("another", &Number { n: 8 }).expect("started").detach();
            }
        });
        let saving = fabric.save_async_with("last", &State::new(2), options);
        saving.expect("started").wait().expect("saved");
        let mut number = Number { n: 0 };
        fabric.load("other", &mut number).expect("loaded");
        assert_eq!(number.n, 7);
        assert!(memory.kind("other".as_ref()).expect("it can be told").is_some());
        assert!(memory.kind("another".as_ref()).expect("it can be told").is_some());
    });
}

#[test]
fn a_filter_that_uses_its_fabric_gets_an_error() {
    within_a_minute(|| {
        let fabric = on(Memory::new()).build().expect("one device");
        fabric.save("there", &State::new(1)).expect("saved");
        let (said, heard) = channel();
        let clone = fabric.clone();
        let options = SaveOptions::new().filter(State::FIELDS.large, move |_, _| {
            said.send(calls(&clone)).expect("the test listens");
            true
        });
        let saving = fabric.save_async_with("last", &State::new(2), options);
        saving.expect("started").wait().expect("saved");
        is_refused(&heard.recv().expect("it was asked"));
    });
}

#[test]
fn a_callback_that_waits_for_its_own_save_gets_an_error_and_one_that_drops_the_handle_does_not_hang() {
    within_a_minute(|| {
        for wait in [true, false] {
            let memory = Memory::new();
            let fabric = on(memory.clone()).build().expect("one device");
            let (give, given) = channel::<Saving>();
            let (given, outcome) = (Mutex::new(Some(given)), Arc::new(Mutex::new(None)));
            let heard = Arc::clone(&outcome);
            let options = SaveOptions::new().progress(move |_| {
                let Some(given) = given.lock().expect("no panic").take() else {
                    return;
                };
                let saving = given.recv().expect("the test gives it");
                if wait {
                    *heard.lock().expect("no panic") = Some(saving.wait());
                }
            });
            let saving = fabric.save_async_with("last", &State::new(2), options);
            give.send(saving.expect("started")).expect("the callback waits");
            fabric.wait().expect("saved");
            assert!(saved(memory, "last") == State::new(2).contents());
            let outcome = outcome.lock().expect("no panic").take();
            assert_eq!(matches!(outcome, Some(Err(Error::Nested { .. }))), wait, "{outcome:?}");
        }
    });
}

/// Whether a checkpoint was there when the program had dropped all of its handles, of which a callback holds some too.
fn left_by(program: impl FnOnce(Fabric, Fabric) + Send + 'static) -> bool {
    within_a_minute(|| {
        let memory = Memory::new();
        let fabric = on(memory.clone()).build().expect("one device");
        program(fabric.clone(), fabric);
        memory.kind("last".as_ref()).expect("it can be told").is_some()
    })
}

/// A save that takes a while, and a callback with this handle.
fn slowly(fabric: &Fabric, holds: Fabric) {
    let holds = Mutex::new(Some(holds));
    let options = SaveOptions::new().progress(move |progress| {
        let holds = holds.lock().expect("no panic");
        assert_eq!(holds.as_ref().map(Fabric::rank), Some(0));
        if progress.bytes_done == progress.bytes_in_all {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let saving = fabric.save_async_with("last", &State::new(2), options);
    saving.expect("started").detach();
}

#[test]
fn dropping_the_last_handle_of_the_program_waits_although_the_callback_has_one() {
    assert!(left_by(|fabric, holds| slowly(&fabric, holds)));
    assert!(left_by(|fabric, holds| {
        let other = fabric.clone();
        slowly(&fabric, holds);
        drop(fabric);
        drop(other);
    }));
    assert!(left_by(|fabric, holds| {
        slowly(&fabric, holds);
        let later = fabric.clone();
        drop(fabric);
        drop(later);
    }));
}

#[test]
fn a_callback_that_drops_the_last_handle_does_not_wait_for_itself() {
    assert!(left_by(|fabric, holds| {
        let holds = Mutex::new(Some(holds));
        let (say, dropped) = channel();
        let (let_go, go) = channel::<()>();
        let go = Mutex::new(go);
        let options = SaveOptions::new().progress(move |_| {
            let holds = holds.lock().expect("no panic").take();
            if holds.is_some() {
                // The program has dropped its own by now.
                let _ = go.lock().expect("no panic").recv();
                drop(holds);
                let _ = say.send(());
            }
        });
        let saving = fabric
            .save_async_with("last", &State::new(2), options)
            .expect("started");
        std::thread::scope(|scope| {
            scope.spawn(move || drop(fabric));
            drop(let_go);
        });
        dropped.recv().expect("it was dropped");
        saving.wait().expect("saved");
    }));
}

#[test]
fn a_callback_and_what_it_holds_go_when_its_save_has_ended() {
    within_a_minute(|| {
        let fabric = on(Memory::new()).build().expect("one device");
        let held = Arc::new(());
        let callback = |holds: Arc<()>| move |_: &fabric_core::Progress<'_>| assert!(Arc::strong_count(&holds) > 0);
        let options = || SaveOptions::new().progress(callback(Arc::clone(&held)));
        let saving = fabric.save_async_with("last", &State::new(1), options());
        saving.expect("started").wait().expect("saved");
        assert_eq!(Arc::strong_count(&held), 1);
        fabric.save_with("last", &State::new(1), options()).expect("saved");
        assert_eq!(Arc::strong_count(&held), 1);
    });
}
