//! Reads the stream that `torch.save` wrote before PyTorch 1.6, and still writes with
//! `_use_new_zipfile_serialization=False`: five pickles (a magic number, the protocol version, facts about the system,
//! the object, the keys of the storages), then the storages, each after its number of elements.
//!
//! The format has no checksums. Numbers are little-endian on every system.

use std::path::Path;

use super::globals::allowed;
use super::storages::{Storage, Storages};
use super::tensor::StorageReference;
use super::{MAX_PICKLE, unknown};
use crate::error::{Error, Result};
use crate::foreign::pickle::{self, Id, Object, Pickle, PickleError, Problem};
use crate::hash::HashMap;
use crate::source::refused::Refused;
use crate::source::window::{Slice, Window};
use crate::source::{Extent, ReadLimit};

/// The integer at the start of the stream.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// The opcodes of the pickled magic number.
const MAGIC_OPCODES: [u8; 12] = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const PROTOCOL: i128 = 1001;

/// The number of bytes that the first read fetches. Longer pickles need a second read.
const HEAD: u64 = 64 << 10;

/// Returns true if a file begins with the magic number. Protocols 4 and 5 put a frame before it: an opcode and eight
/// bytes.
pub(crate) fn begins(first: &[u8]) -> bool {
    let ([0x80, 4 | 5, 0x95, _, _, _, _, _, _, _, _, magic @ ..] | [0x80, 2..=5, magic @ ..]) = first else {
        return false;
    };
    magic.starts_with(&MAGIC_OPCODES)
}

/// The pickles before the storages.
struct Head {
    object: Pickle,
    keys: Pickle,
    /// The length in bytes.
    len: u64,
}

/// Reads the object and finds the storages.
pub(crate) fn read(slice: Slice<'_>, file: usize, path: &Path, limit: ReadLimit) -> Result<(Pickle, Storages)> {
    let most = MAX_PICKLE.max(limit.given(0));
    let mut len = HEAD.min(slice.len);
    let head = loop {
        let bytes = slice.bytes(0, len).map_err(Error::io("read", path))?;
        match head(&bytes, limit) {
            Err(error) if cut_short(&error) && len < slice.len.min(most) => {
                len = len.saturating_mul(8).min(slice.len).min(most);
            }
            other => break other.map_err(|what| what.into_error(path))?,
        }
    };
    let storages = storages(slice, &head, file).map_err(|what| Error::corrupt(path, what))?;
    Ok((head.object, Storages::new(storages, false)))
}

enum HeadError {
    Pickle(PickleError),
    Layout(&'static str),
}

impl HeadError {
    fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Pickle(error) => Refused::from(error).at(path),
            Self::Layout(what) => unknown(path, what),
        }
    }
}

fn cut_short(error: &HeadError) -> bool {
    matches!(error, HeadError::Pickle(error) if matches!(error.what, Problem::Truncated { .. }))
}

fn head(bytes: &[u8], limit: ReadLimit) -> std::result::Result<Head, HeadError> {
    let mut at = 0;
    let mut next = || {
        let pickle = pickle::load(&bytes[at..], allowed, limit).map_err(|mut error| {
            error.at += at;
            HeadError::Pickle(error)
        })?;
        at += pickle.len;
        Ok(pickle)
    };
    let (magic, protocol, _system): (Pickle, Pickle, Pickle) = (next()?, next()?, next()?);
    if magic.int(magic.root) != Some(MAGIC) || protocol.int(protocol.root) != Some(PROTOCOL) {
        return Err(HeadError::Layout(
            "it is a stream of torch.save of a version that is not known",
        ));
    }
    let (object, keys) = (next()?, next()?);
    let is_text = |id: &Id| keys.text(*id).is_some();
    if !keys.items(keys.root).is_some_and(|items| items.iter().all(is_text)) {
        return Err(HeadError::Layout("its list of storages is none"));
    }
    Ok(Head {
        object,
        keys,
        len: at as u64,
    })
}

/// Finds the storages, which follow each other in the order of the keys.
fn storages(slice: Slice<'_>, head: &Head, file: usize) -> std::result::Result<HashMap<Box<str>, Storage>, String> {
    let said = said(&head.object)?;
    let mut window = Window::new(slice);
    let mut at = head.len;
    let mut storages = HashMap::default();
    let keys = head.keys.items(head.keys.root).unwrap_or_default();
    for key in keys.iter().filter_map(|id| head.keys.text(*id)) {
        let bad = |what: &str| format!("storage `{key}` (byte {at}) {what}");
        let (count, len) = said.get(key).copied().ok_or_else(|| bad("is used by no tensor"))?;
        let bytes = window.get(at, 8).map_err(|_| bad("is cut short"))?;
        if *bytes != count.to_le_bytes() {
            return Err(bad("has another number of elements than the tensors in it say"));
        }
        let start = at + 8;
        let end = start.checked_add(len).filter(|end| *end <= slice.len);
        let end = end.ok_or_else(|| bad("is cut short"))?;
        let place = Extent {
            file,
            start: slice.start + start,
            len,
        };
        if storages.insert(key.into(), Storage::unchecked(place)).is_some() {
            return Err(bad("is there twice"));
        }
        at = end;
    }
    Ok(storages)
}

/// The storages as the tensors describe them: elements and bytes, by key.
fn said(object: &Pickle) -> std::result::Result<HashMap<&str, (u64, u64)>, String> {
    let mut said = HashMap::default();
    for id in object.ids() {
        if !matches!(object.get(id), Object::Persistent(_)) {
            continue;
        }
        let reference = StorageReference::of(object, id).map_err(|what| format!("an entry {what}"))?;
        let key = reference.key;
        let len = reference
            .byte_len()
            .ok_or_else(|| format!("storage `{key}` has a class that is not supported"))?;
        let sizes = (reference.count as u64, len);
        if *said.entry(key).or_insert(sizes) != sizes {
            return Err(format!("the tensors give storage `{key}` two different sizes"));
        }
    }
    Ok(said)
}
