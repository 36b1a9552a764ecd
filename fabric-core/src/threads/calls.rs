//! Which Fabrics this thread does something for, so that a callback that would wait for itself is told instead.
//!
//! A progress callback, a filter or an implementation of `Checkpoint` runs in the middle of a call. If it calls the same
//! Fabric, that call waits for the one it runs in, or meets other ranks at a step that they do not take.

use std::cell::RefCell;

thread_local! {
    /// The Fabrics, each by a number that all of its clones share.
    static WITHIN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// True while this thread is within a call of the Fabric.
pub(crate) fn is_within(fabric: u64) -> bool {
    // A thread that is about to end is within nothing.
    WITHIN
        .try_with(|within| within.borrow().contains(&fabric))
        .unwrap_or(false)
}

/// This thread is within a call of the Fabric until what this gives is dropped.
pub(crate) fn enter(fabric: u64) -> Within {
    Within::enter(vec![fabric])
}

/// The calls that a thread is within.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Vec<u64>);

impl Calls {
    /// Of this thread, for one that it starts.
    pub(crate) fn of_this_thread() -> Self {
        Self(WITHIN.try_with(|within| within.borrow().clone()).unwrap_or_default())
    }

    /// Does the work of these calls, on whatever thread.
    pub(crate) fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let _within = Within::enter(self.0);
        work()
    }
}

/// Calls on this thread, from now to the drop of this.
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
