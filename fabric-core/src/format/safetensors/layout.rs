//! The order and the places of tensors in a new file, and its header.

#[cfg(test)]
mod tests;

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use super::json::METADATA;
use super::{LENGTH_BYTES, MANIFEST, MARKER, MAX_JSON, Placed};
use crate::entry::{DType, TensorInfo, check_name, first_twice, shown};

/// A page of memory.
const PAGE: u64 = 4096;

/// The offset of the data from a multiple of a page. Allocators place a large tensor 16 bytes behind a page, and a copy
/// from the start of one page to just behind the start of another takes twice as long: each read waits for the write
/// before it, which has the same low bits of address.
pub(crate) const START: u64 = PAGE / 2;

/// The value of [`MARKER`], which readers ignore.
const MARKED: &str = "1";

/// A safetensors file before its first byte is written.
///
/// For a file with a manifest: lay the tensors out without one, which gives their order; make the manifest's records in
/// that order, with blank places and checksums; lay out again with its encoded length; fill in the places. The bytes of
/// the manifest are written last, when the checksums are known, and have the length that was promised.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileLayout<N = String> {
    /// The first bytes of the file: length, JSON, padding.
    pub(crate) header: Vec<u8>,
    /// The tensors in the order of their bytes; the manifest last, if there is one.
    pub(crate) tensors: Vec<Placed<N>>,
    /// The length of the whole file.
    pub(crate) file_len: u64,
}

/// The reason why tensors do not fit in a safetensors file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("entry `{0}` is there twice; a file holds one tensor of a name")]
    Duplicate(String),
    #[error("entry name `{}` {what}", shown(name))]
    Name { name: String, what: &'static str },
    #[error("entry `{name}` is {info}, an element type that safetensors files do not have")]
    DType { name: String, info: TensorInfo },
    #[error("entry `{name}` is {info}, which does not fill whole bytes; pad its last dimension")]
    Ragged { name: String, info: TensorInfo },
    #[error("entry `{name}` is {info}, which ends past the longest file there can be")]
    TooLarge { name: String, info: TensorInfo },
    #[error("the names and shapes take a header of {0} bytes, and readers refuse more than {MAX_JSON}")]
    HeaderTooLong(u64),
}

impl FileLayout {
    /// The order of two tensors in a file.
    pub(crate) fn compare((a_name, a): (&str, &TensorInfo), (b_name, b): (&str, &TensorInfo)) -> Ordering {
        (Reverse(width(a)), a_name).cmp(&(Reverse(width(b)), b_name))
    }
}

impl<N: AsRef<str> + From<&'static str>> FileLayout<N> {
    /// Finds a place for every tensor, and for a manifest of `manifest_len` bytes.
    ///
    /// The order of the tensors in a file does not depend on the order of `tensors`: larger elements come first, so
    /// that every tensor is aligned to its element, then names; the manifest comes last.
    pub(crate) fn new(
        mut tensors: Vec<(N, TensorInfo)>,
        metadata: &BTreeMap<String, String>,
        manifest_len: Option<u64>,
    ) -> Result<Self, LayoutError> {
        tensors.sort_by(|(a_name, a), (b_name, b)| FileLayout::compare((a_name.as_ref(), a), (b_name.as_ref(), b)));
        check_names(&tensors)?;
        let mut metadata = metadata.clone();
        let mut sized = Vec::with_capacity(tensors.len() + 1);
        for (name, info) in tensors {
            let len = byte_len(name.as_ref(), &info)?;
            sized.push((name, info, len));
        }
        if let Some(len) = manifest_len {
            metadata.insert(MARKER.to_owned(), MARKED.to_owned());
            let shape = vec![usize::try_from(len).unwrap_or(usize::MAX)];
            sized.push((MANIFEST.into(), TensorInfo::new(DType::U8, shape), len));
        }
        let mut tensors = consecutive(sized)?;
        let header = header(&tensors, &metadata)?;
        let data = header.len() as u64;
        for tensor in &mut tensors {
            tensor.start += data;
            tensor.end += data;
        }
        let file_len = tensors.last().map_or(data, |last| last.end);
        Ok(Self {
            header,
            tensors,
            file_len,
        })
    }
}

/// The alignment of an element in bytes.
fn width(info: &TensorInfo) -> usize {
    info.dtype().bits().div_ceil(8)
}

fn check_names<N: AsRef<str>>(tensors: &[(N, TensorInfo)]) -> Result<(), LayoutError> {
    let mut names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_ref()).collect();
    for name in &names {
        check_name(name).map_err(|what| LayoutError::Name {
            name: (*name).to_owned(),
            what,
        })?;
    }
    match first_twice(&mut names) {
        Some(name) => Err(LayoutError::Duplicate(name.to_owned())),
        None => Ok(()),
    }
}

fn byte_len(name: &str, info: &TensorInfo) -> Result<u64, LayoutError> {
    let name = || name.to_owned();
    // No reader of safetensors knows 128-bit complex numbers, and `Other` has no size.
    if matches!(info.dtype(), DType::C128 | DType::Other) {
        return Err(LayoutError::DType {
            name: name(),
            info: info.clone(),
        });
    }
    let bits = info.elements().and_then(|n| n.checked_mul(info.dtype().bits()));
    let Some(bits) = bits else {
        return Err(LayoutError::TooLarge {
            name: name(),
            info: info.clone(),
        });
    };
    if bits % 8 != 0 {
        return Err(LayoutError::Ragged {
            name: name(),
            info: info.clone(),
        });
    }
    Ok(bits as u64 / 8)
}

/// Assigns places one after the other, counted from the start of the data; the longest header still fits before them.
fn consecutive<N: AsRef<str>>(sized: Vec<(N, TensorInfo, u64)>) -> Result<Vec<Placed<N>>, LayoutError> {
    let limit = i64::MAX.unsigned_abs() - 2 * MAX_JSON;
    let mut start = 0u64;
    let mut placed = Vec::with_capacity(sized.len());
    for (name, info, len) in sized {
        let Some(end) = start.checked_add(len).filter(|&end| end <= limit) else {
            let name = name.as_ref().to_owned();
            return Err(LayoutError::TooLarge { name, info });
        };
        placed.push(Placed { name, info, start, end });
        start = end;
    }
    Ok(placed)
}

/// The header's bytes, padded so that the data is aligned.
fn header<N: AsRef<str>>(tensors: &[Placed<N>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, LayoutError> {
    let mut json = vec![b'{'];
    if !metadata.is_empty() {
        quote(&mut json, METADATA);
        json.extend(b":{");
        for (key, text) in metadata {
            quote(&mut json, key);
            json.push(b':');
            quote(&mut json, text);
            json.push(b',');
        }
        close(&mut json, b'}');
        json.push(b',');
    }
    for Placed { name, info, start, end } in tensors {
        quote(&mut json, name.as_ref());
        json.extend(br#":{"dtype":"#);
        quote(&mut json, info.dtype().name());
        json.extend(br#","shape":["#);
        for &len in info.shape() {
            number(&mut json, len as u64);
            json.push(b',');
        }
        close(&mut json, b']');
        json.extend(br#","data_offsets":["#);
        number(&mut json, *start);
        json.push(b',');
        number(&mut json, *end);
        json.extend(b"]},");
    }
    close(&mut json, b'}');
    let len = LENGTH_BYTES as u64 + json.len() as u64;
    let padded = len.saturating_sub(START).next_multiple_of(PAGE) + START;
    let json_len = padded - LENGTH_BYTES as u64;
    let Some(total) = usize::try_from(padded).ok().filter(|_| json_len <= MAX_JSON) else {
        return Err(LayoutError::HeaderTooLong(json_len));
    };
    let mut bytes = Vec::with_capacity(total);
    bytes.extend(json_len.to_le_bytes());
    bytes.extend(json);
    bytes.resize(total, b' ');
    Ok(bytes)
}

/// Ends a list or an object, and removes the comma behind its last member.
fn close(json: &mut Vec<u8>, end: u8) {
    if json.last() == Some(&b',') {
        json.pop();
    }
    json.push(end);
}

/// Writes a JSON string. To memory, it cannot fail.
fn quote(json: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(json, text);
}

fn number(json: &mut Vec<u8>, number: u64) {
    let _ = serde_json::to_writer(json, &number);
}
