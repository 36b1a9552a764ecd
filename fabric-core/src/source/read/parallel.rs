//! Threads that share a piece of work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::io::processor;
use crate::threads;

/// The threads that may share the reading: as many reads keep a device busy.
pub(crate) const THREADS: usize = 8;

/// How often a thread looks whether it waits.
const LOOK: Duration = Duration::from_millis(2);

/// Calls `step` on several threads, at most so many, until it gives nothing more, or an error, which is returned.
///
/// It begins with one for each processor. If they turn out to wait more than they compute, the others come: so what is in the cache
/// is not read by more threads than can run, and a device has enough to do.
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

    /// Without a further thread the work is done all the same, by those there are.
    fn grow<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, to: usize, most: usize) {
        let from = self.threads.fetch_max(to, Ordering::Relaxed);
        for _ in from..to {
            let _ = threads::start_scoped(scope, move || self.work(scope, most));
        }
    }
}

/// Whether a thread waits more than it computes.
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

    /// Looks at what was since it looked last, if that was a while ago.
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

/// How many of them begin. Where nobody can tell how long they wait, enough for a device.
fn processors() -> usize {
    // The system looks into several files to tell.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let least = if processor::TELLS_TIME { 1 } else { THREADS / 2 };
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).max(least))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::{self, ThreadId};

    use super::*;

    /// The threads that took part in so many steps.
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
