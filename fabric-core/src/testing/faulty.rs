//! A storage that fails at a chosen operation.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{FileKind, ReadFile, Storage, WriteFile};

/// How a [`Faulty`] storage fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This operation fails with an error of this kind and does nothing; the next ones work.
    Error(io::ErrorKind),
    /// This operation fails with an error of the system and does nothing; the next ones work. On Unix, 5 is `EIO`.
    Os(i32),
    /// This operation, if it is a write, stores the first half of its bytes and fails with `StorageFull`; any other
    /// works.
    ShortWrite,
    /// From this operation on there is no room: creating files or directories and writing fail with `StorageFull`,
    /// until something was removed.
    Full,
    /// This operation and all later ones fail and do nothing: the process was killed here, or the machine stopped.
    Stop,
}

/// A storage that forwards every call to another storage, except that a chosen operation fails.
///
/// Every call of a method of [`Storage`], [`ReadFile`] or [`WriteFile`] is an operation; the first has number 0. Run
/// the code under test once without a fault to get the [number of operations](Self::operations), then once for each of
/// them with a fault at that operation.
///
/// Clones share the count and the fault: give one clone to the code under test. With [`Fault::Stop`] over
/// [`Memory`](crate::testing::Memory), `crash_states` returns the states that the stop may leave.
///
/// After a failed sync every later sync of that file fails too.
///
/// # Examples
/// ```
/// use std::io;
/// use std::path::Path;
/// use fabric_core::storage::Storage;
/// use fabric_core::testing::{Fault, Faulty, Memory};
///
/// fn save(storage: &dyn Storage) -> io::Result<()> {
///     let mut file = storage.create(Path::new("draft"))?;
///     file.write_all(b"weights")?;
///     file.sync()?;
///     storage.rename(Path::new("draft"), Path::new("last"))?;
///     storage.sync_dir(Path::new(""))
/// }
///
/// # fn main() -> io::Result<()> {
/// let healthy = Faulty::new(Memory::new());
/// save(&healthy)?;
/// for k in 0..healthy.operations() {
///     let memory = Memory::new();
///     let storage = Faulty::new(memory.clone()).with_fault(k, Fault::Stop);
///     assert!(save(&storage).is_err());
///     for left in memory.crash_states(100) {
///         // All of the file is there, or none of it.
///         if let Ok(file) = left.open(Path::new("last")) {
///             assert_eq!(file.len()?, 7, "after a stop at {}", storage.log()[k]);
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    course: Course,
}

impl Faulty {
    /// Forwards every call to `inner`, without a fault.
    #[must_use]
    pub fn new(inner: impl Storage + 'static) -> Self {
        Self {
            inner: Arc::new(inner),
            course: Course::default(),
        }
    }

    /// Lets operation number `operation` fail, counted from 0 at the creation of this storage; replaces a fault set
    /// before.
    #[must_use]
    pub fn with_fault(self, operation: usize, fault: Fault) -> Self {
        self.course.lock().fault = Some((operation, fault));
        self
    }

    /// The number of operations so far.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.course.lock().log.len()
    }

    /// The operations so far, in words.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.course.lock().log.clone()
    }

    fn pass(&self, class: OperationClass, name: &str, path: &Path) -> io::Result<()> {
        self.course.pass(class, || format!("{name} {}", path.display()))
    }

    fn writer(&self, inner: Box<dyn WriteFile>, path: &Path) -> Box<dyn WriteFile> {
        Box::new(FaultyWriter {
            inner,
            path: path.to_path_buf(),
            course: self.course.clone(),
            sync_failed: false,
        })
    }
}

/// The operations and the fault, shared by a storage, its clones and its files.
#[derive(Clone, Debug, Default)]
struct Course(Arc<Mutex<CourseState>>);

#[derive(Debug, Default)]
struct CourseState {
    log: Vec<String>,
    fault: Option<(usize, Fault)>,
    /// True if a file was removed after the storage was full.
    freed: bool,
}

/// The effect of an operation on a full device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OperationClass {
    /// Needs space.
    Takes,
    /// Frees space.
    Frees,
    /// Neither.
    Other,
}

impl Course {
    fn lock(&self) -> MutexGuard<'_, CourseState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation; returns its fault, if it has one.
    fn strikes(&self, class: OperationClass, words: impl FnOnce() -> String) -> Option<Fault> {
        let mut state = self.lock();
        let number = state.log.len();
        state.log.push(words());
        let (from, fault) = state.fault?;
        match fault {
            Fault::Error(_) | Fault::Os(_) | Fault::ShortWrite => (number == from).then_some(fault),
            Fault::Stop => (number >= from).then_some(fault),
            Fault::Full => {
                state.freed |= number >= from && class == OperationClass::Frees;
                (number >= from && class == OperationClass::Takes && !state.freed).then_some(fault)
            }
        }
    }

    /// Counts an operation that is not a write, and fails if it has a fault.
    fn pass(&self, class: OperationClass, words: impl FnOnce() -> String) -> io::Result<()> {
        match self.strikes(class, words) {
            None | Some(Fault::ShortWrite) => Ok(()),
            Some(fault) => Err(error(fault)),
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Error(kind) => kind.into(),
        Fault::Os(code) => io::Error::from_raw_os_error(code),
        Fault::ShortWrite | Fault::Full => io::ErrorKind::StorageFull.into(),
        Fault::Stop => io::Error::other("the storage has stopped"),
    }
}

impl Storage for Faulty {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.pass(OperationClass::Other, "open", path)?;
        Ok(Box::new(FaultyReader {
            inner: self.inner.open(path)?,
            path: path.to_path_buf(),
            course: self.course.clone(),
        }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.pass(OperationClass::Takes, "create", path)?;
        Ok(self.writer(self.inner.create(path)?, path))
    }

    fn create_like(&self, path: &Path, replaced: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.course.pass(OperationClass::Takes, || {
            format!("create_like {} like {}", path.display(), replaced.display())
        })?;
        Ok(self.writer(self.inner.create_like(path, replaced)?, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.course.pass(OperationClass::Other, || {
            format!("rename {} to {}", from.display(), to.display())
        })?;
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.pass(OperationClass::Frees, "remove_file", path)?;
        self.inner.remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.pass(OperationClass::Takes, "create_dir_all", path)?;
        self.inner.create_dir_all(path)
    }

    fn create_dir_like(&self, path: &Path, replaced: &Path) -> io::Result<()> {
        self.pass(OperationClass::Takes, "create_dir_like", path)?;
        self.inner.create_dir_like(path, replaced)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(OperationClass::Frees, "remove_dir", path)?;
        self.inner.remove_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.pass(OperationClass::Frees, "remove_dir_all", path)?;
        self.inner.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(OperationClass::Other, "sync_dir", path)?;
        self.inner.sync_dir(path)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        self.pass(OperationClass::Other, "kind", path)?;
        self.inner.kind(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.pass(OperationClass::Other, "list", path)?;
        self.inner.list(path)
    }

    fn list_os(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.pass(OperationClass::Other, "list_os", path)?;
        self.inner.list_os(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.absolute(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.pass(OperationClass::Other, "resolve", path)?;
        self.inner.resolve(path)
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        self.pass(OperationClass::Frees, "remove_if_abandoned", path)?;
        self.inner.remove_if_abandoned(path)
    }

    fn take_over(&self, path: &Path) -> io::Result<Option<Box<dyn WriteFile>>> {
        self.pass(OperationClass::Other, "take_over", path)?;
        let taken = self.inner.take_over(path)?;
        Ok(taken.map(|inner| self.writer(inner, path)))
    }
}

#[derive(Debug)]
struct FaultyReader {
    inner: Box<dyn ReadFile>,
    path: PathBuf,
    course: Course,
}

impl ReadFile for FaultyReader {
    fn len(&self) -> io::Result<u64> {
        self.course
            .pass(OperationClass::Other, || format!("len of {}", self.path.display()))?;
        self.inner.len()
    }

    fn identity(&self) -> io::Result<Option<[u64; 4]>> {
        self.course
            .pass(OperationClass::Other, || format!("identity of {}", self.path.display()))?;
        self.inner.identity()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let words = || format!("read_at {offset} of {}, {} bytes", self.path.display(), into.len());
        self.course.pass(OperationClass::Other, words)?;
        self.inner.read_at(into, offset)
    }
}

#[derive(Debug)]
struct FaultyWriter {
    inner: Box<dyn WriteFile>,
    path: PathBuf,
    course: Course,
    sync_failed: bool,
}

impl WriteFile for FaultyWriter {
    fn announce(&mut self, len: u64) -> io::Result<()> {
        let words = || format!("announce {len} bytes of {}", self.path.display());
        self.course.pass(OperationClass::Takes, words)?;
        self.inner.announce(len)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let words = || format!("write_all to {}, {} bytes", self.path.display(), bytes.len());
        match self.course.strikes(OperationClass::Takes, words) {
            None => self.inner.write_all(bytes),
            Some(fault) => {
                if fault == Fault::ShortWrite {
                    self.inner.write_all(&bytes[..bytes.len() / 2])?;
                }
                Err(error(fault))
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let passed = self
            .course
            .pass(OperationClass::Other, || format!("sync {}", self.path.display()));
        if self.sync_failed {
            return Err(io::Error::other(
                "an earlier sync of this file failed: what it holds is unknown",
            ));
        }
        let synced = passed.and_then(|()| self.inner.sync());
        self.sync_failed = synced.is_err();
        synced
    }
}
