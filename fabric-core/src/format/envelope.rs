//! The envelope around everything of ours that is not a tensor: what it is, which version, how long, and a checksum.
//!
//! ```text
//! 0        8        10       12                20               20 + n        28 + n
//! | magic  | major  | minor  | n: payload's    | payload        | CRC-64 of   |
//! |        | u16 LE | u16 LE | length, u64 LE  | bincode        | all before  |
//! ```
//!
//! Versions: a reader refuses a newer *major*. A newer *minor* may only append fields to the payload, which an older
//! reader passes over. The checksum is looked at before the version, so that a flipped bit in the version is damage and
//! not news from the future; for that, the envelope is the same in every version there will be.

use bincode::config;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::manifest::ManifestError;
use crate::io::checksum;

/// Longer payloads are neither written nor read; a reader checks it before it allocates.
pub(crate) const MAX_LEN: u64 = LARGEST as u64 / CLAIM as u64;

/// The bytes before the payload.
pub(super) const PREFIX: usize = 20;

/// What bincode may count while it decodes, in the largest tier: 4 GiB, less one for 32-bit machines.
const LARGEST: usize = u32::MAX as usize;

/// One encoded byte counts as this many at most: a small number is one byte long and counts as the 8 that it may have.
pub(super) const CLAIM: usize = 8;

/// The first bytes of an envelope. The first of them is no ASCII, and the last is one that text conversions change.
pub(super) type Magic = [u8; 8];

/// What an envelope held.
pub(super) struct Opened<'b> {
    minor: u16,
    payload: &'b [u8],
}

/// A payload with its envelope.
///
/// # Errors
/// If it is longer than readers allow.
pub(super) fn seal(magic: Magic, (major, minor): (u16, u16), payload: &[u8]) -> Result<Vec<u8>, ManifestError> {
    let len = PREFIX + payload.len() + checksum::LEN;
    if len as u64 > MAX_LEN {
        return Err(ManifestError::TooLong { len: len as u64 });
    }
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(magic);
    bytes.extend(major.to_le_bytes());
    bytes.extend(minor.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(payload);
    let sum = checksum::of(&bytes);
    bytes.extend(sum.to_le_bytes());
    Ok(bytes)
}

/// Opens an envelope of at most the major version `supported`.
pub(super) fn open(magic: Magic, supported: u16, bytes: &[u8]) -> Result<Opened<'_>, ManifestError> {
    let len = bytes.len();
    if len as u64 > MAX_LEN {
        return Err(ManifestError::TooLong { len: len as u64 });
    }
    let short = || ManifestError::TooShort { len };
    let (body, sum) = bytes.split_last_chunk::<{ checksum::LEN }>().ok_or_else(short)?;
    let (found, rest) = body.split_first_chunk::<8>().ok_or_else(short)?;
    let (major, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (minor, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (claimed, payload) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    if *found != magic {
        return Err(ManifestError::Magic { found: *found, magic });
    }
    let (claimed, found) = (u64::from_le_bytes(*claimed), payload.len() as u64);
    if claimed != found {
        return Err(ManifestError::Length { claimed, found });
    }
    if checksum::of(body) != u64::from_le_bytes(*sum) {
        return Err(ManifestError::Checksum);
    }
    let (major, minor) = (u16::from_le_bytes(*major), u16::from_le_bytes(*minor));
    if major == 0 {
        return Err(ManifestError::Version { found: 0 });
    }
    if major > supported {
        return Err(ManifestError::Newer {
            found: major,
            supported,
        });
    }
    Ok(Opened { minor, payload })
}

/// Decodes the first bytes of a payload, and says how many they are. What a claimed length can make bincode allocate is
/// bounded by the bytes that are there.
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

/// Decodes a whole payload. What follows it is stray, unless a newer minor version may have appended it.
pub(super) fn decode_all<T: DeserializeOwned>(opened: &Opened<'_>, minor: u16) -> Result<T, ManifestError> {
    let (decoded, used) = decode(opened.payload)?;
    let stray = opened.payload.len() - used;
    if stray > 0 && opened.minor <= minor {
        return Err(ManifestError::Stray(stray));
    }
    Ok(decoded)
}

/// Encodes a payload and seals it.
pub(super) fn encode<T: Serialize>(magic: Magic, version: (u16, u16), content: &T) -> Result<Vec<u8>, ManifestError> {
    let payload = bincode::serde::encode_to_vec(content, config::standard())
        .map_err(|error| ManifestError::Payload(error.to_string()))?;
    seal(magic, version, &payload)
}

/// The number of bytes that [`encode`] gives.
pub(super) fn encoded_len<T: Serialize>(content: &T) -> Result<u64, ManifestError> {
    let mut size = bincode::enc::write::SizeWriter::default();
    bincode::serde::encode_into_writer(content, &mut size, config::standard())
        .map_err(|error| ManifestError::Payload(error.to_string()))?;
    Ok((PREFIX + size.bytes_written + checksum::LEN) as u64)
}
