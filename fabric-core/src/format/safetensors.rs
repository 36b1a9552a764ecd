//! The header of a safetensors file of any program: bytes to names and places, and the reverse.
//!
//! ```text
//! byte 0        8                                8 + n                             end of file
//! |  n : u64 LE |  JSON, padded with spaces      |  tensor bytes, without a gap    |
//!               {"__metadata__":{"key":"text"},
//!                "name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, ...}
//! ```
//!
//! `data_offsets` count from the end of the header; elements are little-endian and row-major. The tensors cover the
//! rest of the file exactly: no overlap, no hole, nothing behind the last. [`FileLayout`] writes headers whose data begins
//! in the middle of a page; [`Header`] reads every header that the safetensors library reads, within the same bounds.

mod json;
mod layout;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use json::METADATA;
pub(crate) use layout::FileLayout;

use super::{MANIFEST, MARKER};
use crate::entry::{DType, Dims, TensorInfo, first_twice};
use crate::io::checksum;

/// The length in bytes of the length of the JSON.
pub(crate) const LENGTH_BYTES: usize = 8;

/// The longest header that is written: the safetensors library refuses longer ones. Longer headers are read if the
/// caller allows it.
pub(crate) const MAX_JSON: u64 = 100_000_000;

/// The shortest JSON object.
const MIN_JSON: u64 = 2;

/// The contents of a safetensors header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    /// The offset of the tensors: the length bytes, the JSON and its padding.
    pub(crate) len: u64,
    /// The tensors in the order of their bytes, [`MANIFEST`] among them.
    pub(crate) tensors: Vec<Placed>,
    /// The texts under `__metadata__`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The checksum of the header's bytes.
    pub(crate) sum: u64,
}

/// A tensor and the place of its bytes, counted from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed<N = String> {
    pub(crate) name: N,
    pub(crate) info: TensorInfo,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The reason why bytes are not the header of a safetensors file of this length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("the file has {len} bytes, and a safetensors file has at least {}", LENGTH_BYTES as u64 + MIN_JSON)]
    TooShort { len: u64 },
    #[error("bytes 0..8 give the header {claimed} bytes, and the shortest is {MIN_JSON}")]
    HeaderTooShort { claimed: u64 },
    #[error("bytes 0..8 give the header {claimed} bytes, more than there can be")]
    HeaderTooLong { claimed: u64 },
    #[error("bytes 0..8 give the header {claimed} bytes, and {left} follow")]
    HeaderPastEnd { claimed: u64, left: u64 },
    #[error("the header is not UTF-8 at byte {at}")]
    NotUtf8 { at: usize },
    #[error("the header begins with byte {found:#04x} instead of `{{`")]
    NotAnObject { found: u8 },
    #[error("the header is not what safetensors prescribes: {0}")]
    Json(String),
    #[error("the header has `{name}` twice")]
    Duplicate { name: String },
    #[error("the header has a tensor without a name")]
    EmptyName,
    #[error("entry `{name}` has the element type `{dtype}`, which is unknown")]
    UnknownDType { name: String, dtype: String },
    #[error("entry `{name}` has the shape {shape:?}, whose size in bytes does not fit 64 bits")]
    Overflow { name: String, shape: Vec<u64> },
    #[error("entry `{name}` is {info}, which does not fill whole bytes")]
    Ragged { name: String, info: TensorInfo },
    #[error("entry `{name}` is {info}, which takes {expected} bytes, and has the offsets {start}..{end}")]
    Length {
        name: String,
        info: TensorInfo,
        start: u64,
        end: u64,
        expected: u64,
    },
    #[error("entry `{name}` has the offset {start} and overlaps `{before}`, which ends at {end}")]
    Overlap {
        name: String,
        start: u64,
        before: String,
        end: u64,
    },
    #[error("bytes {start}..{end} of the data, before entry `{name}`, belong to no entry")]
    Hole { name: String, start: u64, end: u64 },
    #[error("the tensors end at byte {end} of the file, and it has {len}")]
    FileLength { end: u64, len: u64 },
    #[error("the header says that a manifest follows, and has no entry `{MANIFEST}`")]
    ManifestMissing,
    #[error("entry `{MANIFEST}` is {info} instead of a row of bytes")]
    ManifestForm { info: TensorInfo },
}

/// The length of a header (all bytes before the data), from the first 8 bytes of a file, so that the caller reads and
/// allocates no more than the file has. The caller sets a lower bound.
pub(crate) fn header_len(first: &[u8], file_len: u64) -> Result<usize, HeaderError> {
    let length = LENGTH_BYTES as u64;
    let Some(&bytes) = first
        .first_chunk::<LENGTH_BYTES>()
        .filter(|_| file_len >= length + MIN_JSON)
    else {
        return Err(HeaderError::TooShort { len: file_len });
    };
    let claimed = u64::from_le_bytes(bytes);
    if claimed < MIN_JSON {
        return Err(HeaderError::HeaderTooShort { claimed });
    }
    let left = file_len - length;
    if claimed > left {
        return Err(HeaderError::HeaderPastEnd { claimed, left });
    }
    usize::try_from(length + claimed).map_err(|_| HeaderError::HeaderTooLong { claimed })
}

impl Header {
    /// Reads a header from `bytes`, which are at least the first [`header_len`] bytes of a file of `file_len` bytes.
    pub(crate) fn parse(bytes: &[u8], file_len: u64) -> Result<Self, HeaderError> {
        let len = header_len(bytes, file_len)?;
        let Some(bytes) = bytes.get(..len) else {
            let (claimed, left) = ((len - LENGTH_BYTES) as u64, (bytes.len() - LENGTH_BYTES) as u64);
            return Err(HeaderError::HeaderPastEnd { claimed, left });
        };
        let raw = json::parse(&bytes[LENGTH_BYTES..])?;
        let data = len as u64;
        let mut names: Vec<&str> = raw.tensors.iter().map(|(name, _)| name.as_str()).collect();
        if names.iter().any(|name| name.is_empty()) {
            return Err(HeaderError::EmptyName);
        }
        if let Some(name) = first_twice(&mut names) {
            return Err(HeaderError::Duplicate { name: name.to_owned() });
        }
        let tensors = raw.tensors.into_iter().map(|(name, tensor)| place(name, tensor, data));
        let mut tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        // A stable sort keeps tensors without bytes in the order of the header.
        tensors.sort_by_key(|tensor| (tensor.start, tensor.end));
        check_tiling(&tensors, data, file_len)?;
        Ok(Self {
            len: data,
            tensors,
            metadata: raw.metadata,
            sum: checksum::of(bytes),
        })
    }

    /// The place of the manifest, if the file has one.
    ///
    /// A damaged name must not turn a checkpoint into a foreign file without checksums: [`MARKER`] says a second time
    /// that there is a manifest.
    pub(crate) fn manifest(&self) -> Result<Option<&Placed>, HeaderError> {
        let Some(entry) = self.tensors.iter().find(|entry| entry.name == MANIFEST) else {
            let marked = self.metadata.contains_key(MARKER);
            return if marked {
                Err(HeaderError::ManifestMissing)
            } else {
                Ok(None)
            };
        };
        if entry.info.dtype() != DType::U8 || entry.info.shape().len() != 1 {
            return Err(HeaderError::ManifestForm {
                info: entry.info.clone(),
            });
        }
        Ok(Some(entry))
    }
}

/// Checks one entry by itself, and finds its place in the file.
fn place(name: String, tensor: json::RawTensor, data: u64) -> Result<Placed, HeaderError> {
    let Some(dtype) = DType::from_name(&tensor.dtype) else {
        let dtype = tensor.dtype.into_owned();
        return Err(HeaderError::UnknownDType { name, dtype });
    };
    let shape = tensor
        .shape
        .iter()
        .map(|&d| usize::try_from(d).ok())
        .collect::<Option<Dims>>();
    let info = shape.map(|shape| TensorInfo::of(dtype, &shape));
    let bits = info
        .as_ref()
        .and_then(|info| info.elements()?.checked_mul(dtype.bits()));
    let (Some(info), Some(bits)) = (info, bits) else {
        return Err(HeaderError::Overflow {
            name,
            shape: tensor.shape.into_vec(),
        });
    };
    if bits % 8 != 0 {
        return Err(HeaderError::Ragged { name, info });
    }
    let expected = bits as u64 / 8;
    let (start, end) = tensor.data_offsets;
    let in_file = (data.checked_add(start), data.checked_add(end));
    match (end.checked_sub(start), in_file) {
        (Some(len), (Some(start), Some(end))) if len == expected => Ok(Placed { name, info, start, end }),
        _ => Err(HeaderError::Length {
            name,
            info,
            start,
            end,
            expected,
        }),
    }
}

/// Checks that `tensors`, in the order of their starts, lie without overlap or hole from `data` to the file's end.
fn check_tiling(tensors: &[Placed], data: u64, file_len: u64) -> Result<(), HeaderError> {
    let mut end = data;
    let mut before = "";
    for entry in tensors {
        let name = || entry.name.clone();
        if entry.start > end {
            return Err(HeaderError::Hole {
                name: name(),
                start: end - data,
                end: entry.start - data,
            });
        }
        if entry.start < end {
            let (start, before) = (entry.start - data, before.to_owned());
            return Err(HeaderError::Overlap {
                name: name(),
                start,
                before,
                end: end - data,
            });
        }
        (end, before) = (entry.end, &entry.name);
    }
    if end == file_len {
        Ok(())
    } else {
        Err(HeaderError::FileLength { end, len: file_len })
    }
}
