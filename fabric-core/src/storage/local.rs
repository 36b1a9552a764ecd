//! The storage of this machine's file systems.

mod claim;
mod freeing;
mod limits;
mod os;
mod regular;
mod replace;
mod writer;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use self::freeing::Held;
use self::os::Access;
use self::writer::Writer;
use super::{FileKind, ReadFile, Storage, WriteFile};
use crate::io::mapped::Mapped;

/// The number of symbolic links that Linux follows in a path.
const MOST_LINKS: usize = 40;

/// The file systems of this machine, through the standard library.
///
/// **Access rights.** The mode of a new file follows the umask. A file that replaces another one keeps its mode, and
/// its owner and access control list where the system lets the process set them. On Windows, a new file gets the access
/// control list of its directory.
///
/// **Opening.** Only regular files are opened.
///
/// **Locks.** A writer holds an advisory lock on its file (`flock`; `LockFileEx` on Windows). The system releases the
/// lock when the process ends, even if it is killed, so [`Storage::remove_if_abandoned`] can tell a killed writer from
/// a slow one. On a file system without locks, no file counts as abandoned. Locks of Windows are mandatory: no other
/// process can read a file before its writer is dropped.
///
/// **Direct writes.** [`WriteFile::announce`] reserves the space for a large file at once. On Linux, such a file is
/// written around the page cache if the file system supports it: the write runs at the rate of the device, and evicts
/// no other file from the cache. The writer takes up to 16 MiB of memory for this.
///
/// **Reading back.** A direct write leaves the new file out of the page cache. When its writer is dropped, a thread of
/// the lowest priority reads the file back, so that a program that is killed and starts again loads it from memory. The
/// thread uses free memory only: it reads nothing if the file is longer than a quarter of it. The thread ends when the
/// next direct write of the process begins, and when the file is removed. It takes read leases, as mapped reads do.
/// [`read_back(false)`](Self::read_back) switches it off.
///
/// **Mapped reads.** On Linux with x86-64, a large read maps some MiB of the file for a moment, under a read lease
/// (`fcntl(2)`), while the system lets no process write to the file. The lease requires a file of the process's user,
/// on ext4, XFS, Btrfs, F2FS or tmpfs. Files on overlayfs (the root of most containers), on network file systems and on
/// all others are read with `pread`. A process that opens the file for writing waits until the lease ends, and the
/// system sends `SIGURG` to the loading process; by default the signal has no effect. If the loading process is stopped
/// while it holds the lease, the writer waits for the time in `/proc/sys/fs/lease-break-time`, 45 seconds by default.
///
/// **Removed and replaced files.** On Linux, a thread frees the bytes of a file that [`Storage::rename`] replaces or
/// [`Storage::remove_file`] removes, after the call has returned: ext4 took 0.7 s for 1 GiB. A writer that reserves
/// space or writes through the page cache, and finds the device full, waits for these threads. `rename` exchanges the names of both files and then removes the replaced one; a
/// process that is killed in between leaves the replaced file under the name of the new one.
///
/// **Limits.** On Linux, a file longer than the process may write (`RLIMIT_FSIZE`) is an error; the system does not
/// send `SIGXFSZ`.
///
/// **Durability.** On macOS, a sync also empties the cache of the device (`F_FULLFSYNC`). A file system without this
/// call returns an error for a file, and does nothing for a directory. Windows has no call that syncs a directory:
/// there, [`Storage::sync_dir`] only checks that the directory exists.
///
/// # Examples
/// ```
/// use fabric_core::storage::{Local, Storage};
///
/// # fn main() -> std::io::Result<()> {
/// # let directory = std::env::temp_dir().join(format!("fabric-local-example-{}", std::process::id()));
/// let storage = Local::new();
/// storage.create_dir_all(&directory)?;
/// let mut file = storage.create(&directory.join(".draft"))?;
/// file.write_all(b"weights")?;
/// file.sync()?;
/// storage.rename(&directory.join(".draft"), &directory.join("final"))?;
/// storage.sync_dir(&directory)?;
/// assert_eq!(storage.list(&directory)?, ["final"]);
/// # storage.remove_dir_all(&directory)
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Local {
    reads_back: bool,
}

impl Local {
    /// The storage of this machine's file systems.
    #[must_use]
    pub fn new() -> Self {
        Self { reads_back: true }
    }

    /// Sets whether a file that was written around the page cache is read back into it, as **Reading back** above
    /// describes; true by default.
    ///
    /// ```
    /// use fabric_core::Fabric;
    /// use fabric_core::storage::Local;
    ///
    /// # fn main() -> fabric_core::Result<()> {
    /// let fabric = Fabric::builder().storage(Local::new().read_back(false)).build()?;
    /// # let _ = fabric;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn read_back(mut self, reads_back: bool) -> Self {
        self.reads_back = reads_back;
        self
    }

    fn writer(self, file: File) -> Writer {
        Writer::new(file, self.reads_back)
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for Local {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file = regular::open(path, OpenOptions::new().read(true))?;
        Ok(Box::new(LocalFile(Mapped::new(file))))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = claim::create(path, || OpenOptions::new().write(true).create_new(true).open(path))?;
        Ok(Box::new(self.writer(file)))
    }

    fn create_like(&self, path: &Path, replaced: &Path) -> io::Result<Box<dyn WriteFile>> {
        let Some(access) = Access::of(replaced, path)? else {
            return self.create(path);
        };
        let file = claim::create(path, || access.create(path))?;
        match access.give(&file) {
            Ok(()) => Ok(Box::new(self.writer(file))),
            Err(error) => {
                // The error of `give` is returned; an error of the clean-up would hide it.
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        replace::replace(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let removed = Held::of(path);
        fs::remove_file(path)?;
        if let Some(removed) = removed {
            removed.free();
        }
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = or_current(path);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        self.create_dir_all(parent)?;
        match fs::create_dir(path) {
            // Another process has created the directory, and may not have synced the parent yet.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_symlink() => {
                let what = "it is a symbolic link to a path where nothing is";
                return Err(io::Error::new(io::ErrorKind::NotFound, what));
            }
            created => created?,
        }
        self.sync_dir(parent)
    }

    fn create_dir_like(&self, path: &Path, replaced: &Path) -> io::Result<()> {
        let Some(access) = Access::of(replaced, path)? else {
            return self.create_dir_all(path);
        };
        access.create_dir(path)?;
        access.give(&File::open(path)?)?;
        self.sync_dir(path.parent().unwrap_or(Path::new("")))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = or_current(path);
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        os::sync_directory(path)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        match fs::metadata(or_current(path)) {
            Ok(found) if found.is_dir() => Ok(Some(FileKind::Directory)),
            Ok(found) if found.is_file() => Ok(Some(FileKind::File)),
            Ok(_) => Ok(Some(FileKind::Other)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = self.list_os(path)?.into_iter();
        Ok(names.filter_map(|name| name.into_string().ok()).collect())
    }

    fn list_os(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(or_current(path))?;
        let mut names: Vec<OsString> = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        names.sort();
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut at = path.to_path_buf();
        for _ in 0..=MOST_LINKS {
            limits::check_path(&at)?;
            match fs::symlink_metadata(&at) {
                Ok(found) if found.is_symlink() => {
                    let target = fs::read_link(&at)?;
                    // `join` replaces the directory if the target is absolute.
                    at = at.parent().unwrap_or(Path::new("")).join(target);
                }
                Ok(_) => return Ok(at),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(at),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!(
            "more than {MOST_LINKS} symbolic links follow each other"
        )))
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        // The empty path stays empty: a call that needs a file name refuses it later.
        if path.as_os_str().is_empty() {
            return Ok(PathBuf::new());
        }
        std::path::absolute(path)
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        match claim::open(path)? {
            Some(file) => claim::remove_unheld(&file, path),
            None => Ok(false),
        }
    }

    fn take_over(&self, path: &Path) -> io::Result<Option<Box<dyn WriteFile>>> {
        match claim::open(path)? {
            Some(file) if claim::take_over(&file, path)? => Ok(Some(Box::new(self.writer(file)))),
            _ => Ok(None),
        }
    }
}

/// The path as the system knows it: the parent of a bare file name is the empty path, which means the current
/// directory.
fn or_current(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

#[derive(Debug)]
struct LocalFile(Mapped);

impl ReadFile for LocalFile {
    fn len(&self) -> io::Result<u64> {
        self.0.file().metadata().map(|found| found.len())
    }

    fn identity(&self) -> io::Result<Option<[u64; 4]>> {
        os::identity(self.0.file())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        os::read_at(self.0.file(), into, offset)
    }

    fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        self.0.lend(offset, len, take)
    }
}
