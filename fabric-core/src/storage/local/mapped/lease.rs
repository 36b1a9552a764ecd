//! Read leases: while one is held, whoever would write to the file or cut it waits in `open` or `truncate`.
//!
//! See `fcntl(2)`, "Leases". The system gives them to a file's owner, and for a file that nobody has open for writing. Who
//! waits is told to us by a signal; since a lease is held for moments only, it need not be heard, and is one that is
//! ignored unless a program asks for it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::c_int;

/// The signal for the holder of a lease, `F_SETSIG` of `fcntl(2)`, which the libc crate lacks.
const SET_SIGNAL: c_int = 10;

/// File systems of this machine alone: what is written to their files is written through this system, which knows of the
/// lease. ext2 to ext4, XFS, Btrfs, F2FS, tmpfs, and overlayfs, which forbids that its layers are changed from below.
const LOCAL: [u32; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994, 0x794c_7630];

/// The lease on one open file, which all threads that want it share.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether there can be one; `None` before anybody asked.
    possible: Option<bool>,
    holders: usize,
}

/// Nobody writes to the file.
pub(super) struct Lease<'l> {
    leases: &'l Leases,
    file: &'l File,
}

impl Leases {
    /// `None` if somebody writes to the file or waits to do so, or if the file system has no leases. `file` is always the
    /// same.
    pub(super) fn take<'l>(&'l self, file: &'l File) -> Option<Lease<'l>> {
        let mut state = self.lock();
        if !*state.possible.get_or_insert_with(|| possible(file)) {
            return None;
        }
        let held = if state.holders == 0 {
            fcntl(file, libc::F_SETLEASE, libc::F_RDLCK) == Some(0)
        } else {
            // No new holder may make a writer wait for longer.
            is_whole(file)
        };
        if !held {
            return None;
        }
        state.holders += 1;
        Some(Lease { leases: self, file })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Whether nobody waits for its end.
    pub(super) fn is_whole(&self) -> bool {
        is_whole(self.file)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.leases.lock();
        state.holders -= 1;
        if state.holders == 0 {
            // Where the system has taken it away already, there is nothing to give back.
            let _ = fcntl(self.file, libc::F_SETLEASE, libc::F_UNLCK);
        }
    }
}

fn possible(file: &File) -> bool {
    let system = rustix::fs::fstatfs(file).ok();
    let kind = system.and_then(|system| u32::try_from(system.f_type).ok());
    // The default signal would end the process.
    kind.is_some_and(|kind| LOCAL.contains(&kind)) && fcntl(file, SET_SIGNAL, libc::SIGURG) == Some(0)
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
