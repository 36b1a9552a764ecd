//! Reads a file that was written around the page cache back into it, behind the save.
//!
//! **Gain.** A training program that is killed and starts again: a direct write leaves no page of the file in the
//! cache, so the restart would read its checkpoint from the device: a process that loads 256 MiB and ends, two seconds
//! after the save, takes 172 ms, and 426 ms without this module. On all systems but Linux, direct writes go through
//! the cache, and `read_back/portable.rs` has nothing to do.
//!
//! The bytes go to free memory only: no page of another file leaves the cache for them. The thread gives way to other
//! work: it has the lowest priority, and it ends when the next direct write of the process begins.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::direct::StartThread;
use super::free_memory::free_memory;
use super::mapped::Mapped;
use super::pages;

/// The bytes that are read at a time.
const WINDOW: u64 = 8 << 20;

/// The part of the free memory that the rest of a file may take: one of this many equal parts.
const PARTS: u64 = 4;

/// The time that the thread waits before it reads: the save that wrote the file is syncing its directory.
const PAUSE: Duration = Duration::from_millis(50);

/// The lowest priority of a thread on Linux.
const LOWEST: i32 = 19;

/// The bytes that are read by one call where the file cannot be mapped.
const PIECE: usize = 1 << 20;

/// The longest time that [`stop`] waits. A forked process waits in vain for the threads of its parent.
const MOST_WAITED: Duration = Duration::from_secs(2);

/// The number of direct writes that this process has begun.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// The number of threads that read.
static READERS: AtomicUsize = AtomicUsize::new(0);

/// Ends the reading of earlier files, because a direct write begins.
pub(crate) fn give_way() {
    WRITES.fetch_add(1, Ordering::Relaxed);
}

/// Ends the reading of earlier files, and waits until no thread holds one. Returns true if a thread did.
pub(crate) fn stop() -> bool {
    give_way();
    let begun = Instant::now();
    let mut has_waited = false;
    while READERS.load(Ordering::Acquire) > 0 && begun.elapsed() < MOST_WAITED {
        has_waited = true;
        thread::sleep(Duration::from_millis(1));
    }
    has_waited
}

/// Counts a thread that reads, until it is dropped.
struct Reader;

impl Reader {
    fn new() -> Self {
        READERS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        READERS.fetch_sub(1, Ordering::Release);
    }
}

/// Starts a thread that reads the file, if the free memory has room for four files of its length. Does nothing if the
/// system lacks the thread, or if this process may not read the file.
pub(crate) fn start(file: &File, start_thread: StartThread) {
    let writes = WRITES.load(Ordering::Relaxed);
    // The handle of the writer only writes, and prevents mapped reads while it is open.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let (Ok(file), Ok(len)) = (File::open(path), file.metadata().map(|found| found.len())) else {
        return;
    };
    if !has_room(len, free_memory()) {
        return;
    }
    let reader = Reader::new();
    // A thread that does not start is no loss but that of the cached bytes.
    let _ = start_thread(Box::new(move || {
        // A system that refuses leaves the thread at the priority of the others.
        let _ = rustix::process::nice(LOWEST);
        thread::sleep(PAUSE);
        read(file, len, &|rest| {
            WRITES.load(Ordering::Relaxed) == writes && has_room(rest, free_memory())
        });
        drop(reader);
    }));
}

/// Returns true if so many bytes may go to the cache.
pub(crate) fn has_room(len: u64, free: u64) -> bool {
    len <= free / PARTS
}

/// Reads windows in their order while `goes_on` returns true for the number of bytes that are left. An error ends the
/// reading: the file is whole, and a load reports a device that fails.
fn read(file: File, len: u64, goes_on: &dyn Fn(u64) -> bool) {
    let file = Mapped::new(file);
    let mut at = 0;
    let has_name = || file.file().metadata().is_ok_and(|found| found.nlink() > 0);
    // The system frees a file that was removed when the last handle is closed.
    while at < len && has_name() && goes_on(len - at) {
        let now = WINDOW.min(len - at);
        let Ok(bytes) = usize::try_from(now) else { return };
        if !file.lend(at, bytes, &mut |_| {}) && copy(file.file(), at, bytes).is_none() {
            return;
        }
        at += now;
    }
}

/// Reads bytes by `pread`, which brings them to the cache.
fn copy(file: &File, at: u64, len: usize) -> Option<()> {
    use std::os::unix::fs::FileExt;

    let mut bytes = pages::zeroed::<u8>(PIECE.min(len)).ok()?;
    (0..len).step_by(PIECE).try_for_each(|from| {
        let now = PIECE.min(len - from);
        file.read_exact_at(&mut bytes[..now], at + from as u64).ok()
    })
}

#[cfg(test)]
#[cfg(fabric_x86_64)]
mod tests {
    use std::io::Write;

    use rustix::fs::{Advice, fadvise};
    use tempfile::NamedTempFile;

    use super::*;
    use crate::io::mapped::is_cached;

    const LEN: u64 = 2 * WINDOW + 5;

    /// A file that is on its device and not in the cache. `None` on a file system that keeps its files in memory.
    fn uncached() -> Option<NamedTempFile> {
        let mut file = NamedTempFile::new().expect("a file of a test");
        file.write_all(&vec![7; usize::try_from(LEN).expect("a file of a test")])
            .expect("a file of a test");
        file.as_file().sync_all().expect("a file of a test");
        fadvise(file.as_file(), 0, None, Advice::DontNeed).expect("a file of a test");
        (!cached(&file, 0) && !cached(&file, LEN - 1)).then_some(file)
    }

    fn cached(file: &NamedTempFile, at: u64) -> bool {
        is_cached(file.as_file(), at)
    }

    #[test]
    fn all_bytes_come_to_the_cache() {
        let Some(file) = uncached() else { return };
        read(file.reopen().unwrap(), LEN, &|_| true);
        for at in [0, WINDOW - 1, WINDOW, LEN - 1] {
            assert!(cached(&file, at), "byte {at}");
        }
    }

    #[test]
    fn reading_ends_when_it_has_to_give_way() {
        let Some(file) = uncached() else { return };
        read(file.reopen().unwrap(), LEN, &|rest| rest == LEN);
        assert!(cached(&file, 0) && !cached(&file, LEN - 1));
    }

    #[test]
    fn a_file_that_lost_its_name_is_left_alone() {
        let Some(file) = uncached() else { return };
        let held = file.reopen().unwrap();
        let (kept, path) = file.into_parts();
        path.close().unwrap();
        read(held, LEN, &|_| true);
        assert!(!is_cached(&kept, 0));
    }

    #[test]
    fn a_file_that_is_shorter_than_it_was_ends_the_reading() {
        read(NamedTempFile::new().unwrap().reopen().unwrap(), LEN, &|_| true);
    }

    #[test]
    fn a_quarter_of_the_free_memory_is_the_most() {
        assert!(has_room(0, 0) && has_room(25, 100));
        assert!(!has_room(26, 100) && !has_room(1, 0));
    }
}
