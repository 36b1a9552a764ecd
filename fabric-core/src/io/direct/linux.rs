//! Direct writes on Linux: reserves the space of the whole file, and writes around the page cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// Reserves `len` bytes for the file, if the file system supports it: later writes need no allocation, and a full
/// device is found before the first write.
///
/// # Errors
/// If the device lacks the space, or the limit on file lengths is lower.
pub(super) fn reserve(file: &File, len: u64) -> io::Result<()> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, len) {
            Err(Errno::INTR) => {}
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(error.into()),
            // Other errors mean that the file system lacks the call, or that the device is broken, which a write will
            // report.
            Ok(()) | Err(_) => return Ok(()),
        }
    }
}

/// Switches direct writes on (`O_DIRECT`); true if the file system accepts the flag.
pub(super) fn begin(file: &File) -> bool {
    set(file, |flags| flags | OFlags::DIRECT).is_ok()
}

/// Switches direct writes off.
///
/// # Errors
/// If the system refuses, for which no known file system has a reason.
pub(super) fn end(file: &File) -> io::Result<()> {
    set(file, |flags| flags - OFlags::DIRECT)
}

fn set(file: &File, change: impl FnOnce(OFlags) -> OFlags) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, change(flags))?)
}

/// Returns true if the error means that the device needs another alignment, or that the file system has no direct writes.
pub(super) fn refuses(error: &io::Error) -> bool {
    let code = Errno::from_io_error(error);
    code.is_some_and(|code| [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS].contains(&code))
}

pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    file.write_at(bytes, at)
}
