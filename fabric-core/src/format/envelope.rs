//! The envelope of a manifest: its kind of file, its version, two payloads, and a checksum behind each.
//!
//! ```text
//! 0        8       10      12        20        28        28 + h    36 + h    36 + h + b    44 + h + b
//! | magic  | major | minor | h: u64  | b: u64  | head    | CRC-64  | body    | CRC-64 of   |
//! |        | u16   | u16   |         |         | bincode | of all  | bincode | all before  |
//! |        |       |       |         |         |         | before  |         |             |
//! ```
//!
//! The head can be read alone: it has the writer, the strategy and the mesh, in a few hundred bytes, whatever the size
//! of the checkpoint.
//!
//! Versions: a reader refuses a newer *major* version. A newer *minor* version may only append fields to a payload,
//! which an older reader ignores. A reader compares the checksum before the version, so that a flipped bit in the
//! version is damage and not a newer version; for that, the envelope is the same in every version.

use std::io;

use bincode::config;
use bincode::error::EncodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ManifestError;
use crate::io::checksum;
use crate::io::pages::Growing;

/// The longest payload in bytes; a reader checks the length before it allocates.
pub(crate) const MAX_LEN: u64 = LARGEST as u64 / CLAIM as u64;

/// The bytes before the head.
pub(crate) const PREFIX: usize = 28;

/// The bytes of an envelope around its payloads.
pub(crate) const AROUND: usize = PREFIX + 2 * checksum::LEN;

/// The largest limit of bincode's count of decoded bytes: 4 GiB, less one for 32-bit machines.
const LARGEST: usize = u32::MAX as usize;

/// The most that bincode counts for one encoded byte: a small number is one byte long, and counts as 8.
pub(super) const CLAIM: usize = 8;

/// The first bytes of an envelope. The first byte is not ASCII, and text conversions change the last.
pub(crate) const MAGIC: [u8; 8] = *b"\x89FABRIC\n";

/// The version that this library writes, and the newest that it reads in full.
pub(super) const VERSION: (u16, u16) = (1, 0);

/// The payloads of an envelope.
#[derive(Debug)]
pub(super) struct OpenedEnvelope<'b> {
    minor: u16,
    head: &'b [u8],
    body: &'b [u8],
}

/// The decoded first bytes of an envelope.
struct Prefix {
    major: u16,
    minor: u16,
    head: u64,
    body: u64,
}

impl Prefix {
    fn of(bytes: &[u8]) -> Result<Self, ManifestError> {
        let short = || ManifestError::TooShort { len: bytes.len() };
        let (found, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let (major, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (minor, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (head, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (body, _) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        if *found != MAGIC {
            return Err(ManifestError::Magic { found: *found });
        }
        Ok(Self {
            major: u16::from_le_bytes(*major),
            minor: u16::from_le_bytes(*minor),
            head: u64::from_le_bytes(*head),
            body: u64::from_le_bytes(*body),
        })
    }

    /// Reads the version last, after a checksum has proved the bytes.
    fn check_version(&self) -> Result<(), ManifestError> {
        match self.major {
            0 => Err(ManifestError::Version { found: 0 }),
            major if major > VERSION.0 => Err(ManifestError::Newer {
                found: major,
                supported: VERSION.0,
            }),
            _ => Ok(()),
        }
    }
}

/// Encodes an envelope with these payloads.
///
/// # Errors
/// If the envelope is longer than readers allow, or there is no memory for it.
pub(super) fn seal(version: (u16, u16), head: &[u8], body: &[u8]) -> Result<Vec<u8>, ManifestError> {
    let len = AROUND + head.len() + body.len();
    if len as u64 > MAX_LEN {
        return Err(ManifestError::TooLong { len: len as u64 });
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len)
        .map_err(|_| no_memory(&io::ErrorKind::OutOfMemory.into()))?;
    bytes.extend(MAGIC);
    bytes.extend(version.0.to_le_bytes());
    bytes.extend(version.1.to_le_bytes());
    bytes.extend((head.len() as u64).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    for payload in [head, body] {
        bytes.extend(payload);
        let sum = checksum::of(&bytes);
        bytes.extend(sum.to_le_bytes());
    }
    Ok(bytes)
}

fn no_memory(error: &io::Error) -> ManifestError {
    ManifestError::NoMemory(error.to_string())
}

/// Opens an envelope of a known version.
pub(super) fn open(bytes: &[u8]) -> Result<OpenedEnvelope<'_>, ManifestError> {
    let len = bytes.len();
    if len as u64 > MAX_LEN {
        return Err(ManifestError::TooLong { len: len as u64 });
    }
    if len < AROUND {
        return Err(ManifestError::TooShort { len });
    }
    let prefix = Prefix::of(bytes)?;
    let claimed = prefix.head.checked_add(prefix.body);
    let found = (len - AROUND) as u64;
    if claimed != Some(found) {
        return Err(ManifestError::Length {
            claimed: claimed.unwrap_or(u64::MAX),
            found,
        });
    }
    let (head, body) = proved(bytes, prefix.head)?;
    proved(bytes, found + checksum::LEN as u64)?;
    prefix.check_version()?;
    let body = body.get(..body.len() - checksum::LEN).unwrap_or_default();
    Ok(OpenedEnvelope {
        minor: prefix.minor,
        head,
        body,
    })
}

/// The length of an envelope up to the checksum of its head: the bytes that [`open_head`] needs.
pub(super) fn head_len(first: &[u8]) -> Result<u64, ManifestError> {
    let around = (PREFIX + checksum::LEN) as u64;
    let len = Prefix::of(first)?.head.saturating_add(around);
    if len > MAX_LEN {
        return Err(ManifestError::TooLong { len });
    }
    Ok(len)
}

/// Opens the head alone. `bytes` end with its checksum.
pub(super) fn open_head(bytes: &[u8]) -> Result<OpenedEnvelope<'_>, ManifestError> {
    let prefix = Prefix::of(bytes)?;
    let (head, _) = proved(bytes, prefix.head)?;
    prefix.check_version()?;
    Ok(OpenedEnvelope {
        minor: prefix.minor,
        head,
        body: &[],
    })
}

/// The `len` bytes behind the prefix, after their checksum is compared, and the bytes behind that.
fn proved(bytes: &[u8], len: u64) -> Result<(&[u8], &[u8]), ManifestError> {
    let short = || ManifestError::TooShort { len: bytes.len() };
    let end = usize::try_from(len)
        .ok()
        .and_then(|len| len.checked_add(PREFIX))
        .ok_or_else(short)?;
    let (before, rest) = bytes.split_at_checked(end).ok_or_else(short)?;
    let (sum, rest) = rest.split_first_chunk::<{ checksum::LEN }>().ok_or_else(short)?;
    if checksum::of(before) != u64::from_le_bytes(*sum) {
        return Err(ManifestError::Checksum);
    }
    Ok((&before[PREFIX..], rest))
}

impl OpenedEnvelope<'_> {
    pub(super) fn head<T: DeserializeOwned>(&self) -> Result<T, ManifestError> {
        decode_all(self.head, self.minor > VERSION.1)
    }

    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, ManifestError> {
        decode_all(self.body, self.minor > VERSION.1)
    }
}

/// Decodes a whole payload. Bytes behind it are an error, unless a newer minor version may have appended them.
pub(super) fn decode_all<T: DeserializeOwned>(payload: &[u8], is_newer: bool) -> Result<T, ManifestError> {
    let (decoded, used) = decode(payload)?;
    let stray = payload.len() - used;
    if stray > 0 && !is_newer {
        return Err(ManifestError::Stray(stray));
    }
    Ok(decoded)
}

/// Decodes the first bytes of a payload, and returns their number. A claimed length makes bincode allocate at most in
/// proportion to the bytes of the payload.
fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<(T, usize), ManifestError> {
    match payload.len().saturating_mul(CLAIM) {
        0..=0x1_0000 => decode_within::<T, 0x1_0000>(payload),
        0x1_0001..=0x10_0000 => decode_within::<T, 0x10_0000>(payload),
        0x10_0001..=0x100_0000 => decode_within::<T, 0x100_0000>(payload),
        0x100_0001..=0x1000_0000 => decode_within::<T, 0x1000_0000>(payload),
        _ => decode_within::<T, LARGEST>(payload),
    }
}

fn decode_within<T: DeserializeOwned, const LIMIT: usize>(payload: &[u8]) -> Result<(T, usize), ManifestError> {
    bincode::serde::decode_from_slice(payload, config::standard().with_limit::<LIMIT>())
        .map_err(|error| ManifestError::Payload(error.to_string()))
}

/// Encodes a payload.
///
/// # Errors
/// If there is no memory for them.
pub(super) fn encode<T: Serialize>(payload: &T) -> Result<Vec<u8>, ManifestError> {
    let mut bytes = Growing(Vec::new());
    let written = bincode::serde::encode_into_std_write(payload, &mut bytes, config::standard());
    written.map(|_| bytes.0).map_err(|error| match error {
        EncodeError::Io { inner, .. } => no_memory(&inner),
        other => ManifestError::Payload(other.to_string()),
    })
}

/// The number of bytes that [`encode`] gives.
pub(super) fn encoded_len<T: Serialize>(payload: &T) -> Result<u64, ManifestError> {
    let mut size = bincode::enc::write::SizeWriter::default();
    bincode::serde::encode_into_writer(payload, &mut size, config::standard())
        .map_err(|error| ManifestError::Payload(error.to_string()))?;
    Ok(size.bytes_written as u64)
}
