//! Reads the heads of manifests, which identify the save that a directory or a rank's file belongs to.

use std::io;
use std::path::Path;

use super::ReadLimit;
use super::open::{first_bytes, open_file, read_whole};
use super::single::read_header;
use crate::error::{Error, Result};
use crate::format::directory::FILE_NAME;
use crate::format::manifest::ManifestHead;
use crate::format::safetensors::Placed;
use crate::format::{MAGIC, ManifestError, PREFIX};
use crate::storage::{FileKind, ReadFile, Storage};

/// Returns true if a directory has a manifest that begins with this library's magic bytes.
pub(crate) fn is_ours(storage: &dyn Storage, path: &Path) -> Result<bool> {
    let manifest = path.join(FILE_NAME);
    let kind = storage.kind(&manifest).map_err(Error::io("look at", &manifest))?;
    if kind != Some(FileKind::File) {
        return Ok(false);
    }
    let file = open_file(storage, &manifest)?;
    let mut first = [0; MAGIC.len()];
    match file.read_exact_at(&mut first, 0) {
        Ok(()) => Ok(first == MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::io("read", &manifest)(error)),
    }
}

/// The generation of the checkpoint in a directory.
pub(crate) fn generation_in(storage: &dyn Storage, directory: &Path) -> Result<String> {
    head_in(storage, directory).map(|head| head.generation)
}

/// The generation in the manifest of a rank's file.
pub(crate) fn generation_of(storage: &dyn Storage, path: &Path) -> Result<String> {
    let file = open_file(storage, path)?;
    let header = read_header(&*file, path, ReadLimit::default())?;
    let placed = header
        .manifest()
        .map_err(|error| Error::corrupt(path, error.to_string()))?;
    let Some(placed) = placed else {
        return Err(Error::corrupt(path, "it has no manifest, and so no checksums"));
    };
    head_at(&*file, path, placed).map(|head| head.generation)
}

/// The head of the checkpoint at a path, in a file or in a directory; `None` if there is nothing, or something without a
/// manifest.
///
/// # Errors
/// If the head is damaged, or of a newer version of the format; if the storage fails.
pub(crate) fn head_of(storage: &dyn Storage, path: &Path) -> Result<Option<ManifestHead>> {
    match storage.kind(path).map_err(Error::io("look at", path))? {
        Some(FileKind::File) => {}
        Some(FileKind::Directory) if is_ours(storage, path)? => return head_in(storage, path).map(Some),
        _ => return Ok(None),
    }
    let file = open_file(storage, path)?;
    let header = read_header(&*file, path, ReadLimit::default())?;
    let placed = header
        .manifest()
        .map_err(|error| Error::corrupt(path, error.to_string()))?;
    let Some(placed) = placed else { return Ok(None) };
    head_at(&*file, path, placed).map(Some)
}

/// The head of the manifest of a directory.
fn head_in(storage: &dyn Storage, directory: &Path) -> Result<ManifestHead> {
    let path = directory.join(FILE_NAME);
    let file = open_file(storage, &path)?;
    let len = file.len().map_err(Error::io("look at", &path))?;
    let first = first_bytes::<PREFIX>(&*file, &path)?;
    read(&*file, &path, &first, 0, len)
}

/// The head of the manifest at its place in a file.
fn head_at(file: &dyn ReadFile, path: &Path, placed: &Placed) -> Result<ManifestHead> {
    let (start, len) = (placed.start, placed.end - placed.start);
    let first = read_whole(file, path, start, len.min(PREFIX as u64))?;
    read(file, path, &first, start, len)
}

/// The head of a manifest of `len` bytes at `start`. `first` are its first bytes, which have been read.
fn read(file: &dyn ReadFile, path: &Path, first: &[u8], start: u64, len: u64) -> Result<ManifestHead> {
    let damaged = |error: ManifestError| match error {
        ManifestError::Newer { found, supported } => Error::NewerFormat {
            path: path.to_path_buf(),
            found,
            supported,
        },
        error => Error::corrupt(path, error.to_string()),
    };
    let wanted = ManifestHead::len(first).map_err(damaged)?;
    let bytes = read_whole(file, path, start, wanted.min(len))?;
    ManifestHead::decode(&bytes).map_err(damaged)
}
