//! Direct writes to devices that refuse unaligned writes, are full, or fail late.

use std::sync::{Mutex, MutexGuard};

use super::*;

/// A device in memory.
#[derive(Default)]
struct Device {
    state: Mutex<State>,
    /// Refuses direct writes whose memory, offset or length is not a multiple of this.
    alignment: usize,
    /// Refuses direct writes from this byte on, like a file system without direct writes.
    refuses_from: Option<usize>,
    /// Fails with this error code from this byte on.
    fails_from: Option<(usize, i32)>,
    /// Accepts at most this many bytes in one call.
    most: Option<usize>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    direct: usize,
    buffered: usize,
    no_longer_direct: bool,
    interrupted: bool,
}

impl Device {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Target for Device {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut state = self.state();
        state.interrupted = !state.interrupted;
        if state.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let at = usize::try_from(at).unwrap();
        if let Some((_, code)) = self.fails_from.filter(|(from, _)| at >= *from) {
            return Err(io::Error::from_raw_os_error(code));
        }
        if !state.no_longer_direct {
            let aligned = [bytes.as_ptr().addr(), at, bytes.len()];
            let aligned = aligned.iter().all(|n| n.is_multiple_of(self.alignment.max(1)));
            if !aligned || self.refuses_from.is_some_and(|from| at >= from) {
                return Err(io::Error::from_raw_os_error(EINVAL));
            }
        }
        let now = bytes.len().min(self.most.unwrap_or(usize::MAX));
        let end = state.bytes.len().max(at + now);
        state.bytes.resize(end, 0);
        state.bytes[at..at + now].copy_from_slice(&bytes[..now]);
        if state.no_longer_direct {
            state.buffered += now;
        } else {
            state.direct += now;
        }
        Ok(now)
    }

    fn end_direct(&self) -> io::Result<()> {
        self.state().no_longer_direct = true;
        Ok(())
    }
}

fn start_thread(write: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().spawn(write)
}

const EIO: i32 = 5;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;

fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// Writes `bytes` in pieces of `piece` bytes.
fn staged(device: &Arc<Device>, bytes: &[u8], piece: usize) -> io::Result<u64> {
    let mut staged = DirectWriter::start(device.clone(), bytes.len() as u64, true, start_thread)?;
    bytes.chunks(piece).try_for_each(|piece| staged.write_all(piece))?;
    staged.finish()
}

/// Lengths below, at and above every boundary.
fn lengths() -> Vec<usize> {
    let ends = [ALIGNMENT, 2 * ALIGNMENT, BLOCK, BLOCK * BLOCKS, BLOCK * (BLOCKS + 1)];
    let around = ends.iter().flat_map(|end| [end - 1, *end, end + 1]);
    [0, 1].into_iter().chain(around).collect()
}

#[test]
fn all_but_the_end_of_a_file_is_written_directly_and_aligned() {
    for len in lengths() {
        let device = Arc::new(Device {
            alignment: ALIGNMENT,
            ..Device::default()
        });
        let bytes = pattern(len);
        assert_eq!(staged(&device, &bytes, 1_000_003).unwrap(), len as u64);
        let state = device.state();
        assert!(state.bytes == bytes, "{len} bytes");
        assert_eq!((state.direct, state.buffered), (len - len % ALIGNMENT, len % ALIGNMENT));
    }
}

#[cfg(fabric_linux)]
#[test]
fn a_file_system_without_direct_writes_gets_ordinary_ones() {
    for from in [0, BLOCK] {
        let device = Arc::new(Device {
            refuses_from: Some(from),
            ..Device::default()
        });
        let bytes = pattern(2 * BLOCK + 77);
        staged(&device, &bytes, BLOCK / 3).unwrap();
        let state = device.state();
        assert!(state.bytes == bytes);
        assert!(state.direct <= from, "{} bytes", state.direct);
    }
}

#[test]
fn writes_that_stop_short_are_continued() {
    for most in [ALIGNMENT, ALIGNMENT + 512, 1 << 20] {
        let device = Arc::new(Device {
            alignment: 512,
            most: Some(most),
            ..Device::default()
        });
        let bytes = pattern(3 << 20);
        staged(&device, &bytes, 1 << 20).unwrap();
        assert!(device.state().bytes == bytes, "at most {most} bytes at a time");
    }
}

#[test]
fn an_error_in_the_background_is_that_of_a_later_write() {
    let device = Arc::new(Device {
        fails_from: Some((BLOCK, ENOSPC)),
        ..Device::default()
    });
    let piece = pattern(1 << 20);
    let mut staged = DirectWriter::start(device.clone(), u64::MAX, true, start_thread).unwrap();
    // A slow thread lets the writer accept no more bytes than its blocks hold.
    let written = (0..=(BLOCKS + 2) * BLOCK / piece.len()).try_for_each(|_| staged.write_all(&piece));
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    staged.write_all(&pattern(2 * BLOCK)).unwrap_err();
    staged.finish().unwrap_err();
    assert_eq!(device.state().bytes.len(), BLOCK);
}

#[test]
fn when_all_threads_have_failed_the_error_is_still_the_first() {
    let device = Arc::new(Device {
        fails_from: Some((0, ENOSPC)),
        ..Device::default()
    });
    let mut staged = DirectWriter::start(device, u64::MAX, true, start_thread).unwrap();
    staged.write_all(&pattern(WRITERS * BLOCK)).unwrap();
    while !staged.writing.iter().all(JoinHandle::is_finished) {
        std::thread::yield_now();
    }
    // Empty blocks remain, but the threads have ended.
    let failed = staged.write_all(&pattern(BLOCK)).unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn an_error_of_the_last_block_is_that_of_the_end() {
    let device = Arc::new(Device {
        fails_from: Some((0, EIO)),
        ..Device::default()
    });
    let failed = staged(&device, b"bytes", 5).unwrap_err();
    assert_eq!(failed.raw_os_error(), Some(EIO));
}

#[test]
fn dropping_the_writer_waits_for_its_threads() {
    let device = Arc::new(Device::default());
    let mut staged = DirectWriter::start(device.clone(), u64::MAX, true, start_thread).unwrap();
    staged.write_all(&pattern(BLOCK + 1)).unwrap();
    drop(staged);
    assert_eq!(Arc::strong_count(&device), 1);
    assert_eq!(device.state().bytes.len(), BLOCK);
}
