//! Keeps the owner, the mode and the access control list of a file when a new file replaces it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// The mode of a new file until it has the mode of the replaced one. A process that opened it earlier could read
/// contents that are written later.
const OWN: u32 = 0o600;
const OWN_DIRECTORY: u32 = 0o700;

/// The permission bits of a mode; `ALL` also has the set-user-ID, set-group-ID and sticky bits.
const PERMISSIONS: u32 = 0o777;
const ALL: u32 = 0o7777;

/// The owner, mode and access control list for a new file or directory.
#[derive(Debug)]
pub(in crate::storage::local) struct Access {
    found: Metadata,
    list: Option<Vec<u8>>,
    /// The permissions that remain after the directories above the replaced file, but not above the new file, have
    /// restricted them.
    left: u32,
}

impl Access {
    /// The access rights of the file or directory at `path`, for a new one at `new`; `None` if nothing is at `path`.
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

    /// Creates a file that only its owner can open.
    #[expect(
        clippy::unused_self,
        reason = "only a file that replaces another one is created like this"
    )]
    pub(in crate::storage::local) fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(OWN).open(path)
    }

    /// Creates a directory that only its owner can open.
    #[expect(clippy::unused_self, reason = "as above")]
    pub(in crate::storage::local) fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(OWN_DIRECTORY).create(path)
    }

    /// Sets the owner, mode and list of the new file or directory, as far as the system lets this process: only the
    /// superuser may change an owner, and some file systems have neither modes nor lists.
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
            // The group's rights were meant for another group, so the new group gets the rights of others.
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

/// The permissions that the directories of the replaced file leave. A user who cannot search a directory cannot read
/// the files in it: if the replaced file is in a deeper directory than the new one, the deeper directory's permissions
/// restrict the new file's.
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
        // A group other than the directory's has the rights of others there.
        if !may_search(GROUP) || found.gid() != group && !may_search(OTHERS) {
            left &= !GROUP;
        }
    }
    left
}

/// Returns true if the process lacks the permission, or the file system lacks the call.
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

    /// The longest extended attribute of Linux, in bytes.
    const MOST: usize = 64 << 10;

    pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
        let mut bytes = vec![0; MOST];
        let len = getxattr(path, NAME, &mut bytes[..]).ok()?;
        bytes.truncate(len);
        Some(bytes)
    }

    /// Replaces the list that the new file has from its directory. A file system without lists returns an error, which
    /// has no consequence.
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
