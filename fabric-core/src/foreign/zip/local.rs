//! Reads local headers, which give the first byte of each member.

use super::central::Entry;
use super::{Fields, Member, ZipError};
use crate::hash::HashSet;
use crate::io::pages;
use crate::source::window::{Slice, Window};

const HEADER: u32 = u32::from_le_bytes(*b"PK\x03\x04");
const HEADER_LEN: usize = 30;

/// Finds the bytes of every member. Members must not overlap each other or the directory.
pub(crate) fn locate(
    slice: Slice<'_>,
    mut entries: Vec<Entry<'_>>,
    directory: u64,
) -> Result<Vec<(String, Member)>, ZipError> {
    entries.sort_by_key(|entry| entry.header);
    let checked = has_checksums(&entries);
    let mut window = Window::new(slice);
    let mut members = Vec::new();
    let mut free = 0;
    for entry in &entries {
        if entry.header < free {
            let what = format!("member `{}` overlaps the one in front of it", entry.name);
            return Err(ZipError::corrupt(entry.header, what));
        }
        let start = data_start(&mut window, entry, directory)?;
        if let Some(what) = entry.strange {
            let name = String::from_utf8_lossy(entry.raw_name);
            return Err(ZipError::Unsupported(format!(
                "member {name:?} {what}; torch.save gives no member such a name: save the checkpoint again with it"
            )));
        }
        let end = start.checked_add(entry.len).filter(|end| *end <= directory);
        free = end.ok_or_else(|| {
            let what = format!(
                "member `{}` has {} bytes from {start} and reaches into the directory",
                entry.name, entry.len
            );
            ZipError::corrupt(entry.header, what)
        })?;
        let member = Member {
            start: slice.start + start,
            len: entry.len,
            crc32: checked.then_some(entry.crc32),
        };
        pages::count(entry.name.len())?;
        pages::push(&mut members, (entry.name.to_owned(), member))?;
    }
    if let Some(twice) = twice(&entries) {
        let what = format!("member `{}` is there twice", twice.name);
        return Err(ZipError::corrupt(twice.header, what));
    }
    Ok(members)
}

/// The first entry whose name an earlier entry has too.
fn twice<'e, 'b>(entries: &'e [Entry<'b>]) -> Option<&'e Entry<'b>> {
    let mut names = HashSet::default();
    entries.iter().find(|entry| !names.insert(entry.name))
}

/// Returns false for an archive of `torch.serialization.set_crc32_options(False)`, which writes zero for every
/// checksum. A single checksum that is zero stands beside others that are not.
fn has_checksums(entries: &[Entry<'_>]) -> bool {
    let mut sums = entries.iter().filter(|entry| entry.len > 0).map(|entry| entry.crc32);
    entries.len() < 2 || sums.any(|sum| sum != 0)
}

/// The offset of the byte after a local header, whose name and extra fields have their own lengths. Its sizes are
/// ignored, because streaming writers leave zeros there.
fn data_start(window: &mut Window<'_>, entry: &Entry<'_>, directory: u64) -> Result<u64, ZipError> {
    let damaged = |what: &str| {
        let what = format!("the header of member `{}` {what}", entry.name);
        ZipError::corrupt(entry.header, what)
    };
    let fixed = entry.header.checked_add(HEADER_LEN as u64);
    let Some(name_at) = fixed.filter(|end| *end <= directory) else {
        return Err(damaged("lies outside of the archive"));
    };
    let header = window.get(entry.header, HEADER_LEN)?;
    let Some((signature, method, name_len, extra_len)) = parse(header) else {
        return Err(damaged("is damaged"));
    };
    if signature != HEADER || method != 0 {
        return Err(damaged("is not where the directory says"));
    }
    let start = name_at + u64::from(name_len) + u64::from(extra_len);
    if start > directory {
        return Err(damaged("reaches into the directory"));
    }
    let name = window.get(name_at, name_len.into())?;
    if name != entry.raw_name {
        return Err(damaged("gives it another name than the directory"));
    }
    Ok(start)
}

/// The signature, the method, and the lengths of the name and the extra fields.
fn parse(header: &[u8]) -> Option<(u32, u16, u16, u16)> {
    let mut fields = Fields::new(header);
    let signature = fields.u32()?;
    let _version_and_flags = (fields.u16()?, fields.u16()?);
    let method = fields.u16()?;
    let _time_and_sums = fields.bytes(16)?;
    Some((signature, method, fields.u16()?, fields.u16()?))
}
