//! Linux, macOS and the other Unix systems.

use std::ffi::OsStr;
use std::fs::{self, File, FileType};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

mod access;
#[cfg(fabric_linux)]
mod names;
#[cfg(not(fabric_linux))]
#[path = "unix/other_names.rs"]
mod names;

pub(in super::super) use access::Access;
pub(in super::super) use names::{exchange, hold};

pub(in super::super) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(into, at)
}

/// Device, inode and time of the last change, which together identify the contents of a file.
pub(in super::super) fn identity(file: &File) -> io::Result<Option<[u64; 4]>> {
    let found = file.metadata()?;
    let written = [found.mtime(), found.mtime_nsec()].map(i64::cast_unsigned);
    Ok(Some([found.dev(), found.ino(), written[0], written[1]]))
}

/// Returns true if the path still names this file.
pub(in super::super) fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns true if the file has lost its last name.
pub(in super::super) fn is_nameless(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.nlink() == 0)
}

/// Makes the names in a directory durable. On macOS the standard library also asks the device to empty its cache
/// (`F_FULLFSYNC`).
pub(in super::super) fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems have no such call for directories, and no replacement for it.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The unit in which the system counts the length of a name.
pub(in super::super) const UNIT_OF_NAMES: &str = "bytes";

pub(in super::super) fn length_of_name(name: &OsStr) -> usize {
    name.len()
}

/// The name of a file type other than regular file and directory.
pub(in super::super) fn name_of_kind(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
