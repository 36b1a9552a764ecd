//! The portable version of direct writes: reserves no space, and writes blocks through the page cache.

use std::fs::File;
use std::io;

#[expect(clippy::unnecessary_wraps, reason = "the Linux version has this signature")]
pub(super) fn reserve(_file: &File, _len: u64) -> io::Result<()> {
    Ok(())
}

pub(super) fn begin(_file: &File) -> bool {
    false
}

#[expect(clippy::unnecessary_wraps, reason = "the Linux version has this signature")]
pub(super) fn end(_file: &File) -> io::Result<()> {
    Ok(())
}

pub(super) fn refuses(_error: &io::Error) -> bool {
    false
}

#[cfg(unix)]
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, at)
}

#[cfg(windows)]
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, at)
}
