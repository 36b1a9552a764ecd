//! Reads the heads of manifests, which identify the save that a directory or a rank's file belongs to.

use std::io;
use std::path::Path;

use super::ReadLimit;
use super::open::{first_bytes, open_file, read_whole};
use super::single::read_header;
use crate::error::{Error, Result};
use crate::format::directory::FILE_NAME;
use crate::format::manifest::ManifestHead;
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
    let path = directory.join(FILE_NAME);
    let file = open_file(storage, &path)?;
    let len = file.len().map_err(Error::io("look at", &path))?;
    let first = first_bytes::<PREFIX>(&*file, &path)?;
    Ok(read(&*file, &path, &first, 0, len)?.generation)
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
    let (start, len) = (placed.start, placed.end - placed.start);
    let first = read_whole(&*file, path, start, len.min(PREFIX as u64))?;
    Ok(read(&*file, path, &first, start, len)?.generation)
}

/// The head of a manifest of `len` bytes at `start`. `first` are its first bytes, which have been read.
fn read(file: &dyn ReadFile, path: &Path, first: &[u8], start: u64, len: u64) -> Result<ManifestHead> {
    let damaged = |error: ManifestError| Error::corrupt(path, error.to_string());
    let wanted = ManifestHead::len(first).map_err(damaged)?;
    let bytes = read_whole(file, path, start, wanted.min(len))?;
    ManifestHead::decode(&bytes).map_err(damaged)
}
