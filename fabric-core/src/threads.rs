//! The threads of this library. All work also runs without them: if the system lacks a thread or the memory for one,
//! the calling thread does the work.

pub(crate) mod calls;

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

use crate::io::pages;
use crate::threads::calls::Calls;

/// The address space of a thread in bytes: its stack, and the system's data about it.
const SIZE: usize = (2 << 20) + (64 << 10);

/// Starts a thread in a scope.
///
/// # Errors
/// If the system lacks a thread or the memory for one.
pub(crate) fn start_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let calls = look()?;
    Builder::new().spawn_scoped(scope, move || calls.within(work))
}

/// Starts a thread named `name`.
///
/// # Errors
/// As for [`start_scoped`].
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let calls = look()?;
    Builder::new().name(name.to_owned()).spawn(move || calls.within(work))
}

/// A thread that waits for its work. A caller that needs several threads starts all of them first, and keeps the work
/// if one cannot start.
pub(crate) struct Worker<W, T> {
    work: SyncSender<W>,
    thread: JoinHandle<Option<T>>,
}

impl<W: Send + 'static, T: Send + 'static> Worker<W, T> {
    /// Starts a thread named `name`, which waits for its work.
    ///
    /// # Errors
    /// As for [`start_scoped`].
    pub(crate) fn start(name: &str, run: impl FnOnce(W) -> T + Send + 'static) -> io::Result<Self> {
        let (work, given) = sync_channel(1);
        // The thread ends if it gets no work.
        let thread = start(name, move || given.recv().ok().map(run))?;
        Ok(Self { work, thread })
    }

    /// Gives the thread its work. The join returns `None` if the thread got none.
    pub(crate) fn assign(self, work: W) -> JoinHandle<Option<T>> {
        // The channel has room. If the thread has ended, its join reports the reason.
        let _ = self.work.send(work);
        self.thread
    }
}

/// Checks that the memory for a thread is available, because the standard library aborts the process otherwise. Returns
/// the calls of this thread, for the new one.
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
