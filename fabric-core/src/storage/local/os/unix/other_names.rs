//! Macs and the other Unix systems: files are freed within the call that removes them.

use std::fs::File;
use std::io;
use std::path::Path;

/// `None`: a file is freed at once.
pub(in super::super::super) fn hold(_path: &Path) -> Option<File> {
    None
}

/// # Errors
/// Always: the system has no such call.
pub(in super::super::super) fn exchange(_a: &Path, _b: &Path, _held: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
