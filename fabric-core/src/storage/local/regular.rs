//! Opens regular files only: opening a FIFO blocks the caller, and opening a device may have effects.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::os;

/// Opens the regular file at the path without blocking on a FIFO or device.
///
/// # Errors
/// `IsADirectory` for a directory; `InvalidInput` for a device, a FIFO or a socket.
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    // The file type is checked before the file is opened, because opening a device may have effects, and again
    // afterwards, because another file may have taken the name.
    check(&fs::metadata(path)?)?;
    let file = open_at_once(path, options)?;
    check(&file.metadata()?)?;
    Ok(file)
}

#[cfg(fabric_linux)]
fn open_at_once(path: &Path, options: &OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    match options.clone().custom_flags(libc::O_NONBLOCK).open(path) {
        // Another process holds a lease on the regular file. A blocking open waits until the system has broken the
        // lease.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => options.open(path),
        opened => opened,
    }
}

#[cfg(not(fabric_linux))]
fn open_at_once(path: &Path, options: &OpenOptions) -> io::Result<File> {
    options.open(path)
}

fn check(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        Ok(())
    } else if found.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else {
        let what = format!("it is {}, and no regular file", os::name_of_kind(found.file_type()));
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}
