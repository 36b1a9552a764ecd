//! The owner, the mode and the access control list of a file that takes the place of another one: they are kept.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Nobody else opens a new file before it has the mode of the other one: an open file shows later contents, too.
const OWN: u32 = 0o600;
const OWN_DIRECTORY: u32 = 0o700;

/// The permissions in a mode, and these with the bits that change the rights of a program.
const PERMISSIONS: u32 = 0o777;
const ALL: u32 = 0o7777;

/// The owner, mode and access control list that a new file or directory is to have.
#[derive(Debug)]
pub(in crate::storage::local) struct Access {
    found: Metadata,
    list: Option<Vec<u8>>,
    /// The permissions that the directories leave which the other one is in, and the new one is not.
    left: u32,
}

impl Access {
    /// Those of the file or directory at the path, for a new one; `None` if nothing is there.
    pub(in crate::storage::local) fn of(path: &Path, new: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(Self {
                left: left_by_directories(path, new, found.gid()),
                list: list::read(path),
                found,
            })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a file that only its owner can open yet.
    #[expect(clippy::unused_self, reason = "without a file to replace there is no such file")]
    pub(in crate::storage::local) fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(OWN).open(path)
    }

    /// Creates a directory that only its owner can open yet.
    #[expect(clippy::unused_self, reason = "as above")]
    pub(in crate::storage::local) fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(OWN_DIRECTORY).create(path)
    }

    /// Gives it to the new file or directory, as far as the system lets this process: an owner is given by the superuser
    /// alone, and some file systems have neither modes nor lists.
    pub(in crate::storage::local) fn give(&self, file: &File) -> io::Result<()> {
        let new = file.metadata()?;
        let (uid, gid) = (self.found.uid(), self.found.gid());
        let mut group_kept = new.gid() == gid;
        let owner_kept = new.uid() == uid || fchown(file, Some(uid), Some(gid)).is_ok();
        group_kept |= fchown(file, None, Some(gid)).is_ok();
        let mut mode = self.found.mode() & if owner_kept && group_kept { ALL } else { PERMISSIONS };
        if group_kept {
            list::write(file, self.list.as_deref());
        } else {
            // The rights of the one group are not for the other one: that gets the rights of everybody.
            list::write(file, None);
            mode = mode & !0o070 | (mode & 0o007) << 3;
        }
        mode &= self.left;
        match file.set_permissions(fs::Permissions::from_mode(mode)) {
            Err(error) if !refuses(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// A file is read by nobody who cannot search its directory: where it takes the place of one in a deeper directory, that
/// one's directories say who may.
fn left_by_directories(path: &Path, new: &Path, group: u32) -> u32 {
    const OTHERS: u32 = 0o007;
    const GROUP: u32 = 0o070;
    let mut left = ALL;
    let Some(parent) = new.parent().filter(|parent| path.starts_with(parent)) else {
        return left;
    };
    for directory in path.ancestors().skip(1).take_while(|directory| *directory != parent) {
        let Ok(found) = fs::metadata(directory) else {
            return left & !OTHERS & !GROUP;
        };
        let may_search = |class| found.mode() & class & 0o111 != 0;
        if !may_search(OTHERS) {
            left &= !OTHERS;
        }
        // Another group than the directory's is among the others there.
        if !may_search(GROUP) || found.gid() != group && !may_search(OTHERS) {
            left &= !GROUP;
        }
    }
    left
}

/// Whether the system says that this process may not, or that the file system cannot.
fn refuses(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

/// The access control lists of Linux, which are extended attributes.
#[cfg(fabric_linux)]
mod list {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::{XattrFlags, fremovexattr, fsetxattr, getxattr};

    const NAME: &str = "system.posix_acl_access";

    /// No list is longer.
    const MOST: usize = 64 << 10;

    pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
        let mut bytes = vec![0; MOST];
        let len = getxattr(path, NAME, &mut bytes[..]).ok()?;
        bytes.truncate(len);
        Some(bytes)
    }

    /// Replaces the list that the new file has from its directory. Where there are no lists, there is nothing to keep.
    pub(super) fn write(file: &File, list: Option<&[u8]>) {
        let _ = match list {
            Some(list) => fsetxattr(file, NAME, list, XattrFlags::empty()),
            None => fremovexattr(file, NAME),
        };
    }
}

#[cfg(not(fabric_linux))]
mod list {
    use std::fs::File;
    use std::path::Path;

    pub(super) fn read(_path: &Path) -> Option<Vec<u8>> {
        None
    }

    pub(super) fn write(_file: &File, _list: Option<&[u8]>) {}
}
