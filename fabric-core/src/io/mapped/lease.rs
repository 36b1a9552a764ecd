//! Read leases: while one is held, whoever would write to the file or cut it waits in `open` or `truncate`.
//!
//! See `fcntl(2)`, "Leases". The system gives them to a file's owner, and for a file that nobody has open for writing.
//!
//! **Signals.** The system tells the holder by a signal that a writer waits. The default, `SIGIO`, ends a process, so a lease
//! chooses `SIGURG`, which a process ignores unless it asks for it. The choice belongs to the open file, and the system
//! forgets it whenever a lease ends (`lease_modify` of Linux). So every lease chooses again, before it is taken, and the same
//! lock covers the choice, the taking and the end: no other thread ends a lease between the choice and the taking.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::c_int;

/// The signal for the holder of a lease, `F_SETSIG` of `fcntl(2)`, which the libc crate lacks.
const SET_SIGNAL: c_int = 10;

/// The file systems on which a lease keeps a file still: every write to such a file passes this system, which knows of the
/// lease. ext2 to ext4, XFS, Btrfs, F2FS and tmpfs.
///
/// Not overlayfs, the root of most containers: a writer may keep a writable map of the file below, of which the lease on
/// the file above knows nothing. Nor network file systems, FUSE and others that pass files on: somebody else may write to
/// what they pass on.
const STILL: [u32; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

/// An open file, and the lease on it that all threads share.
#[derive(Debug)]
pub(super) struct Leased {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether leases are taken; `None` before the first call asks the file system.
    taker: Option<Taker>,
    holders: usize,
}

/// Nobody writes to the file, and nobody cuts it.
pub(super) struct Lease<'l>(&'l Leased);

impl Leased {
    pub(super) fn new(file: File) -> Self {
        let state = Mutex::default();
        Self { file, state }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// `None` if somebody writes to the file or waits to do so, or if the file system has no leases that keep it still.
    pub(super) fn take(&self) -> Option<Lease<'_>> {
        let mut state = self.lock();
        let taker = *state.taker.get_or_insert_with(|| Taker::of(&self.file));
        // A forked process shares the open file, and would end the lease of the process that it came from.
        if taker != Taker::Process(std::process::id()) {
            return None;
        }
        let held = if state.holders == 0 {
            // In this order: the first lease without the choice would be a deadly one.
            fcntl(&self.file, SET_SIGNAL, libc::SIGURG) == Some(0)
                && fcntl(&self.file, libc::F_SETLEASE, libc::F_RDLCK) == Some(0)
        } else {
            // No new holder may make a writer wait for longer.
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
    /// The file that is still.
    pub(super) fn file(&self) -> &'l File {
        &self.0.file
    }

    /// Whether nobody waits for its end.
    pub(super) fn is_whole(&self) -> bool {
        is_whole(&self.0.file)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.holders -= 1;
        if state.holders == 0 {
            // Where the system has taken it away already, there is nothing to give back.
            let _ = fcntl(&self.0.file, libc::F_SETLEASE, libc::F_UNLCK);
        }
    }
}

/// Which process takes leases on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taker {
    Process(u32),
    /// A lease does not keep a file still on this file system.
    Nobody,
}

impl Taker {
    /// This process, if the file is on a file system that keeps it still under a lease.
    fn of(file: &File) -> Self {
        let system = rustix::fs::fstatfs(file).ok();
        let kind = system.and_then(|system| u32::try_from(system.f_type).ok());
        match kind {
            Some(kind) if STILL.contains(&kind) => Self::Process(std::process::id()),
            _ => Self::Nobody,
        }
    }
}

/// A lease is called broken from when a writer waits for it.
fn is_whole(file: &File) -> bool {
    fcntl(file, libc::F_GETLEASE, 0) == Some(libc::F_RDLCK)
}

/// `None` if the system refuses.
#[expect(unsafe_code, reason = "leases have no call in the standard library, nor in rustix")]
fn fcntl(file: &File, command: c_int, argument: c_int) -> Option<c_int> {
    // SAFETY: the descriptor is open, and these commands take a number.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    (answer >= 0).then_some(answer)
}
