//! Reads the central directory, which has one entry for each member.

use super::end::Directory;
use super::{Fields, ZipError};
use crate::io::pages;

const ENTRY: u32 = u32::from_le_bytes(*b"PK\x01\x02");

/// The length of the shortest entry, in bytes: one with an empty name.
const ENTRY_LEN: usize = 46;

/// The method of members without compression.
const STORED: u16 = 0;

/// General purpose bit 0 (encryption) and bit 13 (masked headers).
const ENCRYPTED: u16 = 1 | 1 << 13;

/// The tag of the extra field with 64-bit sizes.
const ZIP64: u16 = 1;

/// A member's entry in the directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'b> {
    /// The name of the member; empty if the name is not UTF-8.
    pub(crate) name: &'b str,
    /// The bytes of the name.
    pub(crate) raw_name: &'b [u8],
    /// The reason for refusing the name. The archive counts as damaged only if the local header has a different name.
    pub(crate) strange: Option<&'static str>,
    pub(crate) len: u64,
    pub(crate) crc32: u32,
    /// The offset of the local header, counted from the start of the archive.
    pub(crate) header: u64,
}

/// Reads all entries. `bytes` is the whole directory.
pub(crate) fn parse(bytes: &[u8], directory: Directory) -> Result<Vec<Entry<'_>>, ZipError> {
    let most = directory.len / ENTRY_LEN as u64;
    if directory.entries > most {
        let what = format!(
            "the directory is said to have {} entries and has room for {most}",
            directory.entries
        );
        return Err(ZipError::corrupt(directory.start, what));
    }
    let mut fields = Fields::new(bytes);
    let mut entries = Vec::new();
    for _ in 0..directory.entries {
        let at = directory.start + (bytes.len() - fields.rest.len()) as u64;
        let raw = raw_entry(&mut fields)
            .ok_or_else(|| ZipError::corrupt(at, "an entry of the directory is damaged or cut short"))?;
        pages::push(&mut entries, raw.check(at)?)?;
    }
    if fields.rest.is_empty() {
        return Ok(entries);
    }
    let at = directory.start + directory.len - fields.rest.len() as u64;
    Err(ZipError::corrupt(at, "the directory goes on after its last entry"))
}

/// The fields of an entry, before any check.
struct Raw<'b> {
    flags: u16,
    method: u16,
    crc32: u32,
    packed: u64,
    len: u64,
    header: u64,
    disk: u16,
    name: &'b [u8],
}

fn raw_entry<'b>(fields: &mut Fields<'b>) -> Option<Raw<'b>> {
    if fields.u32()? != ENTRY {
        return None;
    }
    let _versions = (fields.u16()?, fields.u16()?);
    let (flags, method) = (fields.u16()?, fields.u16()?);
    let _time = fields.u32()?;
    let crc32 = fields.u32()?;
    let (packed, len) = (fields.u32()?, fields.u32()?);
    let (name_len, extra_len, comment_len) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let disk = fields.u16()?;
    let _attributes = (fields.u16()?, fields.u32()?);
    let header = fields.u32()?;
    let name = fields.bytes(name_len.into())?;
    let mut wide = zip64(fields.bytes(extra_len.into())?)?;
    fields.bytes(comment_len.into())?;
    // The zip64 field stores only the saturated numbers, in this order.
    let mut widen = |number: u32| match number {
        u32::MAX => wide.u64(),
        number => Some(number.into()),
    };
    let (len, packed, header) = (widen(len)?, widen(packed)?, widen(header)?);
    Some(Raw {
        flags,
        method,
        crc32,
        packed,
        len,
        header,
        disk,
        name,
    })
}

/// The contents of the zip64 field among the extra fields; empty if there is none.
fn zip64(extra: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Fields::new(extra);
    while !fields.rest.is_empty() {
        let (tag, len) = (fields.u16()?, fields.u16()?);
        let contents = fields.bytes(len.into())?;
        if tag == ZIP64 {
            return Some(Fields::new(contents));
        }
    }
    Some(Fields::new(&[]))
}

impl<'b> Raw<'b> {
    fn check(self, at: u64) -> Result<Entry<'b>, ZipError> {
        let (name, strange) = match std::str::from_utf8(self.name) {
            Ok(name) => (name, check_name(name).err()),
            Err(_) => ("", Some("has a name that is not UTF-8")),
        };
        if self.flags & ENCRYPTED != 0 {
            return Err(ZipError::Unsupported(format!("member `{name}` is encrypted")));
        }
        if self.method != STORED {
            return Err(ZipError::Unsupported(format!(
                "member `{name}` is compressed (method {}); only members stored as they are, as torch.save writes them, are \
                 read: pack the archive again without compression",
                self.method
            )));
        }
        if self.packed != self.len || self.disk != 0 {
            return Err(ZipError::corrupt(
                at,
                format!("the sizes of member `{name}` contradict each other"),
            ));
        }
        Ok(Entry {
            name,
            raw_name: self.name,
            strange,
            len: self.len,
            crc32: self.crc32,
            header: self.header,
        })
    }
}

/// Refuses names that lead out of the archive's folder. The library never unpacks members to files, but no honest
/// program writes such a name.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("has an empty name");
    }
    if is_plain(name) {
        return Ok(());
    }
    if name.starts_with('/') || name.split('/').any(|part| part == "..") || name.contains(['\\', ':']) {
        return Err("leads out of the archive");
    }
    if name.chars().any(char::is_control) {
        return Err("has control characters in its name");
    }
    Ok(())
}

/// Returns true if a name has only harmless characters, as nearly all names do. One pass over the name decides.
fn is_plain(name: &str) -> bool {
    let mut before = b'/';
    name.bytes().all(|byte| {
        let plain = match byte {
            b'.' => before != b'.',
            b'/' => before != b'/',
            _ => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
        };
        before = byte;
        plain
    })
}
