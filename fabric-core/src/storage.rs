//! The interface of a storage, and the storage of this machine's file systems.

mod local;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

pub use local::Local;

/// The operations that saving and loading need of a place for files, in the manner of POSIX.
///
/// A save relies on three guarantees: a file's bytes are durable after [`WriteFile::sync`]; the creation, renaming or removal
/// of a name is durable after [`sync_dir`](Self::sync_dir) of its directory; [`rename`](Self::rename) replaces atomically. One
/// suite of tests runs on every implementation, and `testing::Memory` simulates a crash in which everything else is lost.
///
/// As a directory, the empty path (the parent of a bare file name) means the current directory.
/// A path that leads through a file is `NotADirectory`.
pub trait Storage: Send + Sync + Debug {
    /// Opens a file for reading. The call never waits for another process.
    ///
    /// # Errors
    /// `NotFound` if there is none; `IsADirectory` if it is one; `InvalidInput` if it is a device, a FIFO or a socket.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Creates a file that does not exist yet, for writing from its start.
    ///
    /// The file belongs to its writer until the [`WriteFile`] is dropped. Keep it until the file has its final name, or
    /// another process may take it for [abandoned](Self::remove_if_abandoned).
    ///
    /// # Errors
    /// `AlreadyExists` if there is one; `NotFound` if its directory does not exist.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Creates a file as [`create`](Self::create) does, to take the place of the file at `replaced`: with its owner, its mode
    /// and its access control list, as far as the system lets the process set them. At no instant has the new file
    /// more readers than the other one. By default this is `create`.
    ///
    /// # Errors
    /// As [`create`](Self::create). Nothing at `replaced` is no error.
    fn create_like(&self, path: &Path, replaced: &Path) -> io::Result<Box<dyn WriteFile>> {
        let _ = replaced;
        self.create(path)
    }

    /// Gives the file at `from` the name `to`, replacing a file of that name in one step. A reader that has the replaced file
    /// open goes on reading it. A directory can be renamed, with its contents, to a free name.
    ///
    /// # Errors
    /// `NotFound` if there is nothing at `from`; `IsADirectory` if `to` is a directory and `from` is not;
    /// `NotADirectory` if `from` is a directory and `to` is not.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. A reader that has it open goes on reading it.
    ///
    /// # Errors
    /// `NotFound` if there is none; if it is a directory.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its parents; no error if they exist. New directories are durable in their parents when
    /// this returns.
    ///
    /// # Errors
    /// `AlreadyExists` if a file has the name; `NotADirectory` if a parent is a file.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates one directory, to take the place of the directory at `replaced`, as [`create_like`](Self::create_like)
    /// creates a file. By default this is [`create_dir_all`](Self::create_dir_all).
    ///
    /// # Errors
    /// As [`create_dir_all`](Self::create_dir_all). Nothing at `replaced` is no error.
    fn create_dir_like(&self, path: &Path, replaced: &Path) -> io::Result<()> {
        let _ = replaced;
        self.create_dir_all(path)
    }

    /// Removes an empty directory.
    ///
    /// The default lists the directory and removes it if it is empty. A storage that can do both in one step overrides it.
    ///
    /// # Errors
    /// `NotFound` if there is none; `NotADirectory` if it is a file; `DirectoryNotEmpty` if it contains anything.
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if self.list_os(path)?.is_empty() {
            self.remove_dir_all(path)
        } else {
            Err(io::ErrorKind::DirectoryNotEmpty.into())
        }
    }

    /// Removes a directory with its contents. The empty path is an error here.
    ///
    /// # Errors
    /// `NotFound` if there is none; `NotADirectory` if it is a file.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// `NotFound` if there is none; `NotADirectory` if it is a file; otherwise if the device fails.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The kind of file at the path, following symbolic links; `None` if nothing is there.
    ///
    /// # Errors
    /// If the storage cannot tell, for example for want of permission.
    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>>;

    /// The names in a directory, sorted. Names that are not UTF-8 are left out: no save makes one.
    ///
    /// # Errors
    /// `NotFound` if there is none; `NotADirectory` if it is a file.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// All names in a directory, sorted, including names that are not UTF-8. The default returns the names of
    /// [`list`](Self::list), which is right for a storage whose names are UTF-8.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    fn list_os(&self, path: &Path) -> io::Result<Vec<OsString>> {
        Ok(self.list(path)?.into_iter().map(OsString::from).collect())
    }

    /// The path that a save to `path` replaces: the target of the last of a chain of symbolic links, which need not exist.
    ///
    /// # Errors
    /// If the links form a loop; `InvalidFilename` or `InvalidInput` if the storage can hold nothing at such a path: it or
    /// one of its names is too long, for example.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    /// The absolute form of a path, which means the same after the process has changed its current directory. Every call of a
    /// [`Fabric`](crate::Fabric) begins with it. A storage that wraps another one forwards the call. The default returns the path
    /// unchanged.
    ///
    /// # Errors
    /// If the storage cannot tell, for example because the current directory was removed.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    /// Removes the file that a killed process left behind: a file that no writer holds. Returns `true` if it was removed;
    /// `false` if a writer holds it, if nothing is there, or if [`create`](Self::create) did not make it, such as a directory.
    ///
    /// A finished file has no writer either, so only temporary names may be passed.
    ///
    /// # Errors
    /// If removing fails.
    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool>;

    /// Takes the place of the file's writer, if no writer holds the file. Returns `None` if one does, if the storage cannot
    /// tell, if nothing is there, or if [`create`](Self::create) did not make it. The file is not changed.
    ///
    /// The default removes an abandoned file and creates an empty one of its name.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn take_over(&self, path: &Path) -> io::Result<Option<Box<dyn WriteFile>>> {
        if self.remove_if_abandoned(path)? {
            self.create(path).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The kind of file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A file with bytes.
    File,
    /// A directory.
    Directory,
    /// A device, a FIFO or a socket, which holds no bytes.
    Other,
}

/// A file open for reading at any place, from several threads at once.
pub trait ReadFile: Send + Sync + Debug {
    /// The length in bytes.
    ///
    /// # Errors
    /// If the device fails.
    fn len(&self) -> io::Result<u64>;

    /// Returns true if the file has no bytes.
    ///
    /// # Errors
    /// If the device fails.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// A fingerprint of the file (on Unix: device, inode and time of the last change), which differs for another file,
    /// and for this file after it was written to again. `None`, the default, if the storage has none. The library compares
    /// the fingerprint when it opens a file again by its path.
    ///
    /// # Errors
    /// If the device fails.
    fn identity(&self) -> io::Result<Option<[u64; 4]>> {
        Ok(None)
    }

    /// Reads up to `into.len()` bytes at `offset`; fewer are possible, none only at the end.
    ///
    /// # Errors
    /// If the device fails.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Calls `take` once with a borrowed view of the `len` bytes at `offset` and returns `true`, or returns `false`; the caller
    /// then uses [`read_at`](Self::read_at). The bytes do not change during the call, so `take` should be short. Default: `false`.
    ///
    /// The library reads each lent byte once, and verifies the bytes that it has read. A storage that lends bytes which change
    /// after all costs a checksum error.
    ///
    /// The method has no errors of its own: a storage that cannot lend returns `false`, and `read_at` returns the error.
    fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        let _ = (offset, len, take);
        false
    }

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file is shorter; otherwise if the device fails.
    fn read_exact_at(&self, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_at(into, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    into = &mut into[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A new file, written once from start to end.
///
/// Dropping it before [`sync`](Self::sync) leaves whatever was written, without a promise of durability.
pub trait WriteFile: Send + Debug {
    /// Says, before the first byte, that about `len` bytes will follow, and then a [`sync`](Self::sync).
    ///
    /// A storage may find room for them now, and write better for knowing. Until it is synced, an announced file may hold
    /// less than was written, or zeros in its place; nor need an error be that of the call that meets it. Whoever will not
    /// sync does not announce. By default this does nothing.
    ///
    /// # Errors
    /// `StorageFull` if there is no room for so much.
    fn announce(&mut self, len: u64) -> io::Result<()> {
        let _ = len;
        Ok(())
    }

    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// If the device fails or is full; part of the bytes may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written so far durable. A sync that failed once is never to be believed later.
    ///
    /// # Errors
    /// If the device fails.
    fn sync(&mut self) -> io::Result<()>;
}
