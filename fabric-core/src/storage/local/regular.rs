//! Opens regular files, and nothing else: a FIFO keeps the caller waiting, and a device may act on being opened.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::path::Path;

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

#[cfg(target_os = "linux")]
fn open_at_once(path: &Path, options: &OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    match options.clone().custom_flags(libc::O_NONBLOCK).open(path) {
        // Another process holds a lease on the regular file; the system takes it back, and the ordinary way waits for that.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => options.open(path),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_at_once(path: &Path, options: &OpenOptions) -> io::Result<File> {
    options.open(path)
}

fn check(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        Ok(())
    } else if found.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else {
        let what = format!("it is {}, and no regular file", name(found.file_type()));
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn name(_kind: FileType) -> &'static str {
    "a special file"
}
