//! Fills one tensor with several threads, each with its own lane, such as a pair of pinned buffers.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::source::read::in_parallel;

/// Calls `put` for every window, from several threads. A thread uses a lane exclusively, and there are at most as many
/// lanes as threads. Returns the lanes after the last window, since copies may still run in them.
///
/// # Errors
/// The first error of `put` or `lane`. The threads then begin no new window, and the lanes are dropped.
pub(super) fn in_lanes<L: Send>(
    threads: usize,
    windows: impl Iterator<Item = Range<usize>> + Send,
    lane: impl Fn() -> Result<L> + Sync,
    put: impl Fn(&mut L, Range<usize>) -> Result<()> + Sync,
) -> Result<Vec<L>> {
    let windows = Mutex::new(windows);
    let free = Mutex::new(Vec::with_capacity(threads));
    in_parallel(threads, || {
        let window = lock(&windows).next()?;
        let kept = lock(&free).pop();
        let mut lane = match kept.map_or_else(&lane, Ok) {
            Ok(lane) => lane,
            Err(error) => return Some(Err(error)),
        };
        Some(put(&mut lane, window).map(|()| lock(&free).push(lane)))
    })?;
    Ok(free.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    fn windows(count: usize) -> impl Iterator<Item = Range<usize>> + Send {
        (0..count).map(|at| 3 * at..3 * at + 3)
    }

    #[test]
    fn every_window_is_put_once_in_no_more_lanes_than_threads() {
        for (threads, count) in [(1, 0), (1, 5), (2, 1), (3, 100), (8, 7)] {
            let put = |lane: &mut Vec<Range<usize>>, window| {
                lane.push(window);
                Ok(())
            };
            let lanes = in_lanes(threads, windows(count), || Ok(Vec::new()), put).expect("nothing fails");
            assert!(lanes.len() <= threads, "{threads} threads, {count} windows");
            for lane in &lanes {
                assert!(lane.is_sorted_by_key(|window| window.start), "in order");
            }
            let mut all = lanes.concat();
            all.sort_by_key(|window| window.start);
            assert_eq!(all, windows(count).collect::<Vec<_>>());
        }
    }

    /// Counts the live lanes.
    struct Counted<'c>(&'c AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_error_ends_it_and_the_lanes() {
        for threads in [1, 2, 8] {
            let (there, puts) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let lane = || {
                there.fetch_add(1, Ordering::Relaxed);
                Ok(Counted(&there))
            };
            let put = |_: &mut Counted<'_>, window: Range<usize>| {
                puts.fetch_add(1, Ordering::Relaxed);
                match window.start {
                    30 => Err(Error::Internal("the tenth".into())),
                    _ => Ok(()),
                }
            };
            let error = in_lanes(threads, windows(1_000_000), lane, put)
                .err()
                .expect("the tenth fails");
            assert!(error.to_string().contains("the tenth"));
            assert!(puts.into_inner() < 1_000_000);
            assert_eq!(there.into_inner(), 0);
        }
    }

    #[test]
    fn no_lane_is_an_error() {
        let lane = || Err::<(), _>(Error::Internal("no memory".into()));
        let error = in_lanes(2, windows(3), lane, |(), _| Ok(())).expect_err("no lane");
        assert!(error.to_string().contains("no memory"));
    }
}
