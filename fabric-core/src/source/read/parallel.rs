//! Runs a piece of work on several threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::io::processor;
use crate::threads;

/// The largest number of reading threads: this many reads keep a device busy.
pub(crate) const THREADS: usize = 8;

/// The interval after which a thread measures how long it has waited.
const LOOK: Duration = Duration::from_millis(2);

/// Calls `step` on at most `threads` threads until it returns `None` or an error. Returns the first error.
///
/// The work begins with one thread for each processor. If these wait more than they compute, the remaining threads
/// start. So a cached file is read by no more threads than can run, and a device has enough requests.
pub(crate) fn in_parallel(threads: usize, step: impl Fn() -> Option<Result<()>> + Sync) -> Result<()> {
    let crew = Crew {
        step,
        threads: AtomicUsize::new(1),
        stop: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    std::thread::scope(|scope| {
        crew.grow(scope, threads.min(processors()), threads);
        crew.work(scope, threads);
    });
    let failure = crew.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), Err)
}

/// The state that the threads share.
struct Crew<S> {
    step: S,
    threads: AtomicUsize,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl<S: Fn() -> Option<Result<()>> + Sync> Crew<S> {
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, most: usize) {
        let mut idleness = (self.threads.load(Ordering::Relaxed) < most).then(Idleness::begin);
        while !self.stop.load(Ordering::Relaxed) {
            match (self.step)() {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    self.stop.store(true, Ordering::Relaxed);
                    let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(error);
                }
            }
            if idleness.as_mut().is_some_and(Idleness::prevails) {
                self.grow(scope, most, most);
                idleness = None;
            }
        }
    }

    /// Starts threads. If the system gives no further thread, the running ones do the work.
    fn grow<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, to: usize, most: usize) {
        let from = self.threads.fetch_max(to, Ordering::Relaxed);
        for _ in from..to {
            let _ = threads::start_scoped(scope, move || self.work(scope, most));
        }
    }
}

/// Measures whether a thread waits more than it computes.
struct Idleness {
    since: Instant,
    computed: Option<Duration>,
}

impl Idleness {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            computed: processor::time(),
        }
    }

    /// Returns true if the thread has waited more than half of the time since the last measurement, at least [`LOOK`].
    fn prevails(&mut self) -> bool {
        let passed = self.since.elapsed();
        if passed < LOOK {
            return false;
        }
        let before = std::mem::replace(self, Self::begin());
        let both = before.computed.zip(self.computed);
        both.is_some_and(|(before, now)| now.saturating_sub(before) < passed / 2)
    }
}

/// The number of threads at the start. Where the system does not report waiting, there are enough threads for a device.
fn processors() -> usize {
    // The result is cached, because the system reads several files for it.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let least = if processor::TELLS_TIME { 1 } else { THREADS / 2 };
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).max(least))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::{self, ThreadId};

    use super::*;

    /// The threads that took part in `steps` steps.
    fn crew(threads: usize, steps: usize, step: impl Fn() + Sync) -> HashSet<ThreadId> {
        let (left, seen) = (AtomicUsize::new(steps), Mutex::new(HashSet::new()));
        let done = in_parallel(threads, || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .ok()?;
            seen.lock().unwrap().insert(thread::current().id());
            step();
            Some(Ok(()))
        });
        done.unwrap();
        seen.into_inner().unwrap()
    }

    #[test]
    fn threads_that_wait_are_joined_by_the_others_and_by_no_more() {
        let wait = || thread::sleep(Duration::from_millis(5));
        let seen = crew(6, 200, wait);
        assert!(seen.len() <= 6);
        assert!(seen.len() == 6 || !processor::TELLS_TIME, "{} threads wait", seen.len());
    }

    #[test]
    fn one_thread_is_the_caller() {
        assert_eq!(crew(1, 10, || {}), HashSet::from([thread::current().id()]));
    }

    #[test]
    fn an_error_ends_the_work() {
        let steps = AtomicUsize::new(0);
        let done = in_parallel(4, || {
            if steps.fetch_add(1, Ordering::Relaxed) == 10 {
                return Some(Err(Error::Internal("the eleventh".into())));
            }
            Some(Ok(()))
        });
        assert!(matches!(done, Err(Error::Internal(_))), "{done:?}");
    }
}
