//! The threads of this library. No thread is needed: if the system has none left, or little memory, the calling thread
//! does the work.

pub(crate) mod calls;

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

use crate::io::pages;
use crate::threads::calls::Calls;

/// The address space of a thread: its stack, and the system's own data about it.
const SIZE: usize = (2 << 20) + (64 << 10);

/// Starts a thread within a scope.
///
/// # Errors
/// If the system has no thread left, or little memory.
pub(crate) fn start_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let calls = look()?;
    Builder::new().spawn_scoped(scope, move || calls.within(work))
}

/// Starts a thread of this name.
///
/// # Errors
/// As [`start_scoped`].
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let calls = look()?;
    Builder::new().name(name.to_owned()).spawn(move || calls.within(work))
}

/// A thread that waits for its work: if a caller does not get all the threads that it needs, it still has the work.
pub(crate) struct Worker<W, T> {
    work: SyncSender<W>,
    thread: JoinHandle<Option<T>>,
}

impl<W: Send + 'static, T: Send + 'static> Worker<W, T> {
    /// Starts a thread of this name, which waits for its work.
    ///
    /// # Errors
    /// As [`start_scoped`].
    pub(crate) fn start(name: &str, run: impl FnOnce(W) -> T + Send + 'static) -> io::Result<Self> {
        let (work, given) = sync_channel(1);
        // The thread ends if it gets no work.
        let thread = start(name, move || given.recv().ok().map(run))?;
        Ok(Self { work, thread })
    }

    /// Gives the thread its work. The thread returns `None` if it got none.
    pub(crate) fn assign(self, work: W) -> JoinHandle<Option<T>> {
        // The channel has room; the join reports a thread that is gone.
        let _ = self.work.send(work);
        self.thread
    }
}

/// Checks the memory for a thread: the standard library aborts the process if there is none.
fn look() -> io::Result<Calls> {
    if pages::is_there(SIZE) {
        return Ok(Calls::of_this_thread());
    }
    Err(io::ErrorKind::OutOfMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_does_what_it_is_given_and_ends_if_that_is_nothing() {
        let worker = Worker::start("worker", |number: u32| number + 1).expect("a thread");
        assert_eq!(worker.assign(2).join().expect("no panic"), Some(3));
        let Worker { work, thread } = Worker::start("idle", |number: u32| number).expect("a thread");
        drop(work);
        assert_eq!(thread.join().expect("no panic"), None);
    }
}
