//! The files of this library in a directory: how a save tells them from foreign files, and removes no others.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::directory::{FILE_NAME, is_rank_file};
use crate::format::{MAGIC, MARKER, safetensors};
use crate::source::head::{generation_in, generation_of};
use crate::source::hidden::{Ending, Hidden, MARK, Token};
use crate::storage::{FileKind, Storage};

/// The part of a mark with which a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The whole mark.
    Whole,
    /// The file ends within the mark: its save was killed while it wrote the mark.
    Begun,
}

impl Mark {
    /// `None` if the file begins with anything else, or is no regular file.
    pub(crate) fn of(storage: &dyn Storage, path: &Path, mark: &[u8]) -> io::Result<Option<Self>> {
        if storage.kind(path)? != Some(FileKind::File) {
            return Ok(None);
        }
        let file = storage.open(path)?;
        let len = usize::try_from(file.len()?).map_or(mark.len(), |len| len.min(mark.len()));
        let mut first = vec![0; len];
        file.read_exact_at(&mut first, 0)?;
        Ok(match mark.strip_prefix(&*first) {
            Some([]) => Some(Self::Whole),
            Some(_) => Some(Self::Begun),
            None => None,
        })
    }
}

/// Returns true if a file is empty, or begins as the files of this library: checkpoints, files of ranks, and manifests of
/// directories.
pub(crate) fn is_own_file(storage: &dyn Storage, path: &Path) -> bool {
    if matches!(Mark::of(storage, path, &MAGIC), Ok(Some(_))) {
        return true;
    }
    // The header begins with the marker, behind its length.
    let marker = format!("{{\"{}\":{{\"{MARKER}\":", safetensors::METADATA);
    let begins = |storage: &dyn Storage| {
        let file = storage.open(path)?;
        let mut first = vec![0; marker.len()];
        file.read_exact_at(&mut first, safetensors::LENGTH_BYTES as u64)?;
        io::Result::Ok(first == marker.as_bytes())
    };
    begins(storage).unwrap_or(false)
}

/// The first entry of a directory that no save has made.
pub(crate) fn first_foreign_entry(storage: &dyn Storage, directory: &Path) -> Result<Option<PathBuf>> {
    let io = |error| Error::io("look at", directory)(error);
    let names = storage.list_os(directory).map_err(Error::io("list", directory))?;
    let committed = generation_in(storage, directory).ok();
    for name in names {
        let is_ours = match name.to_str() {
            None => false,
            Some(FILE_NAME) => Mark::of(storage, &directory.join(FILE_NAME), &MAGIC)
                .map_err(io)?
                .is_some(),
            Some(name) if Some(name) == committed.as_deref() => {
                match first_besides_rank_files(storage, directory, name)? {
                    None => true,
                    stranger => return Ok(stranger),
                }
            }
            Some(text) => is_from_a_save(storage, directory, text).map_err(io)?,
        };
        if !is_ours || is_link(storage, &directory.join(&name)).map_err(io)? {
            return Ok(Some(PathBuf::from(name)));
        }
    }
    Ok(None)
}

/// The first entry of the committed folder that no save has made.
pub(crate) fn foreign_entry_in_committed(storage: &dyn Storage, directory: &Path) -> Result<Option<PathBuf>> {
    match generation_in(storage, directory) {
        Ok(committed) => first_besides_rank_files(storage, directory, &committed),
        // No file of a damaged checkpoint is removed.
        Err(_) => Ok(None),
    }
}

fn first_besides_rank_files(storage: &dyn Storage, directory: &Path, generation: &str) -> Result<Option<PathBuf>> {
    let folder = directory.join(generation);
    let names = match storage.list_os(&folder) {
        Ok(names) => names,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::io("list", &folder)(error)),
    };
    let stranger = names.into_iter().find(|name| !is_rank_file_name(name));
    Ok(stranger.map(|name| Path::new(generation).join(name)))
}

/// No save makes a link.
fn is_link(storage: &dyn Storage, path: &Path) -> io::Result<bool> {
    Ok(storage.resolve(path)? != path)
}

fn is_rank_file_name(name: &OsStr) -> bool {
    name.to_str().is_some_and(is_rank_file)
}

/// Returns true if a save that was killed, or one that is running, has made the entry of this name.
fn is_from_a_save(storage: &dyn Storage, directory: &Path, name: &str) -> io::Result<bool> {
    let hidden = Hidden::inside(directory);
    let path = directory.join(name);
    if let Some(token) = Token::of_generation(name) {
        let lock = hidden.path(token, Ending::Lock);
        let is_claimed = Mark::of(storage, &lock, MARK)? == Some(Mark::Whole);
        let has_only_rank_files =
            || Ok::<_, io::Error>(storage.list_os(&path)?.iter().all(|name| is_rank_file_name(name)));
        return Ok(is_claimed && has_only_rank_files()? || is_generation(storage, directory, token));
    }
    Ok(match hidden.parse(name) {
        Some((_, Ending::Lock)) => Mark::of(storage, &path, MARK)?.is_some(),
        Some((_, Ending::Partial)) => Mark::of(storage, &path, &MAGIC)?.is_some(),
        _ => false,
    })
}

/// Returns true if a folder holds only files of ranks that name this generation.
pub(crate) fn is_generation(storage: &dyn Storage, directory: &Path, token: Token) -> bool {
    let generation = token.generation();
    let folder = directory.join(&generation);
    let is_of_it = |name: &OsStr| {
        is_rank_file_name(name) && generation_of(storage, &folder.join(name)).is_ok_and(|found| found == generation)
    };
    storage
        .list_os(&folder)
        .is_ok_and(|names| names.iter().all(|name| is_of_it(name)))
}

/// Removes the files of ranks and then their folder. True if the folder is gone: it stays if it holds other files.
pub(crate) fn remove_generation(storage: &dyn Storage, folder: &Path) -> io::Result<bool> {
    if is_link(storage, folder)? {
        return Ok(false);
    }
    let names = match storage.list_os(folder) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    for name in names.iter().filter(|name| is_rank_file_name(name)) {
        ignore_not_found(storage.remove_file(&folder.join(name)))?;
    }
    is_removed(storage.remove_dir(folder))
}

/// Removes a file, or a directory that a save has made. True if it is gone: a directory stays if it holds other files.
/// Another save may remove it at the same time.
pub(crate) fn remove(storage: &dyn Storage, path: &Path) -> io::Result<bool> {
    match storage.kind(path)? {
        None => Ok(true),
        Some(FileKind::Directory) => remove_own_directory(storage, path),
        Some(FileKind::File) => ignore_not_found(storage.remove_file(path)).map(|()| true),
        Some(FileKind::Other) => Ok(false),
    }
}

/// The manifest goes first: a checkpoint without its files must not look like one.
fn remove_own_directory(storage: &dyn Storage, directory: &Path) -> io::Result<bool> {
    let hidden = Hidden::inside(directory);
    let manifest = directory.join(FILE_NAME);
    if matches!(Mark::of(storage, &manifest, &MAGIC), Ok(Some(_))) {
        ignore_not_found(storage.remove_file(&manifest))?;
    }
    let names = match storage.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        names => names?,
    };
    for name in names {
        let path = directory.join(&name);
        if Token::of_generation(&name).is_some() && storage.kind(&path)? == Some(FileKind::Directory) {
            remove_generation(storage, &path)?;
        }
        if hidden.parse(&name).is_some() && matches!(is_from_a_save(storage, directory, &name), Ok(true)) {
            ignore_not_found(storage.remove_file(&path))?;
        }
    }
    is_removed(storage.remove_dir(directory))
}

/// Accepts that another save was faster to remove the file.
fn ignore_not_found(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn is_removed(removed: io::Result<()>) -> io::Result<bool> {
    match ignore_not_found(removed) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
