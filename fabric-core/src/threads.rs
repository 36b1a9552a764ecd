//! The threads of this library. None of them is needed: where the system has none to give, or little memory is left, the
//! thread that there is does the work.

pub(crate) mod calls;

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

use crate::io::pages;
use crate::threads::calls::Calls;

/// What a thread takes of the address space: its stack, and what the system keeps beside that.
const SIZE: usize = (2 << 20) + (64 << 10);

/// Starts a thread within a scope.
///
/// # Errors
/// If the system has none to give, or little memory is left.
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

/// A thread that waits for its work: whoever does not get all the threads that it wants still has the work.
pub(crate) struct Worker<W, T> {
    work: SyncSender<W>,
    thread: JoinHandle<Option<T>>,
}

impl<W: Send + 'static, T: Send + 'static> Worker<W, T> {
    /// Starts a thread of this name, which does nothing before it is given its work.
    ///
    /// # Errors
    /// As [`start_scoped`].
    pub(crate) fn start(name: &str, run: impl FnOnce(W) -> T + Send + 'static) -> io::Result<Self> {
        let (work, given) = sync_channel(1);
        // Without work there is nothing to do.
        let thread = start(name, move || given.recv().ok().map(run))?;
        Ok(Self { work, thread })
    }

    /// Gives it its work. The thread gives back `None` if it was gone.
    pub(crate) fn begin(self, work: W) -> JoinHandle<Option<T>> {
        // There is room for it, and whoever joins the thread hears that it is gone.
        let _ = self.work.send(work);
        self.thread
    }
}

/// A thread that finds no memory for what it needs before its work ends the process: so this looks first.
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
        assert_eq!(worker.begin(2).join().expect("no panic"), Some(3));
        let Worker { work, thread } = Worker::start("idle", |number: u32| number).expect("a thread");
        drop(work);
        assert_eq!(thread.join().expect("no panic"), None);
    }
}
