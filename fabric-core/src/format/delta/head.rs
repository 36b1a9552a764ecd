//! The head of a delta: the base that it needs, and the header of the file that it makes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DeltaError, MAGIC};
use crate::entry::TensorInfo;
use crate::format::envelope;
use crate::format::wire::{bytes, fixed, text};
use crate::io::checksum::Running;

/// The version that this library writes, and the newest that it reads.
const VERSION: (u16, u16) = (1, 0);

/// The bytes before the head.
pub(crate) const PREFIX: usize = 20;

/// A bound on the spaces behind a header: a header ends in the middle of a page of 4096 bytes.
const MOST_SPACES: u64 = 8192;

/// The head of a delta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The library that wrote the delta, for people.
    #[serde(deserialize_with = "text")]
    pub(crate) writer: String,
    /// The name of the base's file, for people.
    #[serde(deserialize_with = "text")]
    pub(crate) base: String,
    /// [`listed`] of the base.
    #[serde(with = "fixed")]
    pub(crate) base_list: u64,
    /// The length of the new file.
    #[serde(with = "fixed")]
    pub(crate) file_len: u64,
    /// The length of its header.
    #[serde(with = "fixed")]
    header_len: u64,
    /// Its header, without the spaces at the end.
    #[serde(deserialize_with = "bytes")]
    header: Vec<u8>,
}

impl Head {
    pub(crate) fn new(writer: &str, base: String, base_list: u64, header: &[u8], file_len: u64) -> Self {
        Self {
            writer: writer.to_owned(),
            base,
            base_list,
            file_len,
            header_len: header.len() as u64,
            header: header.trim_ascii_end().to_vec(),
        }
    }

    /// The header of the new file.
    pub(crate) fn header(&self) -> Result<Vec<u8>, DeltaError> {
        let len = self.header_len;
        let padding = len.wrapping_sub(self.header.len() as u64);
        let whole = usize::try_from(len).ok().filter(|_| padding < MOST_SPACES);
        let Some(whole) = whole else {
            return Err(DeltaError::Padding { len, padding });
        };
        let mut header = self.header.clone();
        header.resize(whole, b' ');
        Ok(header)
    }

    /// The first bytes of a delta, up to the checksum of the head.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, DeltaError> {
        let head = envelope::encode(self).map_err(|error| DeltaError::Head(error.to_string()))?;
        let mut bytes = Vec::with_capacity(PREFIX + head.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.0.to_le_bytes());
        bytes.extend(VERSION.1.to_le_bytes());
        bytes.extend((head.len() as u64).to_le_bytes());
        bytes.extend(head);
        Ok(bytes)
    }

    /// The head, after its checksum was compared.
    pub(crate) fn parse(bytes: &[u8], prefix: &Prefix) -> Result<Self, DeltaError> {
        match prefix.major {
            0 => Err(DeltaError::Version),
            found if found > VERSION.0 => Err(DeltaError::Newer {
                found,
                supported: VERSION.0,
            }),
            _ => envelope::decode_all(bytes, prefix.minor > VERSION.1)
                .map_err(|error| DeltaError::Head(error.to_string())),
        }
    }
}

/// The decoded bytes before the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    major: u16,
    minor: u16,
    /// The length of the head.
    pub(crate) head: u64,
}

impl Prefix {
    /// Reads the first bytes of a delta of `len` bytes.
    pub(crate) fn parse(bytes: &[u8], len: u64) -> Result<Self, DeltaError> {
        if !bytes.starts_with(&MAGIC) {
            let found = bytes[..bytes.len().min(MAGIC.len())].to_vec();
            return Err(DeltaError::Magic { found });
        }
        let [.., a, b, c, d, h0, h1, h2, h3, h4, h5, h6, h7] = *bytes
            .first_chunk::<PREFIX>()
            .ok_or(DeltaError::TooShort { part: "its head", len })?;
        let claimed = u64::from_le_bytes([h0, h1, h2, h3, h4, h5, h6, h7]);
        let left = len.saturating_sub(PREFIX as u64);
        if claimed > left {
            return Err(DeltaError::HeadPastEnd { claimed, left });
        }
        Ok(Self {
            major: u16::from_le_bytes([a, b]),
            minor: u16::from_le_bytes([c, d]),
            head: claimed,
        })
    }
}

/// The checksum of the names, element types and shapes of some tensors.
pub(crate) fn listed<'t>(tensors: impl IntoIterator<Item = (&'t str, &'t TensorInfo)>) -> u64 {
    let tensors: BTreeMap<_, _> = tensors.into_iter().collect();
    let mut sum = Running::new();
    for (name, info) in tensors {
        sum.update(name.as_bytes());
        sum.update(&[0]);
        sum.update(info.dtype().name().as_bytes());
        sum.update(&[0]);
        for len in info.shape() {
            sum.update(&(*len as u64).to_le_bytes());
        }
        sum.update(&[0]);
    }
    sum.finish()
}
