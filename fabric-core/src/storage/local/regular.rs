//! Opens regular files, and nothing else: a FIFO keeps the caller waiting, and a device may act on being opened.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::os;

/// Opens the regular file at the path, and waits for nobody.
///
/// # Errors
/// `IsADirectory` if it is a directory; `InvalidInput` if it is a device, a FIFO or a socket.
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    // A device may act on being opened, so the file type is checked first; and again, since another file may have taken the name.
    check(&fs::metadata(path)?)?;
    let file = open_at_once(path, options)?;
    check(&file.metadata()?)?;
    Ok(file)
}

#[cfg(fabric_linux)]
fn open_at_once(path: &Path, options: &OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    match options.clone().custom_flags(libc::O_NONBLOCK).open(path) {
        // Another process holds a lease on the regular file; the system takes it back, and the ordinary way waits for that.
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
