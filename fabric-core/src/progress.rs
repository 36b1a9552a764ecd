//! The progress of a save or a load: counted by the threads that move bytes, and reported to the caller's callback.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result, panic_text};
use crate::io::checksum::BLOCK;

/// The progress of a save or a load, as [`SaveOptions::progress`](crate::SaveOptions::progress) and
/// [`LoadOptions::progress`](crate::LoadOptions::progress) report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'e> {
    /// The bytes of tensors that this rank has moved so far. It never decreases from one call to the next.
    pub bytes_done: u64,
    /// The bytes of tensors that this rank moves in total; the same in every call. A load that verifies first reads all
    /// bytes twice, and counts them twice.
    pub bytes_in_all: u64,
    /// The entry that the last bytes belong to.
    pub entry: &'e str,
}

/// The caller's callback.
#[derive(Clone)]
pub(crate) struct Callback(Arc<dyn Fn(&Progress<'_>) + Send + Sync>);

impl Callback {
    pub(crate) fn new(callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(callback))
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// Counts bytes from any number of threads, and calls the callback: about once for each block, and after the last byte.
///
/// The thread that moved the bytes calls the callback, and never two threads at a time. If the callback panics, the
/// call that moves bytes gets an error, and the panic goes on when no lock is held: [`Meter::unwind`].
#[derive(Debug)]
pub(crate) struct Meter {
    /// True if there is a callback, or was one.
    watched: bool,
    total: AtomicU64,
    done: AtomicU64,
    /// The callback is not called below this count.
    next: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    callback: Option<Callback>,
    bytes: u64,
    panic: Option<Box<dyn Any + Send>>,
}

impl Meter {
    pub(crate) fn new(callback: Option<Callback>) -> Self {
        Self {
            watched: callback.is_some(),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            next: AtomicU64::new(0),
            told: Mutex::new(Told {
                callback,
                ..Told::default()
            }),
        }
    }

    /// Sets the total number of bytes, before the first is counted.
    pub(crate) fn announce(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.next.store(total.min(BLOCK as u64), Ordering::Relaxed);
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Counts bytes of an entry.
    ///
    /// # Errors
    /// If the callback has panicked.
    pub(crate) fn add(&self, entry: &str, bytes: u64) -> Result<()> {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.watched && bytes > 0 && done >= self.next.load(Ordering::Relaxed) {
            return self.tell(entry);
        }
        Ok(())
    }

    fn tell(&self, entry: &str) -> Result<()> {
        let mut told = self.lock();
        if let Some(panic) = &told.panic {
            return Err(stopped(&**panic));
        }
        // Another thread may have reported these bytes.
        let (done, total) = (self.done(), self.total());
        if done == told.bytes || done < self.next.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(callback) = told.callback.clone() else {
            return Ok(());
        };
        told.bytes = done;
        self.next.store(total.min(done + BLOCK as u64), Ordering::Relaxed);
        let progress = Progress {
            bytes_done: done,
            bytes_in_all: total,
            entry,
        };
        // The panic is kept and goes on later; no state that it has left half changed is used here.
        catch_unwind(AssertUnwindSafe(|| (callback.0)(&progress))).map_err(|panic| {
            let error = stopped(&*panic);
            told.panic = Some(panic);
            error
        })
    }

    /// Drops the callback, with everything that it holds, a Fabric perhaps. No call follows.
    pub(crate) fn forget(&self) {
        // The drop runs without the lock, because it may take a while.
        let callback = self.lock().callback.take();
        drop(callback);
    }

    /// Resumes the callback's panic, if there was one.
    pub(crate) fn unwind(&self) {
        let panic = self.lock().panic.take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stopped(panic: &(dyn Any + Send)) -> Error {
    Error::Callback(panic_text(panic).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that were done, and the total.
    type Calls = Arc<Mutex<Vec<(u64, u64)>>>;

    fn recorded(total: u64) -> (Meter, Calls) {
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let meter = Meter::new(Some(Callback::new(move |progress| {
            let call = (progress.bytes_done, progress.bytes_in_all);
            seen.lock().expect("no panic").push(call);
        })));
        meter.announce(total);
        (meter, calls)
    }

    #[test]
    fn many_small_entries_are_told_of_once_a_block() {
        let block = BLOCK as u64;
        let (meter, calls) = recorded(3 * block + 64);
        for _ in 0..(3 * block + 64) / 64 {
            meter.add("small", 64).expect("no panic");
        }
        let expected = [block, 2 * block, 3 * block, 3 * block + 64].map(|done| (done, 3 * block + 64));
        assert_eq!(*calls.lock().expect("no panic"), expected);
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        let (meter, calls) = recorded(0);
        meter.add("empty", 0).expect("no panic");
        assert!(calls.lock().expect("no panic").is_empty());
    }

    #[test]
    fn of_many_threads_the_last_call_says_that_all_is_done_and_none_goes_back() {
        for _ in 0..50 {
            let (meter, calls) = recorded(64 * BLOCK as u64);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| (0..16).try_for_each(|_| meter.add("entry", BLOCK as u64 / 2)));
                }
            });
            let calls = calls.lock().expect("no panic");
            assert!(calls.is_sorted_by(|a, b| a.0 < b.0), "{calls:?}");
            assert_eq!(calls.last(), Some(&(64 * BLOCK as u64, 64 * BLOCK as u64)));
        }
    }
}
