//! Direct writes on Linux: room for the whole file at once, and writes around the page cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// Gives the file room for `len` bytes, where the file system can do that: writes find their place without looking for
/// it, and a full device is known before the first.
///
/// # Errors
/// If there is no room, or no file may be so long.
pub(super) fn reserve(file: &File, len: u64) -> io::Result<()> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, len) {
            Err(Errno::INTR) => {}
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(error.into()),
            // Anything else says that the file system has no such call. If the device is broken, a write will tell.
            Ok(()) | Err(_) => return Ok(()),
        }
    }
}

/// Asks for writes around the page cache. Whether the file system takes them.
pub(super) fn begin(file: &File) -> bool {
    set(file, |flags| flags | OFlags::DIRECT).is_ok()
}

/// Asks for ordinary writes again.
///
/// # Errors
/// None that a file system has a reason for.
pub(super) fn end(file: &File) -> io::Result<()> {
    set(file, |flags| flags - OFlags::DIRECT)
}

fn set(file: &File, change: impl FnOnce(OFlags) -> OFlags) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, change(flags))?)
}

/// Whether a direct write failed for what it is: the device wants another alignment, or the file system none of them.
pub(super) fn refuses(error: &io::Error) -> bool {
    let code = Errno::from_io_error(error);
    code.is_some_and(|code| [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS].contains(&code))
}

pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    file.write_at(bytes, at)
}
