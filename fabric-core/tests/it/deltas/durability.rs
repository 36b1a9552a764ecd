//! Every operation of the two calls fails once, in every way: the old file or the new one is there, and nothing else.

use std::path::Path;

use fabric_core::storage::Storage;
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{DeltaOptions, Error, ExportOptions, Fabric, Result};
use testkit::faults::FAULTS;
use testkit::files::{on, read};

use super::files::{BASE, DELTA, NEW, OLD, full, small, with_delta};

/// A call that replaces a file.
struct Call {
    run: fn(&Fabric) -> Result<()>,
    replaces: &'static str,
    old: Vec<u8>,
    new: Vec<u8>,
    start: fn() -> Memory,
}

/// A storage with everything durable: two checkpoints, the base, and a delta from the base to the new one.
fn durable() -> Memory {
    let (old, new) = small();
    with_delta(&old, &new).1
}

/// The storage of [`durable`], with the delta of an earlier step in place of the last one: from the base to itself.
fn with_old_delta() -> Memory {
    let memory = durable();
    on(memory.clone())
        .export_delta(OLD, BASE, DELTA, DeltaOptions::new())
        .expect("no fault");
    memory
}

fn calls() -> [Call; 2] {
    let memory = durable();
    let fabric = on(memory.clone());
    [
        Call {
            run: |fabric| fabric.export_delta(NEW, BASE, DELTA, DeltaOptions::new()).map(drop),
            replaces: DELTA,
            old: read(&with_old_delta(), DELTA),
            new: read(&memory, DELTA),
            start: with_old_delta,
        },
        Call {
            run: |fabric| fabric.apply_delta(BASE, DELTA, BASE).map(drop),
            replaces: BASE,
            old: read(&memory, BASE),
            new: full(&fabric, &memory, NEW, ExportOptions::new()),
            start: durable,
        },
    ]
}

impl Call {
    fn operations(&self) -> usize {
        let storage = Faulty::new((self.start)());
        (self.run)(&on(storage.clone())).expect("no fault is set");
        storage.operations()
    }

    /// True if the new file is there. A file that is neither fails the test.
    fn is_new(&self, memory: &Memory, when: &str) -> bool {
        let found = read(memory, self.replaces);
        assert!(
            found == self.old || found == self.new,
            "{when}: neither the old file nor the new one"
        );
        found == self.new
    }

    /// The names beside the file that a save would not leave there.
    fn left_over(&self, memory: &Memory) -> Vec<String> {
        let folder = Path::new(self.replaces).parent().expect("a folder");
        let mut names = memory.list(folder).expect("the folder");
        names.retain(|name| name.starts_with('.'));
        names
    }
}

#[test]
fn a_device_error_at_any_operation_leaves_the_old_file_or_the_new_and_nothing_else() {
    for call in calls() {
        for (fault, k) in FAULTS
            .iter()
            .flat_map(|fault| (0..call.operations()).map(move |k| (*fault, k)))
        {
            let memory = (call.start)();
            let storage = Faulty::new(memory.clone()).with_fault(k, fault);
            let outcome = (call.run)(&on(storage.clone()));
            let when = format!("{fault:?} at operation {k}, {}", storage.log()[k]);
            let is_new = call.is_new(&memory, &when);
            match outcome {
                Ok(()) => assert!(is_new, "{when}: the call said that it succeeded"),
                Err(error) => {
                    assert!(matches!(error, Error::Io { .. }), "{when}: {error}");
                    let says_so = error.to_string().contains("the new checkpoint is in place");
                    assert_eq!(says_so, is_new, "{when}: {error}");
                }
            }
            assert_eq!(call.left_over(&memory), Vec::<String>::new(), "{when}");
        }
    }
}

#[test]
fn a_stop_at_any_operation_leaves_the_old_file_or_the_new_and_the_next_call_works() {
    for call in calls() {
        let (mut olds, mut news) = (0, 0);
        for k in 0..call.operations() {
            let memory = (call.start)();
            let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
            (call.run)(&on(storage.clone())).expect_err("it was stopped");
            for (number, left) in memory.crash_states(50).into_iter().enumerate() {
                let when = format!("stop at operation {k}, {}, state {number}", storage.log()[k]);
                let is_new = call.is_new(&left, &when);
                olds += usize::from(!is_new);
                news += usize::from(is_new);
                if !is_new {
                    (call.run)(&on(left.clone())).unwrap_or_else(|error| panic!("{when}: {error}"));
                    assert!(call.is_new(&left, &when), "{when}");
                }
            }
        }
        assert!(
            olds > 0 && news > 0,
            "{olds} old and {news} new: the stops do not cover the call"
        );
    }
}

#[test]
fn a_call_that_reports_success_is_durable() {
    for call in calls() {
        let memory = (call.start)();
        (call.run)(&on(memory.clone())).expect("no fault is set");
        for left in memory.crash_states(500) {
            assert!(call.is_new(&left, "after success"));
        }
    }
}
