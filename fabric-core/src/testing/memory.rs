//! A file system in memory that computes the states a crash may leave.

mod crash;
mod disk;
mod file;
mod sample;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::{Disk, DiskNode};
use file::File;

use crate::storage::{FileKind, ReadFile, Storage, WriteFile};

/// A file system in memory, for tests: it records what is durable, and returns every state that a crash may leave.
///
/// Clones share one store. Relative paths start at the root. There are no symbolic links.
///
/// # What a crash leaves
/// [`crash_states`](Self::crash_states) gives the states that a stop of the machine at this moment may leave, by the
/// rules of POSIX rather than by those of one friendly file system:
///
/// - What was in a file when it was last synced is there. Of each later write, all, the first half or nothing is there,
///   whatever became of the others; missing bytes are zeros, or absent where nothing follows them.
/// - A name is durable after [`sync_dir`](Storage::sync_dir) of its directory; syncing the file is not enough, nor does
///   a durable name make its file's bytes durable. Of the creations, renames and removals since, any may be lost, in any
///   combination, except that one on a name needs all earlier ones on this name.
/// - A rename is lost or done as a whole, also between two directories; syncing either makes it durable.
/// - [`create_dir_all`](Storage::create_dir_all) leaves directories that are durable.
///
/// The store keeps removed and replaced files until the directory is synced.
///
/// # Examples
/// A file that is renamed into place without being synced may be found empty:
/// ```
/// use std::path::Path;
/// use fabric_core::storage::Storage;
/// use fabric_core::testing::Memory;
///
/// # fn main() -> std::io::Result<()> {
/// let (draft, last) = (Path::new("draft"), Path::new("last"));
/// let storage = Memory::new();
/// storage.create(draft)?.write_all(b"weights")?;
/// storage.rename(draft, last)?;
/// storage.sync_dir(Path::new(""))?;
///
/// let lengths: Vec<u64> =
///     storage.crash_states(100).iter().map(|left| left.open(last)?.len()).collect::<Result<_, _>>()?;
/// assert!(lengths.contains(&0) && lengths.contains(&7));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Memory {
    disk: Arc<Mutex<Disk>>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Disk::new())
    }

    /// Independent stores in the states that a crash at this moment may leave; this store is unchanged.
    ///
    /// Returns all states if there are at most `limit`. Otherwise returns at most `limit`, the same each time: first
    /// the extremes (no pending step survived, or all; no unsynced byte, or all; one file without its unsynced bytes),
    /// then a random choice of the others.
    #[must_use]
    pub fn crash_states(&self, limit: usize) -> Vec<Memory> {
        crash::after_crash(&self.disk(), limit)
            .into_iter()
            .map(Self::of)
            .collect()
    }

    fn of(disk: Disk) -> Self {
        Self {
            disk: Arc::new(Mutex::new(disk)),
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The paths of all files, with their lengths.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory ")?;
        f.debug_map()
            .entries(
                self.disk()
                    .files()
                    .into_iter()
                    .map(|(path, file)| (path, file.content().bytes.len())),
            )
            .finish()
    }
}

impl Storage for Memory {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        match self.disk().node(path)? {
            Some(DiskNode::File(file)) => Ok(Box::new(MemoryReader { file })),
            Some(DiskNode::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let mut disk = self.disk();
        let name = disk.locate(path)?.ok_or(io::ErrorKind::AlreadyExists)?;
        if disk.at(&name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = File::new_held();
        disk.step(vec![(name, Some(DiskNode::File(file.clone())))]);
        Ok(Box::new(MemoryWriter { file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let from = disk.locate(from)?.ok_or(io::ErrorKind::InvalidInput)?;
        let to = disk.locate(to)?.ok_or(io::ErrorKind::IsADirectory)?;
        disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let name = disk.locate(path)?.ok_or(io::ErrorKind::IsADirectory)?;
        match disk.at(&name) {
            Some(DiskNode::File(_)) => disk.step(vec![(name, None)]),
            Some(DiskNode::Directory(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let mut paths: Vec<&Path> = path.ancestors().collect();
        while let Some(at) = paths.pop() {
            let Some(name) = disk.locate(at)? else { continue };
            match disk.at(&name) {
                Some(DiskNode::Directory(_)) => {}
                Some(DiskNode::File(_)) if paths.is_empty() => return Err(io::ErrorKind::AlreadyExists.into()),
                Some(DiskNode::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => disk.create_directory(&name),
            }
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let directory = disk.directory(path)?;
        if !disk.names_in(directory).is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let name = disk.locate(path)?.ok_or(io::ErrorKind::ResourceBusy)?;
        disk.remove_tree(name);
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if path.as_os_str().is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.directory(path)?;
        let name = disk.locate(path)?.ok_or(io::ErrorKind::ResourceBusy)?;
        disk.remove_tree(name);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let synced = disk.directory(path)?;
        disk.settle(|(directory, _)| *directory == synced);
        Ok(())
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        match self.disk().node(path) {
            Ok(Some(DiskNode::File(_))) => Ok(Some(FileKind::File)),
            Ok(Some(DiskNode::Directory(_))) => Ok(Some(FileKind::Directory)),
            Ok(None) => Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        Ok(disk.names_in(disk.directory(path)?))
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        let mut disk = self.disk();
        match disk.abandoned(path)? {
            Some((name, _)) => {
                disk.step(vec![(name, None)]);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn take_over(&self, path: &Path) -> io::Result<Option<Box<dyn WriteFile>>> {
        let disk = self.disk();
        let taken = disk.abandoned(path)?.map(|(_, file)| {
            file.content_mut().held = true;
            Box::new(MemoryWriter { file }) as Box<dyn WriteFile>
        });
        Ok(taken)
    }
}

#[derive(Debug)]
struct MemoryReader {
    file: Arc<File>,
}

impl ReadFile for MemoryReader {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.content().bytes.len() as u64)
    }

    fn identity(&self) -> io::Result<Option<[u64; 4]>> {
        Ok(Some([self.file.number, self.file.content().bytes.len() as u64, 0, 0]))
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.file.content();
        let rest = from(&content.bytes, offset);
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        let content = self.file.content();
        from(&content.bytes, offset).get(..len).map(take).is_some()
    }
}

/// The bytes from an offset on. One beyond what can be addressed is beyond the end.
fn from(bytes: &[u8], offset: u64) -> &[u8] {
    let offset = usize::try_from(offset).ok();
    offset.and_then(|offset| bytes.get(offset..)).unwrap_or_default()
}

#[derive(Debug)]
struct MemoryWriter {
    file: Arc<File>,
}

impl WriteFile for MemoryWriter {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.content_mut().append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.content_mut().sync();
        Ok(())
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.file.content_mut().held = false;
    }
}
