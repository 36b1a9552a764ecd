//! Reads the uncompressed members of a zip archive, the container of `torch.save`.
//!
//! The format is PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5. The reader accepts archives on one disk without
//! compression and encryption. It refuses everything that two readers could understand differently: members that
//! overlap, names that occur twice, headers that contradict the directory.

mod central;
mod end;
mod local;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;

use crate::source::window::Slice;

/// The longest directory that is read, in bytes: a million members with names of two hundred bytes.
const MAX_DIRECTORY: u64 = 256 << 20;

/// The members of an archive with their names, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    pub(crate) members: Vec<(String, Member)>,
}

/// The bytes of a member in the file that contains the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The first byte of the member, counted from the start of the *file*.
    pub(crate) start: u64,
    pub(crate) len: u64,
    /// CRC-32/ISO-HDLC of the bytes; `None` for an archive without checksums.
    pub(crate) crc32: Option<u32>,
}

/// The reason why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZipError {
    #[error("reading it failed: {0}")]
    Io(#[from] io::Error),
    /// The archive is damaged. `at` counts bytes from the start of the archive.
    #[error("{what} (zip archive, byte {at})")]
    Corrupt { at: u64, what: String },
    /// The archive is well formed, and uses a feature that this reader does not support.
    #[error("{0}")]
    Unsupported(String),
}

impl ZipError {
    fn corrupt(at: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { at, what: what.into() }
    }
}

impl Archive {
    /// Reads and checks the directory and all local headers of the archive that fills `slice`.
    ///
    /// # Errors
    /// If reading fails, or the bytes are no archive, or a damaged, contradictory, compressed or encrypted one.
    pub(crate) fn read(slice: Slice<'_>) -> Result<Self, ZipError> {
        let directory = end::find(slice)?;
        if directory.len > MAX_DIRECTORY {
            let what = format!(
                "the directory of the archive has {} bytes; {MAX_DIRECTORY} are the most that is read",
                directory.len
            );
            return Err(ZipError::Unsupported(what));
        }
        let bytes = slice.bytes(directory.start, directory.len)?;
        let entries = central::parse(&bytes, directory)?;
        let members = local::locate(slice, entries, directory.start)?;
        Ok(Self { members })
    }
}

impl Member {
    /// Reads and verifies the bytes of a small member. `name` is the member's name, for messages.
    ///
    /// # Errors
    /// If the member is longer than `most` bytes, reading fails, or the checksum differs.
    pub(crate) fn contents<'f>(&self, slice: Slice<'f>, name: &str, most: u64) -> Result<Cow<'f, [u8]>, ZipError> {
        if self.len > most {
            let what = format!(
                "member `{name}` has {} bytes; {most} are the most that is read",
                self.len
            );
            return Err(ZipError::Unsupported(what));
        }
        let bytes = slice.bytes(self.start - slice.start, self.len)?;
        if self.crc32.is_none_or(|sum| sum == crate::io::checksum::crc32(&bytes)) {
            return Ok(bytes);
        }
        Err(ZipError::corrupt(
            self.start - slice.start,
            format!("member `{name}` does not match its checksum"),
        ))
    }
}

/// Reads little-endian fields, one after the other.
struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    fn new(rest: &'b [u8]) -> Self {
        Self { rest }
    }

    fn bytes(&mut self, len: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
