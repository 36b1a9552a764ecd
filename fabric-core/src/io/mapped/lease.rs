//! Read leases: while a process holds one, a process that opens the file for writing or truncates it waits in that
//! call.
//!
//! See `fcntl(2)`, "Leases". The system grants a lease to the owner of a file that no process has open for writing.
//!
//! **Signals.** The system sends the holder a signal when a writer waits. The default, `SIGIO`, ends a process, so a
//! lease selects `SIGURG`, which a process ignores by default. The selection belongs to the open file, and Linux resets
//! it whenever a lease ends (`lease_modify`). So each lease selects the signal before it is taken. One lock covers the
//! selection, the taking and the end of a lease: no other thread ends a lease between the selection and the taking.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::c_int;

use crate::io::file_system;

/// The command that selects the signal, `F_SETSIG` of `fcntl(2)`, which the libc crate lacks.
const SET_SIGNAL: c_int = 10;

/// An open file, and the lease on it that all threads share.
#[derive(Debug)]
pub(super) struct Leased {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The process that may take leases; `None` before the first call has checked the file system.
    taker: Option<Taker>,
    holders: usize,
}

/// A held lease: no process can write to the file or truncate it.
pub(super) struct Lease<'l>(&'l Leased);

impl Leased {
    pub(super) fn new(file: File) -> Self {
        let state = Mutex::default();
        Self { file, state }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Takes the lease; `None` if a process has the file open for writing or waits to open it, or if leases on this
    /// file system do not prevent all changes.
    pub(super) fn take(&self) -> Option<Lease<'_>> {
        let mut state = self.lock();
        let taker = *state.taker.get_or_insert_with(|| Taker::of(&self.file));
        // A forked process shares the open file, and would end the lease of its parent.
        if taker != Taker::Process(std::process::id()) {
            return None;
        }
        let held = if state.holders == 0 {
            // The signal is selected first: a broken lease would otherwise send `SIGIO` and end the process.
            fcntl(&self.file, SET_SIGNAL, libc::SIGURG) == Some(0)
                && fcntl(&self.file, libc::F_SETLEASE, libc::F_RDLCK) == Some(0)
        } else {
            // A further holder is refused if a writer waits, so that the writer does not wait longer.
            is_whole(&self.file)
        };
        if !held {
            return None;
        }
        state.holders += 1;
        Some(Lease(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'l> Lease<'l> {
    /// The leased file.
    pub(super) fn file(&self) -> &'l File {
        &self.0.file
    }

    /// Returns true if no writer waits for the end of the lease.
    pub(super) fn is_whole(&self) -> bool {
        is_whole(&self.0.file)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.holders -= 1;
        if state.holders == 0 {
            // The call fails if the system has already ended the lease, which has no consequence.
            let _ = fcntl(&self.0.file, libc::F_SETLEASE, libc::F_UNLCK);
        }
    }
}

/// The process that may take leases on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taker {
    Process(u32),
    /// Leases on this file system do not prevent all changes.
    NoProcess,
}

impl Taker {
    /// This process, if leases on the file's file system prevent all changes.
    fn of(file: &File) -> Self {
        // On overlayfs, a writer may have a writable map of the underlying file, which a lease on the upper file does not
        // cover. On network file systems and FUSE, another machine or program may write to the file.
        match file_system::kind(file) {
            Some(kind) if file_system::LOCAL.contains(&kind) => Self::Process(std::process::id()),
            _ => Self::NoProcess,
        }
    }
}

/// Returns true if no writer waits: the system reports another kind of lease as soon as one does.
fn is_whole(file: &File) -> bool {
    fcntl(file, libc::F_GETLEASE, 0) == Some(libc::F_RDLCK)
}

/// The result of `fcntl`; `None` if the system returns an error.
#[expect(unsafe_code, reason = "leases have no call in the standard library, nor in rustix")]
fn fcntl(file: &File, command: c_int, argument: c_int) -> Option<c_int> {
    // SAFETY: the descriptor is open, and these commands take an integer argument.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    (answer >= 0).then_some(answer)
}
