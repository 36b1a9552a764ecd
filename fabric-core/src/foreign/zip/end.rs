//! Finds the central directory by the records at the end of an archive.

use super::{Fields, ZipError};
use crate::source::window::Slice;

const END: u32 = u32::from_le_bytes(*b"PK\x05\x06");
const END_LEN: usize = 22;
const LOCATOR: u32 = u32::from_le_bytes(*b"PK\x06\x07");
const LOCATOR_LEN: u64 = 20;
const END64: u32 = u32::from_le_bytes(*b"PK\x06\x06");
const END64_LEN: u64 = 56;

/// The longest comment at the end, in bytes. Its length field has 16 bits.
const MAX_COMMENT: u64 = u16::MAX as u64;

/// The place of the central directory, counted from the start of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) entries: u64,
}

/// Finds the directory by the record at the end of the archive.
pub(crate) fn find(slice: Slice<'_>) -> Result<Directory, ZipError> {
    // Most archives have no comment, so their last bytes are the record.
    let found = match last_record(slice, END_LEN as u64)? {
        None => last_record(slice, END_LEN as u64 + MAX_COMMENT)?,
        found => found,
    };
    let Some((end_at, record)) = found else {
        let what = "its end is missing: the record that closes a zip archive is not there; the file was cut short, or \
                    something was appended to it";
        return Err(ZipError::corrupt(slice.len, what));
    };
    let damaged = || ZipError::corrupt(end_at, "the record at the end contradicts itself");
    let plain = parse_end(&record).ok_or_else(damaged)?;
    let (directory, limit) = match end64(slice, end_at)? {
        Some((directory, at)) if plain.agrees(&directory) => (directory, at),
        Some(_) => return Err(damaged()),
        None if plain.saturated() => return Err(ZipError::corrupt(end_at, "its zip64 record is missing")),
        None => (plain.0, end_at),
    };
    // The directory must end where the records begin, so that no bytes hide between them.
    if directory.start.checked_add(directory.len) != Some(limit) {
        return Err(ZipError::corrupt(
            end_at,
            format!(
                "its directory ({} bytes from {}) does not end where the closing records begin, at {limit}",
                directory.len, directory.start
            ),
        ));
    }
    Ok(directory)
}

/// Looks for the closing record in the last `len` bytes.
fn last_record(slice: Slice<'_>, len: u64) -> std::io::Result<Option<(u64, [u8; END_LEN])>> {
    let len = slice.len.min(len);
    let start = slice.len - len;
    let tail = slice.bytes(start, len)?;
    let record = |at: usize| Some((start + at as u64, *tail.get(at..)?.first_chunk()?));
    Ok(end_record(&tail).and_then(record))
}

/// The offset of the last closing record whose comment reaches to the end.
fn end_record(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_LEN)?;
    (0..=last).rev().find(|&at| {
        let comment = u16::from_le_bytes([tail[at + 20], tail[at + 21]]);
        tail[at..].starts_with(&END.to_le_bytes()) && at + END_LEN + usize::from(comment) == tail.len()
    })
}

/// The directory according to the record without zip64. Its numbers may be saturated.
struct Plain(Directory);

impl Plain {
    fn saturated(&self) -> bool {
        let Directory { start, len, entries } = self.0;
        start == u64::from(u32::MAX) || len == u64::from(u32::MAX) || entries == u64::from(u16::MAX)
    }

    /// Returns true if every number is saturated or equals that of the zip64 record.
    fn agrees(&self, other: &Directory) -> bool {
        let wide = |own: u64, other: u64| own == other || own == u64::from(u32::MAX);
        wide(self.0.start, other.start)
            && wide(self.0.len, other.len)
            && (self.0.entries == other.entries || self.0.entries == u64::from(u16::MAX))
    }
}

fn parse_end(bytes: &[u8]) -> Option<Plain> {
    let mut fields = Fields::new(bytes);
    let _signature = fields.u32()?;
    let (disk, first) = (fields.u16()?, fields.u16()?);
    let (here, entries) = (fields.u16()?, fields.u16()?);
    let (len, start) = (fields.u32()?.into(), fields.u32()?.into());
    let entries_agree = here == entries;
    let entries = entries.into();
    (disk == 0 && first == 0 && entries_agree).then_some(Plain(Directory { start, len, entries }))
}

/// The zip64 record and its offset, if a locator before the closing record refers to one.
fn end64(slice: Slice<'_>, end_at: u64) -> Result<Option<(Directory, u64)>, ZipError> {
    let Some(locator_at) = end_at.checked_sub(LOCATOR_LEN) else {
        return Ok(None);
    };
    let locator = slice.bytes(locator_at, LOCATOR_LEN)?;
    let mut fields = Fields::new(&locator);
    if fields.u32() != Some(LOCATOR) {
        return Ok(None);
    }
    let damaged = |what: &str| ZipError::corrupt(locator_at, what);
    let located = (|| Some((fields.u32()?, fields.u64()?, fields.u32()?)))();
    let Some((0, at, 0 | 1)) = located else {
        return Err(damaged("the archive is said to lie on several disks"));
    };
    if at.checked_add(END64_LEN) != Some(locator_at) {
        return Err(damaged("its zip64 record does not lie in front of the locator"));
    }
    let record = slice.bytes(at, END64_LEN)?;
    match parse_end64(&record) {
        Some(directory) => Ok(Some((directory, at))),
        None => Err(ZipError::corrupt(at, "its zip64 record is damaged")),
    }
}

fn parse_end64(bytes: &[u8]) -> Option<Directory> {
    let mut fields = Fields::new(bytes);
    let signature = fields.u32()?;
    // The record's length field counts the bytes after it.
    let len_of_record = fields.u64()?;
    let _versions = (fields.u16()?, fields.u16()?);
    let (disk, first) = (fields.u32()?, fields.u32()?);
    let (here, entries) = (fields.u64()?, fields.u64()?);
    let (len, start) = (fields.u64()?, fields.u64()?);
    let sound = signature == END64 && len_of_record == END64_LEN - 12 && disk == 0 && first == 0 && here == entries;
    sound.then_some(Directory { start, len, entries })
}
