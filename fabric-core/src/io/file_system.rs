//! The kinds of file systems of Linux that differ in the promises that this library needs.

use std::fs::File;

use rustix::fs::fstatfs;

/// The magic numbers of ext2 to ext4, XFS, Btrfs, F2FS and tmpfs, whose files only this system reads and writes.
pub(crate) const LOCAL: [u32; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

/// The magic number of overlayfs, the root of most containers.
pub(crate) const OVERLAYFS: u32 = 0x794c_7630;

/// The magic number of the file system of a file; `None` if the system does not tell.
pub(crate) fn kind(file: &File) -> Option<u32> {
    u32::try_from(fstatfs(file).ok()?.f_type).ok()
}
