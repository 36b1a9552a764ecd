//! Tracks the calls of each `Fabric` that a thread is in, so that a callback that would deadlock gets an error.
//!
//! A progress callback, a filter or an implementation of `Checkpoint` runs inside a call. If it called the same
//! `Fabric` again, the inner call would wait for the outer one, or take part in a step that the other ranks do not
//! take.

use std::cell::RefCell;

thread_local! {
    /// The numbers of the `Fabric`s whose calls this thread is in. All clones of a `Fabric` share one number.
    static WITHIN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Returns true while this thread is in a call of the `Fabric`.
pub(crate) fn is_within(fabric: u64) -> bool {
    // The list is gone while a thread ends; the thread is in no call then.
    WITHIN
        .try_with(|within| within.borrow().contains(&fabric))
        .unwrap_or(false)
}

/// Enters a call of the `Fabric`. The call lasts until the guard is dropped.
pub(crate) fn enter(fabric: u64) -> Within {
    Within::enter(vec![fabric])
}

/// The calls that a thread is in.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Vec<u64>);

impl Calls {
    /// The calls of this thread, to pass to a thread that it starts.
    pub(crate) fn of_this_thread() -> Self {
        Self(WITHIN.try_with(|within| within.borrow().clone()).unwrap_or_default())
    }

    /// Runs `work` inside these calls, on the current thread.
    pub(crate) fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let _within = Within::enter(self.0);
        work()
    }
}

/// A guard: its thread is in these calls until the drop.
#[derive(Debug)]
#[must_use = "the call ends when this is dropped"]
pub(crate) struct Within {
    before: usize,
    /// Not `Send`: the drop removes the calls from the list of its own thread.
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
