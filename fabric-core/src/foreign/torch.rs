//! Reads the files of `torch.save`: a zip archive with one pickle and one member for each storage, or the older stream
//! of pickles and storages.
//!
//! The layout is that of `torch/serialization.py`. The keys of dicts become names, and so do the indices of lists and
//! tuples that hold tensors. A dict, list or tuple without tensors is one value.

mod flatten;
mod globals;
mod legacy;
mod storages;
mod tensor;
#[cfg(test)]
#[cfg(fabric_repository)]
pub(crate) mod tests;
mod value;

use std::path::Path;
use std::sync::Arc;

use self::flatten::flatten;
pub(crate) use self::globals::dtype;
use self::storages::Storage;
pub(crate) use self::storages::Storages;
use self::tensor::{Rebuilt, is_tensor, tensor};
use super::param_groups;
use super::pickle::{self, Object, Pickle};
use super::zip::{Archive, Member, ZipError};
use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::source::refused::Refused;
use crate::source::window::Slice;
use crate::source::{About, Files, Format, Index, ReadLimit, Source, StoredTensor};
use crate::storage::ReadFile;

/// The longest pickle that is read, in bytes: a hundred bytes for each of ten million entries.
const MAX_PICKLE: u64 = 1 << 30;

/// The kind of a file according to its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Zip,
    Legacy,
    /// A pickle that `torch.save` did not write.
    Pickle,
}

/// The number of first bytes that [`kind`] needs.
pub(crate) const FIRST: usize = 32;

/// The kind of a file of `torch.save`, by its first bytes; `None` for other files. The length at the start of a
/// safetensors file may equal these bytes, but a safetensors file has a brace after it, and a file of `torch.save` does
/// not.
pub(crate) fn kind(first: &[u8]) -> Option<Kind> {
    if first.get(8) == Some(&b'{') {
        return None;
    }
    match first {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Kind::Zip),
        _ if legacy::begins(first) => Some(Kind::Legacy),
        [0x80, 2..=5, ..] => Some(Kind::Pickle),
        _ => None,
    }
}

/// Opens a file of the given kind.
pub(crate) fn open(file: Box<dyn ReadFile>, path: &Path, kind: Kind, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let mut index = read(&*file, 0, path, kind, limit)?;
    let about = match kind {
        Kind::Zip => About::of(Format::TorchSave),
        Kind::Legacy | Kind::Pickle => {
            let len = file.len().map_err(Error::io("look at", path))?;
            About::of(Format::TorchSaveLegacy).with_unchecked(before_tensors(&index, len))
        }
    };
    let mut files = Files {
        index: Arc::default(),
        about,
        files: vec![(file, path.to_path_buf())],
        limit,
    };
    param_groups::gather_numbers(&mut index, &files)?;
    files.index = Arc::new(index);
    Ok(Arc::new(files))
}

/// The bytes in front of the first tensor of a file of this length.
fn before_tensors(index: &Index, len: u64) -> u64 {
    let parts = index.tensors.values().flat_map(|stored| &stored.parts);
    parts.map(|part| part.place.start).min().unwrap_or(len)
}

/// Reads the index of a file of the given kind. `number` is the number of the file in its source.
pub(crate) fn read(file: &dyn ReadFile, number: usize, path: &Path, kind: Kind, limit: ReadLimit) -> Result<Index> {
    let slice = Slice::whole(file).map_err(Error::io("look at", path))?;
    let (pickle, storages) = match kind {
        Kind::Zip => archive(slice, number, path, limit)?,
        Kind::Legacy => legacy::read(slice, number, path, limit)?,
        Kind::Pickle => {
            return Err(unknown(
                path,
                "it is a Python pickle that torch.save did not write; save the weights with torch.save or as safetensors",
            ));
        }
    };
    index(&pickle, &storages, path, limit)
}

/// Reads the pickle and finds the storages of the archive that fills `slice`, a part of file number `file`.
pub(super) fn archive(slice: Slice<'_>, file: usize, path: &Path, limit: ReadLimit) -> Result<(Pickle, Storages)> {
    let zip = |error| zip_error(error, path);
    let archive = Archive::read(slice).map_err(zip)?;
    let (pickle, prefix) = only_pickle(&archive).ok_or_else(|| unknown(path, other_archive(&archive)))?;
    let mut swapped = false;
    let mut storages = HashMap::default();
    for (name, member) in &archive.members {
        let name = name.strip_prefix(prefix).unwrap_or_default();
        if name == "byteorder" {
            let order = member.contents(slice, "byteorder", 16).map_err(zip)?;
            swapped = is_big(&order).map_err(|what| Error::corrupt(path, what))?;
        } else if let Some(key) = name.strip_prefix("data/") {
            storages.insert(key.into(), Storage::of_member(member, file));
        }
    }
    limit.check_piece(path, "pickle", pickle.len, MAX_PICKLE)?;
    let is_verified = pickle.crc32.is_some();
    let pickle = pickle.contents(slice, "data.pkl", pickle.len).map_err(zip)?;
    let pickle = load(&pickle, is_verified, path, limit)?;
    Ok((pickle, Storages::new(storages, swapped)))
}

/// Reads a pickle of `torch.save`. `is_verified` says that its checksum was right.
fn load(bytes: &[u8], is_verified: bool, path: &Path, limit: ReadLimit) -> Result<Pickle> {
    pickle::load(bytes, globals::allowed, limit).map_err(|error| {
        let refused = Refused::from(error);
        let refused = if is_verified { refused.of_verified() } else { refused };
        refused.at(path)
    })
}

/// A description of an archive that `torch.save` did not write.
fn other_archive(archive: &Archive) -> &'static str {
    let any = |ending: &str| archive.members.iter().any(|(name, _)| name.ends_with(ending));
    if any(".npy") {
        return "it is an archive of NumPy arrays (.npz): save them with safetensors.numpy.save_file";
    }
    if any("model.weights.h5") {
        return "it is a model of Keras (.keras): save the weights as safetensors in Python";
    }
    "it is a zip archive, but not one of torch.save: it does not hold one `data.pkl`; if files of weights are in it, unpack it"
}

/// The member with the pickle, and the prefix of all members' names.
fn only_pickle(archive: &Archive) -> Option<(&Member, &str)> {
    let mut pickles = archive.members.iter().filter_map(|(name, member)| {
        let prefix = name.strip_suffix("data.pkl")?;
        (prefix.is_empty() || prefix.ends_with('/')).then_some((member, prefix))
    });
    pickles.next().filter(|_| pickles.next().is_none())
}

/// Returns true for big-endian numbers.
fn is_big(order: &[u8]) -> Result<bool, String> {
    match order {
        b"little" => Ok(false),
        b"big" => Ok(true),
        other => Err(format!("its byte order is {:?}", String::from_utf8_lossy(other))),
    }
}

/// Gives names to all tensors and values of a pickle.
pub(super) fn index(pickle: &Pickle, storages: &Storages, path: &Path, limit: ReadLimit) -> Result<Index> {
    if let Object::Opaque(class) = pickle.get(pickle.root) {
        let what = format!(
            "it holds a pickled object of the Python class `{class}`, which only Python can read; save a state dict \
             instead: torch.save(model.state_dict(), path)"
        );
        return Err(unknown(path, &what));
    }
    let named = flatten(pickle, storages, limit).map_err(|refused| refused.at(path))?;
    Ok(Index {
        origin: path.display().to_string(),
        tensors: named.tensors,
        values: named.values,
        order: named.order.into(),
        ..Index::default()
    })
}

/// Gives names to all tensors and values of an object that is an entry itself. Every name begins with that of the
/// entry.
pub(super) fn index_below(
    pickle: &Pickle,
    storages: &Storages,
    name: &str,
    limit: ReadLimit,
) -> Result<Index, Refused> {
    let named = flatten::flatten_below(pickle, storages, name, limit)?;
    Ok(Index {
        tensors: named.tensors,
        values: named.values,
        ..Index::default()
    })
}

/// The tensor of a pickle that contains nothing else.
pub(super) fn only_tensor(pickle: &Pickle, storages: &Storages) -> Result<StoredTensor, Refused> {
    let root = pickle.root;
    if !is_tensor(pickle, root) {
        return Err(format!("found {}, expected a tensor", pickle.get(root).kind()).into());
    }
    match tensor(pickle, root, storages)? {
        Rebuilt::Tensor(tensor) => Ok(tensor),
        Rebuilt::NotRead(what) => Err(Refused::Unknown(format!("found a {what}, which is not supported"))),
    }
}

fn unknown(path: &Path, what: &str) -> Error {
    Error::UnknownFormat {
        path: path.to_path_buf(),
        what: what.to_owned(),
    }
}

fn zip_error(error: ZipError, path: &Path) -> Error {
    match error {
        ZipError::Io(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::corrupt(path, "it ends too early")
        }
        ZipError::Io(source) => Error::io("read", path)(source),
        ZipError::Unsupported(what) => unknown(path, &what),
        corrupt @ ZipError::Corrupt { .. } => Error::corrupt(path, corrupt.to_string()),
    }
}
