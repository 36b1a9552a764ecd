//! Limits of the system, found before they are hit.

use std::io;
use std::path::{Component, Path};

use super::os;

/// The longest name in a directory: bytes on Unix, words of 16 bits on Windows.
const LONGEST_NAME: usize = 255;

/// The longest path, in bytes, the zero at its end counted (`PATH_MAX`); other systems say so when they are asked.
const LONGEST_PATH: Option<usize> = if cfg!(fabric_linux) { Some(4096) } else { None };

/// Whether the system can hold a file at the path.
///
/// # Errors
/// `InvalidInput` if there is a zero in it; `InvalidFilename` if it or one of its names is too long.
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

/// Whether this process may write a file of so many bytes. The system sends `SIGXFSZ` to a process that writes beyond `RLIMIT_FSIZE`; the
/// signal ends a process that has no handler for it.
///
/// # Errors
/// `FileTooLarge` if the limit is lower.
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
#[expect(clippy::unnecessary_wraps, reason = "the signature of the Linux one")]
pub(super) fn check_length(_len: u64) -> io::Result<()> {
    Ok(())
}
