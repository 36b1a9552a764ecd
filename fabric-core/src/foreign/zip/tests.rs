//! Tests that read handmade archives, valid and hostile ones.

use super::*;
use crate::io::checksum::crc32;
use crate::source::window::Slice;
use crate::storage::{ReadFile, Storage};
use crate::testing::Memory;

/// The faults that a test puts into an archive.
#[derive(Clone, Copy, Default)]
struct Quirks {
    zip64: bool,
    method: u16,
    flags: u16,
    comment: &'static str,
}

/// An archive of [`TWO`], with the longer records of Zip64 or without them.
fn two(zip64: bool) -> Vec<u8> {
    let quirks = Quirks {
        zip64,
        ..Quirks::default()
    };
    archive(TWO, quirks)
}

/// An archive of stored members.
fn archive(members: &[(&str, &[u8])], quirks: Quirks) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let header = bytes.len();
        let name_len = u16::try_from(name.len()).unwrap().to_le_bytes();
        bytes.extend(b"PK\x03\x04\0\0");
        bytes.extend(quirks.flags.to_le_bytes());
        bytes.extend(quirks.method.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(name_len);
        bytes.extend(7u16.to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(b"FB\x03\0ZZZ");
        bytes.extend(*data);
        bytes.extend(b"PK\x07\x08............");
        central.extend(b"PK\x01\x02\0\0\0\0");
        central.extend(quirks.flags.to_le_bytes());
        central.extend(quirks.method.to_le_bytes());
        central.extend([0; 4]);
        central.extend(crc32(data).to_le_bytes());
        let len = data.len() as u64;
        let (short, offset) = if quirks.zip64 {
            (u32::MAX, u32::MAX)
        } else {
            (u32::try_from(len).unwrap(), u32::try_from(header).unwrap())
        };
        central.extend(short.to_le_bytes());
        central.extend(short.to_le_bytes());
        central.extend(name_len);
        central.extend(if quirks.zip64 { 28u16 } else { 0 }.to_le_bytes());
        central.extend([0; 10]);
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
        if quirks.zip64 {
            central.extend(b"\x01\0\x18\0");
            for number in [len, len, header as u64] {
                central.extend(number.to_le_bytes());
            }
        }
    }
    let (start, len) = (bytes.len() as u64, central.len() as u64);
    bytes.extend(central);
    let count = members.len() as u64;
    if quirks.zip64 {
        let at = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44u64.to_le_bytes());
        bytes.extend([0; 12]);
        for number in [count, count, len, start] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(at.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
    }
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let (count, len, start) = if quirks.zip64 {
        (u16::MAX, u32::MAX, u32::MAX)
    } else {
        (
            u16::try_from(count).unwrap(),
            u32::try_from(len).unwrap(),
            u32::try_from(start).unwrap(),
        )
    };
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend(u16::try_from(quirks.comment.len()).unwrap().to_le_bytes());
    bytes.extend(quirks.comment.as_bytes());
    bytes
}

fn file(bytes: &[u8]) -> Box<dyn ReadFile> {
    let memory = Memory::new();
    let path = std::path::Path::new("/file");
    memory.create(path).unwrap().write_all(bytes).unwrap();
    memory.open(path).unwrap()
}

fn read(bytes: &[u8]) -> Result<Archive, ZipError> {
    let file = file(bytes);
    Archive::read(Slice::whole(&*file).unwrap())
}

fn member<'a>(archive: &'a Archive, name: &str) -> Option<&'a Member> {
    let mut members = archive.members.iter();
    members.find(|(other, _)| other == name).map(|(_, member)| member)
}

const TWO: &[(&str, &[u8])] = &[("a/data.pkl", b"pickle"), ("a/data/0", b"01234567")];

#[test]
fn members_are_found_with_and_without_zip64_and_behind_a_comment() {
    let plain = Quirks::default();
    let zip64 = Quirks { zip64: true, ..plain };
    let comment = Quirks {
        comment: "PK\x05\x06 not the end",
        ..plain
    };
    for quirks in [plain, zip64, comment] {
        let bytes = archive(TWO, quirks);
        let archive = read(&bytes).unwrap();
        let names: Vec<&str> = archive.members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a/data.pkl", "a/data/0"]);
        let member = member(&archive, "a/data/0").unwrap();
        let start = usize::try_from(member.start).unwrap();
        assert_eq!(&bytes[start..start + 8], b"01234567");
        assert_eq!(member.crc32, Some(crc32(b"01234567")));
    }
}

#[test]
fn an_archive_inside_a_larger_file_is_read_where_it_lies() {
    for zip64 in [false, true] {
        let inner = two(zip64);
        let outer = [&b"before"[..], &inner, b"after"].concat();
        let file = file(&outer);
        let slice = Slice {
            file: &*file,
            start: 6,
            len: inner.len() as u64,
            held: Default::default(),
        };
        let archive = Archive::read(slice).unwrap();
        let pickle = member(&archive, "a/data.pkl").unwrap();
        assert_eq!(*pickle.contents(slice, "a/data.pkl", 100).unwrap(), *b"pickle");
        assert!(pickle.contents(slice, "a/data.pkl", 5).is_err());
        assert!(member(&archive, "a/none").is_none());
    }
}

#[test]
fn compressed_and_encrypted_members_are_refused_with_a_sentence() {
    let deflated = Quirks {
        method: 8,
        ..Quirks::default()
    };
    let error = read(&archive(TWO, deflated)).unwrap_err().to_string();
    assert!(error.contains("`a/data.pkl` is compressed"), "{error}");
    let encrypted = Quirks {
        flags: 1,
        ..Quirks::default()
    };
    let error = read(&archive(TWO, encrypted)).unwrap_err().to_string();
    assert!(error.contains("encrypted"), "{error}");
}

#[test]
fn names_that_occur_twice_or_lead_out_are_refused() {
    let twice: &[(&str, &[u8])] = &[("a/x", b"1"), ("a/x", b"2")];
    assert!(
        read(&archive(twice, Quirks::default()))
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    for name in ["../x", "a/../../x", "/etc/passwd", "a\\..\\x", "C:x", "a\nb", ""] {
        let error = read(&archive(&[(name, b"1")], Quirks::default())).unwrap_err();
        assert!(matches!(error, ZipError::Unsupported(_)), "{name:?}: {error}");
    }
}

#[test]
fn members_that_overlap_are_refused() {
    // The second entry of the directory is made to point into the data of the first member, where a whole header lies.
    let inner = archive(&[("b", b"inside")], Quirks::default());
    let bytes = archive(&[("a", &inner), ("b", b"inside")], Quirks::default());
    let entry = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    let mut moved = bytes.clone();
    let inside = u32::try_from(30 + 1 + 7).unwrap();
    moved[entry + 42..entry + 46].copy_from_slice(&inside.to_le_bytes());
    assert!(read(&bytes).is_ok());
    let error = read(&moved).unwrap_err().to_string();
    assert!(error.contains("overlaps"), "{error}");
}

#[test]
fn counts_and_sizes_are_checked_before_anything_is_allocated() {
    let bytes = two(true);
    let record = bytes.windows(4).rposition(|w| w == b"PK\x06\x06").unwrap();
    // Entries here, entries in all, length and start of the directory.
    for field in [24, 32, 40, 48] {
        for value in [0, 1, u64::from(u32::MAX), u64::MAX, u64::MAX - 100] {
            let mut changed = bytes.clone();
            changed[record + field..record + field + 8].copy_from_slice(&value.to_le_bytes());
            if field == 24 {
                changed[record + 32..record + 40].copy_from_slice(&value.to_le_bytes());
            }
            assert!(read(&changed).is_err(), "field {field} = {value}");
        }
    }
}

#[test]
fn cut_anywhere_it_is_an_error() {
    for zip64 in [false, true] {
        let bytes = two(zip64);
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}

#[test]
fn any_byte_changed_gives_an_error_or_members_with_checksums_that_tell() {
    for zip64 in [false, true] {
        let bytes = two(zip64);
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                let file = file(&changed);
                let slice = Slice::whole(&*file).unwrap();
                let Ok(archive) = Archive::read(slice) else { continue };
                for (name, data) in TWO {
                    let contents = member(&archive, name).map(|member| member.contents(slice, name, 100));
                    if let Some(Ok(contents)) = contents {
                        assert_eq!(*contents, **data, "byte {at} ^ {flip:#x}");
                    }
                }
            }
        }
    }
}
