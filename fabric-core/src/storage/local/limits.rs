//! Limits of the system, checked before a call runs into them.

use std::io;
use std::path::{Component, Path};

use super::os;

/// The longest file name: in bytes on Unix, in 16-bit words on Windows.
const LONGEST_NAME: usize = 255;

/// The longest path in bytes, with the zero byte at its end (`PATH_MAX`); `None` where only the system's own error
/// tells.
const LONGEST_PATH: Option<usize> = if cfg!(fabric_linux) { Some(4096) } else { None };

/// Checks that the system can hold a file at the path.
///
/// # Errors
/// `InvalidInput` if the path contains a zero byte; `InvalidFilename` if the path or one of its names is too long.
pub(super) fn check_path(path: &Path) -> io::Result<()> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has a zero byte in it"));
    }
    let too_long = |what: String| Err(io::Error::new(io::ErrorKind::InvalidFilename, what));
    if let Some(longest) = LONGEST_PATH
        && bytes.len() >= longest
    {
        return too_long(format!(
            "it has {} bytes, and the longest path has {}",
            bytes.len(),
            longest - 1
        ));
    }
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(os::length_of_name(name)),
        _ => None,
    });
    match names.max() {
        Some(len) if len > LONGEST_NAME => too_long(format!(
            "it has a name of {len} {}, and the longest name has {LONGEST_NAME}",
            os::UNIT_OF_NAMES
        )),
        _ => Ok(()),
    }
}

/// Checks that this process may write a file of `len` bytes. The system sends `SIGXFSZ` to a process that writes beyond
/// `RLIMIT_FSIZE`, and the signal ends a process without a handler for it.
///
/// # Errors
/// `FileTooLarge` if `RLIMIT_FSIZE` is lower than `len`.
#[cfg(fabric_linux)]
pub(super) fn check_length(len: u64) -> io::Result<()> {
    match rustix::process::getrlimit(rustix::process::Resource::Fsize).current {
        Some(limit) if len > limit => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "the process may write files of at most {limit} bytes (RLIMIT_FSIZE, `ulimit -f`), and this one would have {len}"
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(not(fabric_linux))]
#[expect(clippy::unnecessary_wraps, reason = "the Linux version has this signature")]
pub(super) fn check_length(_len: u64) -> io::Result<()> {
    Ok(())
}
