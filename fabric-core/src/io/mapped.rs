//! Bytes that are lent where they lie: in the page cache, through a map.
//!
//! `pread` copies page by page, by a loop of the system's that knows neither streaming stores nor checksums. Through a map
//! one pass does all three.
//!
//! **Gain.** A program that starts again and loads the checkpoint that is in the page cache: 1 GiB by two threads takes 67 ms
//! through a map and 110 ms by `pread` with checksums. A program that starts on a machine whose cache is cold: several threads that
//! call `pread` on one file reach 0.83 to 0.94 of the rate of the device, and leave small pages, from which every later load takes
//! 130 ms in place of 60. `unmapped.rs` stands in everywhere else.
//!
//! **Danger.** A file that is cut short while it is mapped, or a page that cannot
//! be read, ends the process by a signal. So a window is opened only
//!
//! - under a [lease](lease), for as long as the system lets nobody write to the file or cut it;
//! - onto pages that are put into the map, and first into the cache, by a call that has errors.
//!
//! It is closed a moment later. What is not in the cache comes there in large pages, which the ordinary way of reading ahead
//! does not make when several threads read one file: so the next load of the file is a fast one.
//!
//! What is left is a process that is stopped within this moment. It holds a writer up, for as long as the system keeps one
//! waiting: 45 seconds, as a rule (`/proc/sys/fs/lease-break-time`). If the writer then cuts the file, the process is ended by
//! `SIGBUS` when it goes on. The same happens if a page is dropped within the moment, and the device then fails to give it back.
//!
//! A lease may be less than it seems, on a file system that nobody thought of. So whoever is lent bytes reads each of them
//! once (`crate::io::lent`), and a wrong belief costs a checksum error.

mod lease;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;

use rustix::fs::{Advice, fadvise};

use self::lease::{Lease, Leased};

/// To open a window onto less costs more than it saves.
const LEAST: usize = 2 << 20;

/// Where maps begin: the cache has files in pages as large as this where it can, and such a page is mapped at once if it lies in
/// memory as it lies in the file.
const LARGE_PAGE: u64 = 2 << 20;

/// x86-64 has no other.
const PAGE: usize = 4096;

/// One page in so many bytes is asked whether it is in the cache.
const PROBED: usize = 512 << 10;

/// Less than this is not read from the device in large pages, of which too much might be for others.
const LEAST_READ: usize = 4 << 20;

/// An open file that lends its bytes.
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

    /// Lends what lies in the cache, as [`ReadFile::lend`](crate::storage::ReadFile::lend) promises.
    pub(crate) fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        if len < LEAST {
            return false;
        }
        let Some(lease) = self.0.take() else {
            return false;
        };
        // What was read from the device may have taken long, and somebody may wait now.
        let window = Window::open(&lease, offset, len).filter(|window| window.populate() && lease.is_whole());
        if let Some(window) = &window {
            take(window.bytes());
        }
        window.is_some()
    }
}

/// Asks for longer reading ahead by the calls that read what is not lent. A wish: a file without that notion is read as well.
fn expect_sequential(file: &File) {
    let _ = fadvise(file, 0, None, Advice::Sequential);
}

/// Some pages of a file, for reading, and which bytes of them are wanted. The file is still for as long as they are mapped.
struct Window<'l> {
    _lease: &'l Lease<'l>,
    first: *mut u8,
    mapped: usize,
    skipped: usize,
    len: usize,
}

#[expect(unsafe_code, reason = "a load through `pread` takes half as long again")]
impl<'l> Window<'l> {
    /// `None` if the file is shorter.
    fn open(lease: &'l Lease<'l>, offset: u64, len: usize) -> Option<Self> {
        let file = lease.file();
        let end = offset.checked_add(len as u64)?;
        if file.metadata().ok()?.len() < end {
            return None;
        }
        let start = offset - offset % LARGE_PAGE;
        let mapped = usize::try_from(end - start).ok()?;
        // SAFETY: the system chooses a place that nobody uses.
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

    /// Puts the pages into the map.
    fn populate(&self) -> bool {
        let from = self.skipped - self.skipped % PAGE;
        let pages = (self.first.wrapping_add(from).cast(), self.mapped - from);
        if !(from..self.mapped).step_by(PROBED).all(|at| self.is_cached(at)) {
            if self.len < LEAST_READ {
                return false;
            }
            // Large pages, and not those behind them. Who does not know of large ones reads ahead as for any map.
            if advise(pages, libc::MADV_HUGEPAGE) {
                advise(pages, libc::MADV_RANDOM);
            }
        }
        advise(pages, libc::MADV_POPULATE_READ)
    }

    /// Of the page that begins there.
    fn is_cached(&self, at: usize) -> bool {
        let mut cached = 0;
        // SAFETY: the page is one of the map, and `cached` has a byte for it.
        let asked = unsafe { libc::mincore(self.first.wrapping_add(at).cast(), 1, &raw mut cached) };
        asked == 0 && cached & 1 == 1
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the map is there for as long as `self`, all of it was within the file when it was made, and under the lease
        // the file can become no shorter, nor its bytes others.
        unsafe { std::slice::from_raw_parts(self.first.wrapping_add(self.skipped), self.len) }
    }
}

/// Whether the system could do it.
#[expect(unsafe_code, reason = "the standard library has no call for it")]
fn advise((first, len): (*mut libc::c_void, usize), advice: libc::c_int) -> bool {
    // SAFETY: the caller's map is its own. These advices read it as any access would, with an error in place of a signal, and say
    // how that is to be done.
    unsafe { libc::madvise(first, len, advice) == 0 }
}

#[expect(unsafe_code, reason = "what was mapped is unmapped")]
impl Drop for Window<'_> {
    fn drop(&mut self) {
        // SAFETY: the map is ours, and who borrowed its bytes borrowed `self`.
        let unmapped = unsafe { libc::munmap(self.first.cast(), self.mapped) };
        debug_assert_eq!(unmapped, 0, "a map can be taken away");
    }
}

#[cfg(test)]
mod tests;
