//! Holds files that lose their name, and exchanges names, on Linux.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, open, renameat_with};

use crate::io::file_system::{LOCAL, OVERLAYFS, kind};

/// A handle that keeps the file at the path from being freed, and neither reads nor writes (`O_PATH`). A symbolic link
/// is not followed. `None` if the system cannot tell that the file will have no name.
pub(in super::super::super) fn hold(path: &Path) -> Option<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    let kind = kind(&file)?;
    // NFS gives a new name to an open file that is removed, and keeps it in the directory.
    (LOCAL.contains(&kind) || kind == OVERLAYFS).then_some(file)
}

/// Exchanges the names `a` and `b` in one step. `held` is the file at `b`.
///
/// # Errors
/// If the file system lacks the call, or if there is nothing at one of the paths. On overlayfs, which first copies all of
/// a file at `b` that lies in a lower layer.
pub(in super::super::super) fn exchange(a: &Path, b: &Path, held: &File) -> io::Result<()> {
    if kind(held) == Some(OVERLAYFS) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}
