//! Mapped reads: lends bytes of a file from the page cache, through a map.
//!
//! `pread` copies page by page, with a loop of the system that uses neither streaming stores nor checksums. Through a
//! map, one pass over the bytes does all three.
//!
//! **Gain.** A program that restarts and loads a checkpoint from the page cache: 1 GiB by two threads takes 67 ms
//! through a map and 110 ms by `pread` with checksums. A program that starts with a cold cache: several threads that
//! call `pread` on one file reach 0.83 to 0.94 of the rate of the device, and leave small pages in the cache, from
//! which every later load takes 130 ms instead of 60 ms. `unmapped.rs` replaces this module on all other systems.
//!
//! **Danger.** If a mapped file is truncated, or a mapped page cannot be read, a signal ends the process. So a window
//! is opened only
//!
//! - under a [lease](lease), while the system lets no process write to the file or truncate it;
//! - on pages that a call with an error result (`MADV_POPULATE_READ`) has read into the cache and mapped.
//!
//! The window is closed a moment later. Bytes that are not in the cache are read into large pages, which ordinary
//! read-ahead does not use when several threads read one file. So the next load of the file is fast.
//!
//! One risk remains: a process that is stopped while a window is open. It blocks a writer for as long as the system
//! waits for the lease, 45 seconds by default (`/proc/sys/fs/lease-break-time`). If the writer then truncates the file,
//! `SIGBUS` ends the stopped process when it continues. `SIGBUS` also ends it if the system drops a mapped page
//! meanwhile and the device then fails to read it.
//!
//! A file system with incomplete leases may let the bytes change. So the reader of lent bytes reads each of them once
//! (`crate::io::lent`), and a change is found as a checksum error.

mod lease;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;

use rustix::fs::{Advice, fadvise};

use self::lease::{Lease, Leased};

/// The shortest window in bytes. A shorter one costs more than it saves.
const LEAST: usize = 2 << 20;

/// The alignment of maps: the cache keeps files in pages of this size where it can, and one page-table entry maps such
/// a page if memory and file are aligned alike.
const LARGE_PAGE: u64 = 2 << 20;

/// The page size of x86-64.
const PAGE: usize = 4096;

/// The distance between two pages that are checked to be in the cache, in bytes.
const PROBED: usize = 512 << 10;

/// The shortest read from the device into large pages, in bytes. A shorter read could fetch many bytes that the caller
/// does not need.
const LEAST_READ: usize = 4 << 20;

/// An open file that can lend its bytes.
#[derive(Debug)]
pub(crate) struct Mapped(Leased);

impl Mapped {
    pub(crate) fn new(file: File) -> Self {
        expect_sequential(&file);
        Self(Leased::new(file))
    }

    pub(crate) fn file(&self) -> &File {
        self.0.file()
    }

    /// Lends bytes from the page cache, as [`ReadFile::lend`](crate::storage::ReadFile::lend) describes.
    pub(crate) fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        if len < LEAST {
            return false;
        }
        let Some(lease) = self.0.take() else {
            return false;
        };
        // A read from the device may have taken long, so the lease is checked again: a writer may wait by now.
        let window = Window::open(&lease, offset, len).filter(|window| window.populate() && lease.is_whole());
        if let Some(window) = &window {
            take(window.bytes());
        }
        window.is_some()
    }
}

/// Asks for longer read-ahead by `pread`. A file that ignores the advice is read as well.
fn expect_sequential(file: &File) {
    let _ = fadvise(file, 0, None, Advice::Sequential);
}

/// A map of some pages of a file, and the requested range in it. The lease prevents changes while it exists.
struct Window<'l> {
    _lease: &'l Lease<'l>,
    first: *mut u8,
    mapped: usize,
    skipped: usize,
    len: usize,
}

#[expect(unsafe_code, reason = "a load through `pread` takes 1.5 times as long")]
impl<'l> Window<'l> {
    /// Maps the range; `None` if the file ends before it.
    fn open(lease: &'l Lease<'l>, offset: u64, len: usize) -> Option<Self> {
        let file = lease.file();
        let end = offset.checked_add(len as u64)?;
        if file.metadata().ok()?.len() < end {
            return None;
        }
        let start = offset - offset % LARGE_PAGE;
        let mapped = usize::try_from(end - start).ok()?;
        // SAFETY: the system chooses an unused address range.
        let first = unsafe {
            libc::mmap(
                ptr::null_mut(),
                mapped,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                start.try_into().ok()?,
            )
        };
        (first != libc::MAP_FAILED).then(|| Self {
            _lease: lease,
            first: first.cast(),
            mapped,
            skipped: mapped - len,
            len,
        })
    }

    /// Reads the pages into the cache if needed, and maps them. Returns `false` if that is not possible or not worth
    /// it.
    fn populate(&self) -> bool {
        let from = self.skipped - self.skipped % PAGE;
        let pages = (self.first.wrapping_add(from).cast(), self.mapped - from);
        if !(from..self.mapped).step_by(PROBED).all(|at| self.is_cached(at)) {
            if self.len < LEAST_READ {
                return false;
            }
            // Read large pages, without read-ahead behind them. A system without large pages reads ahead as for any
            // map.
            if advise(pages, libc::MADV_HUGEPAGE) {
                advise(pages, libc::MADV_RANDOM);
            }
        }
        advise(pages, libc::MADV_POPULATE_READ)
    }

    /// Returns true if the cache holds the page at `at`.
    fn is_cached(&self, at: usize) -> bool {
        let mut cached = 0;
        // SAFETY: the page is within the map, and `cached` has the one byte that the call writes.
        let asked = unsafe { libc::mincore(self.first.wrapping_add(at).cast(), 1, &raw mut cached) };
        asked == 0 && cached & 1 == 1
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the map lives as long as `self`, the file was long enough when the map was made, and the lease
        // prevents truncation and writes.
        unsafe { std::slice::from_raw_parts(self.first.wrapping_add(self.skipped), self.len) }
    }
}

/// Gives the advice; true if the system accepted it.
#[expect(unsafe_code, reason = "the standard library has no `madvise`")]
fn advise((first, len): (*mut libc::c_void, usize), advice: libc::c_int) -> bool {
    // SAFETY: the caller owns the map. These advices only populate it, which returns an error instead of a signal, or
    // choose how it is read.
    unsafe { libc::madvise(first, len, advice) == 0 }
}

#[expect(unsafe_code, reason = "the standard library has no `munmap`")]
impl Drop for Window<'_> {
    fn drop(&mut self) {
        // SAFETY: `self` owns the map, and all borrows of its bytes borrow `self`.
        let unmapped = unsafe { libc::munmap(self.first.cast(), self.mapped) };
        debug_assert_eq!(unmapped, 0, "a map can be taken away");
    }
}

/// Returns true if the page cache has the byte at `at`. The file is not read, and must be longer than `at`.
#[cfg(test)]
#[expect(unsafe_code, reason = "the standard library has no `mmap`")]
pub(crate) fn is_cached(file: &File, at: u64) -> bool {
    let start = (at - at % PAGE as u64).try_into().expect("a file of a test");
    // SAFETY: the system chooses an unused address range, and nothing reads the map.
    let first = unsafe {
        libc::mmap(
            ptr::null_mut(),
            PAGE,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            start,
        )
    };
    assert_ne!(first, libc::MAP_FAILED);
    let mut cached = 0;
    // SAFETY: the page is mapped, and `cached` has the one byte that the call writes.
    assert_eq!(unsafe { libc::mincore(first, 1, &raw mut cached) }, 0);
    // SAFETY: the map was made above, and nothing else points to it.
    assert_eq!(unsafe { libc::munmap(first, PAGE) }, 0);
    cached & 1 == 1
}

#[cfg(test)]
mod tests;
