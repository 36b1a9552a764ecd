//! The calls of Fabrics that this thread is in, so that a callback that would wait for itself gets an error.
//!
//! A progress callback, a filter or an implementation of `Checkpoint` runs inside a call. If it calls the same Fabric,
//! that call would wait for the outer one, or arrive at a step that the other ranks do not take.

use std::cell::RefCell;

thread_local! {
    /// The numbers of the Fabrics; all clones of a Fabric share one number.
    static WITHIN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// True while this thread is within a call of the Fabric.
pub(crate) fn is_within(fabric: u64) -> bool {
    // A thread that is ending is in no call.
    WITHIN
        .try_with(|within| within.borrow().contains(&fabric))
        .unwrap_or(false)
}

/// Enters a call of the Fabric, which lasts until the returned guard is dropped.
pub(crate) fn enter(fabric: u64) -> Within {
    Within::enter(vec![fabric])
}

/// The calls that a thread is in.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Vec<u64>);

impl Calls {
    /// The calls of this thread, for a thread that it starts.
    pub(crate) fn of_this_thread() -> Self {
        Self(WITHIN.try_with(|within| within.borrow().clone()).unwrap_or_default())
    }

    /// Runs `work` inside these calls, on any thread.
    pub(crate) fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let _within = Within::enter(self.0);
        work()
    }
}

/// A guard: this thread is in these calls until it is dropped.
#[derive(Debug)]
#[must_use = "the call ends when this is dropped"]
pub(crate) struct Within {
    before: usize,
    /// A guard stays on its thread: another thread must not take calls out of this thread's list.
    _here: std::marker::PhantomData<*const ()>,
}

impl Within {
    fn enter(fabrics: Vec<u64>) -> Self {
        let before = WITHIN.try_with(|within| {
            let mut within = within.borrow_mut();
            let before = within.len();
            within.extend(fabrics);
            before
        });
        Self {
            before: before.unwrap_or_default(),
            _here: std::marker::PhantomData,
        }
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let _ = WITHIN.try_with(|within| within.borrow_mut().truncate(self.before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_within_a_call_until_it_ends_and_so_are_those_that_it_starts() {
        assert!(!is_within(1));
        let outer = enter(1);
        {
            let _inner = enter(2);
            assert!(is_within(1) && is_within(2));
            let calls = Calls::of_this_thread();
            std::thread::scope(|scope| {
                scope.spawn(|| assert!(!is_within(1)));
                scope.spawn(move || calls.within(|| assert!(is_within(1) && is_within(2))));
            });
        }
        assert!(is_within(1) && !is_within(2));
        drop(outer);
        assert!(!is_within(1));
    }
}
