//! A storage in front of another one.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::{FileKind, ReadFile, Storage, WriteFile};

/// A storage that passes every operation on to another storage.
///
/// A type that implements `Layer` implements [`Storage`]. It may refuse operations, and may put a file of its own in front
/// of each file that is opened for reading.
///
/// # Examples
/// ```
/// use std::io;
/// use std::path::Path;
/// use fabric_core::storage::Storage;
/// use fabric_core::testing::{Layer, Memory};
///
/// /// A storage on which nothing can be renamed.
/// #[derive(Debug)]
/// struct Fixed(Memory);
///
/// impl Layer for Fixed {
///     fn below(&self) -> &dyn Storage {
///         &self.0
///     }
///
///     fn before(&self, method: &'static str, _: &Path) -> io::Result<()> {
///         match method {
///             "rename" => Err(io::ErrorKind::PermissionDenied.into()),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// let fabric = fabric_core::Fabric::builder().storage(Fixed(Memory::new())).build()?;
/// assert!(fabric.save("last.ckpt", &7u64).is_err());
/// # Ok::<(), fabric_core::Error>(())
/// ```
pub trait Layer: Send + Sync + Debug {
    /// The storage that carries out the operations.
    fn below(&self) -> &dyn Storage;

    /// Is called before every operation on files, with the name of the method of [`Storage`] and its first path.
    ///
    /// # Errors
    /// An error fails the operation, and the storage below is not called.
    fn before(&self, method: &'static str, path: &Path) -> io::Result<()> {
        let _ = (method, path);
        Ok(())
    }

    /// The file that a caller reads in the place of `file`, which was opened as `path`.
    ///
    /// # Errors
    /// An error fails [`Storage::open`].
    fn reading(&self, path: &Path, file: Box<dyn ReadFile>) -> io::Result<Box<dyn ReadFile>> {
        let _ = path;
        Ok(file)
    }
}

impl<L: Layer> Storage for L {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.before("open", path)?;
        self.reading(path, self.below().open(path)?)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.before("create", path)?;
        self.below().create(path)
    }

    fn create_like(&self, path: &Path, replaced: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.before("create_like", path)?;
        self.below().create_like(path, replaced)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before("rename", from)?;
        self.below().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.before("remove_file", path)?;
        self.below().remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.before("create_dir_all", path)?;
        self.below().create_dir_all(path)
    }

    fn create_dir_like(&self, path: &Path, replaced: &Path) -> io::Result<()> {
        self.before("create_dir_like", path)?;
        self.below().create_dir_like(path, replaced)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.before("remove_dir", path)?;
        self.below().remove_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.before("remove_dir_all", path)?;
        self.below().remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.before("sync_dir", path)?;
        self.below().sync_dir(path)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        self.before("kind", path)?;
        self.below().kind(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.before("list", path)?;
        self.below().list(path)
    }

    fn list_os(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.before("list_os", path)?;
        self.below().list_os(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.before("resolve", path)?;
        self.below().resolve(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        self.below().absolute(path)
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        self.before("remove_if_abandoned", path)?;
        self.below().remove_if_abandoned(path)
    }

    fn take_over(&self, path: &Path) -> io::Result<Option<Box<dyn WriteFile>>> {
        self.before("take_over", path)?;
        self.below().take_over(path)
    }
}
