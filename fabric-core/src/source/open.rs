//! Recognizes the format at a path, and opens it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::head::is_ours;
use super::hidden::{Ending, Hidden};
use super::{Index, ReadLimit, Source, single};
use crate::dist::directory;
use crate::error::{Error, Result};
use crate::foreign::{dcp, hub, torch};
use crate::io::pages;
use crate::storage::{FileKind, ReadFile, Storage};

/// The number of attempts to find a checkpoint that another process may be replacing.
const MOST_LOOKS: usize = 3;

/// Opens the checkpoint or file of weights at `path`.
///
/// # Errors
/// If nothing is at the path, the format is not supported, or the file is damaged.
pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let source = find(storage, path, limit)?;
    check_shapes(source.index(), path)?;
    Ok(source)
}

/// Refuses shapes that candle cannot multiply without overflow, in every format.
fn check_shapes(index: &Index, path: &Path) -> Result<()> {
    let mut tensors = index.tensors.iter();
    match tensors.find(|(_, stored)| stored.info.byte_len().is_none()) {
        None => Ok(()),
        Some((name, stored)) => {
            let what = format!("entry `{name}` is {}, larger than any tensor can be", stored.info);
            Err(Error::corrupt(path, what))
        }
    }
}

fn find(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    // A path with a trailing slash means the file without it.
    let path = path.components().as_path();
    if path.as_os_str().is_empty() {
        return Err(Error::NotFound {
            path: path.to_path_buf(),
            hint: "the path is empty; give the name of a checkpoint, run/last.ckpt for instance".to_owned(),
        });
    }
    for _ in 0..MOST_LOOKS {
        if let Some(opened) = open_if_there(storage, path, limit)? {
            return Ok(opened);
        }
        let target = storage.resolve(path).map_err(Error::io("follow", path))?;
        // A save replaces a directory by a file, or the reverse, in two renames. Between them the replaced checkpoint
        // has a hidden name.
        if let Some(aside) = stepped_aside(&**storage, &target)
            && let Some(opened) = open_if_there(storage, &aside, limit)?
        {
            return Ok(opened);
        }
    }
    Err(not_found(&**storage, path))
}

/// The path of a replaced checkpoint whose successor is not in place: the save was killed between its two renames, or
/// is between them now.
fn stepped_aside(storage: &dyn Storage, target: &Path) -> Option<PathBuf> {
    let hidden = Hidden::beside(target);
    let names = storage.list(&hidden.directory).ok()?;
    let replaced = names
        .iter()
        .filter(|name| matches!(hidden.parse(name), Some((_, Ending::Replaced))));
    let is_whole = |path: &PathBuf| match storage.kind(path) {
        Ok(Some(FileKind::File)) => true,
        Ok(Some(FileKind::Directory)) => is_ours(storage, path).unwrap_or(false),
        _ => false,
    };
    replaced.map(|name| hidden.directory.join(name)).find(is_whole)
}

fn open_if_there(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Option<Arc<dyn Source>>> {
    let opened = match storage.kind(path).map_err(Error::io("look at", path))? {
        None => return Ok(None),
        Some(FileKind::File) => open_one(storage, open_file(&**storage, path)?, path, limit),
        Some(FileKind::Directory) if directory::is_one(&**storage, path)? => directory::open(storage, path, limit),
        Some(FileKind::Directory) if dcp::is_one(&**storage, path)? => dcp::open(storage, path, limit),
        Some(FileKind::Directory) => hub::open(storage, path, limit),
        Some(FileKind::Other) => Err(Error::UnknownFormat {
            path: path.to_path_buf(),
            what: "it is a device, a FIFO or a socket; a checkpoint is a regular file or a directory".to_owned(),
        }),
    };
    opened.map(Some)
}

/// Returns true if a file begins as a JSON object. A safetensors file has a length there, whose last bytes are zeros.
fn is_json(first: &[u8]) -> bool {
    let visible = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    first.trim_ascii_start().starts_with(b"{") && first.iter().take(8).all(visible)
}

/// The first `N` bytes of a file, or all if it has fewer.
pub(crate) fn first_bytes<const N: usize>(file: &dyn ReadFile, path: &Path) -> Result<Vec<u8>> {
    let len = file.len().map_err(Error::io("look at", path))?;
    let mut first = vec![0; usize::try_from(len).map_or(N, |len| len.min(N))];
    file.read_exact_at(&mut first, 0).map_err(Error::io("read", path))?;
    Ok(first)
}

/// Opens a file by its first bytes. Its name has no influence.
fn open_one(
    storage: &Arc<dyn Storage>,
    file: Box<dyn ReadFile>,
    path: &Path,
    limit: ReadLimit,
) -> Result<Arc<dyn Source>> {
    let first = first_bytes::<{ torch::FIRST }>(&*file, path)?;
    if is_json(&first) {
        return hub::open_index(storage, path, limit);
    }
    match torch::kind(&first) {
        Some(kind) => torch::open(file, path, kind, limit),
        None => single::open(file, path, limit),
    }
}

pub(crate) fn open_file(storage: &dyn Storage, path: &Path) -> Result<Box<dyn ReadFile>> {
    storage.open(path).map_err(Error::io("open", path))
}

/// The memory for decoding an index, as a multiple of its length.
const DECODED: usize = 8;

/// Reads an index of `len` bytes from `start`, and checks that there is memory to decode it. The caller has checked
/// that the index lies in the file and is no longer than the bound.
pub(crate) fn read_whole(file: &dyn ReadFile, path: &Path, start: u64, len: u64) -> Result<Vec<u8>> {
    let no_memory = || std::io::Error::from(ErrorKind::OutOfMemory);
    let read = || {
        let mut bytes = pages::zeroed(usize::try_from(len).map_err(|_| no_memory())?)?;
        file.read_exact_at(&mut bytes, start)?;
        pages::look(bytes.len().saturating_mul(DECODED))?;
        Ok(bytes)
    };
    read().map_err(Error::io("read", path))
}

/// Names the checkpoints that lie beside the one that does not exist.
fn not_found(storage: &dyn Storage, path: &Path) -> Error {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let wanted = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if let Ok(target) = storage.resolve(path)
        && target != path
    {
        return Error::NotFound {
            path: path.to_path_buf(),
            hint: format!("it is a symbolic link to {}, and nothing is there", target.display()),
        };
    }
    let hint = match storage.list(directory) {
        Err(_) => format!("there is no directory {}", directory.display()),
        Ok(names) => {
            let visible = names.iter().filter(|name| !name.starts_with('.'));
            let scored = visible.map(|name| (strsim::jaro_winkler(name, &wanted), name));
            match scored
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(score, _)| *score >= 0.7)
            {
                Some((_, near)) => format!("did you mean {}?", directory.join(near).display()),
                None => "there is no such file".to_owned(),
            }
        }
    };
    Error::NotFound {
        path: path.to_path_buf(),
        hint,
    }
}
