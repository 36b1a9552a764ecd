//! Holds files that lose their name, and exchanges names, on Linux.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, fstatfs, open, renameat_with};

/// The magic numbers of the file systems on which a held file has no name: ext2 to ext4, XFS, Btrfs, F2FS, tmpfs and
/// overlayfs. NFS gives a new name to an open file that is removed, and keeps it in the directory.
const WITHOUT_NAMES: [u32; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994, OVERLAYFS];

const OVERLAYFS: u32 = 0x794c_7630;

/// A handle that keeps the file at the path from being freed, and neither reads nor writes (`O_PATH`). A symbolic link
/// is not followed. `None` if the system cannot tell that the file will have no name.
pub(in super::super::super) fn hold(path: &Path) -> Option<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    WITHOUT_NAMES.contains(&kind(&file)?).then_some(file)
}

/// The magic number of the file system of a file.
fn kind(file: &File) -> Option<u32> {
    u32::try_from(fstatfs(file).ok()?.f_type).ok()
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
