//! Archives and headers that the crates `zip` and `safetensors` accept and Fabric refuses: why Fabric has readers of its own.
//!
//! Each test fails as soon as a new version of the crate refuses such a file as well.

use std::borrow::Cow;
use std::io::{Cursor, Read, Write};

use safetensors::tensor::{Metadata, SafeTensors};
use testkit::files::open;
use testkit::pickle::text;
use testkit::torch::{safetensors, tensor, torch};
use zip_crate::CompressionMethod;
use zip_crate::read::{ArchiveOffset, Config, ZipArchive};
use zip_crate::write::{SimpleFileOptions, ZipWriter};

/// A file of `torch.save` with one tensor.
fn whole() -> Vec<u8> {
    torch(&[(text("w"), tensor("0", 2, 0, &[2], &[1]))], &[0; 8])
}

/// Where the last of these signatures is.
fn last(bytes: &[u8], signature: &[u8]) -> usize {
    bytes
        .windows(signature.len())
        .rposition(|window| window == signature)
        .unwrap()
}

/// Looks at everything that the crate can check, and gives the names of the members.
fn by_the_crate(bytes: &[u8]) -> Result<Vec<String>, String> {
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let say = |error: zip_crate::result::ZipError| error.to_string();
    let mut archive = ZipArchive::with_config(config, Cursor::new(bytes)).map_err(say)?;
    archive.validate_header_consistency().map_err(say)?;
    let names = archive.file_names().map(|name| name.map(Cow::into_owned));
    names.collect::<Result<_, _>>().map_err(say)
}

fn refused(bytes: &[u8], what: &str) {
    let error = open(&[("file.pt", bytes)], "file.pt").unwrap_err();
    assert!(error.to_string().contains(what), "{error}");
}

/// The end of an archive in 64-bit numbers, which says that it has one member, and the plain end as it was.
fn with_a_second_directory(bytes: &[u8]) -> Vec<u8> {
    let end = last(bytes, b"PK\x05\x06");
    let directory = u64::from(u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap()));
    let first_entry = &bytes[usize::try_from(directory).unwrap()..];
    let len = 46 + u64::from(u16::from_le_bytes(first_entry[28..30].try_into().unwrap()));
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44u64.to_le_bytes());
    record.extend([0; 12]);
    record.extend(
        [1, 1, len, directory]
            .iter()
            .flat_map(|number: &u64| number.to_le_bytes()),
    );
    record.extend(b"PK\x06\x07\0\0\0\0");
    record.extend((end as u64).to_le_bytes());
    record.extend(1u32.to_le_bytes());
    [&bytes[..end], &record, &bytes[end..]].concat()
}

#[test]
fn the_zip_crate_accepts_archives_that_two_programs_read_differently() {
    let good = whole();
    assert_eq!(by_the_crate(&good).unwrap(), ["archive/data.pkl", "archive/data/0"]);
    assert!(open(&[("file.pt", &good)], "file.pt").is_ok());

    let trailing = [&good[..], b"and something behind it"].concat();
    assert!(by_the_crate(&trailing).is_ok());
    refused(&trailing, "its end is missing");

    // Python's zipfile and torch.load take the 64-bit numbers wherever they stand, and find one member.
    let second = with_a_second_directory(&good);
    assert_eq!(by_the_crate(&second).unwrap().len(), 2);
    refused(&second, "contradicts itself");

    // The length of the directory reaches over its last entry, or not over all of it.
    for len in [1u32, 40, 150] {
        let mut changed = good.clone();
        let end = last(&changed, b"PK\x05\x06");
        changed[end + 12..end + 16].copy_from_slice(&len.to_le_bytes());
        assert!(by_the_crate(&changed).is_ok(), "{len}");
        refused(&changed, "directory");
    }
}

#[test]
fn the_zip_crate_accepts_members_that_are_not_what_the_directory_says() {
    let good = whole();
    let entry = last(&good, b"PK\x01\x02");

    // A stored member of 8 bytes that would become 4 bytes.
    let mut sizes = good.clone();
    let header = last(&good, b"PK\x03\x04");
    for at in [entry + 24, header + 22] {
        sizes[at..at + 4].copy_from_slice(&4u32.to_le_bytes());
    }
    assert!(by_the_crate(&sizes).is_ok());
    refused(&sizes, "contradict each other");

    // A name that is not UTF-8 becomes another name.
    let mut name = good.clone();
    for at in [entry + 46, header + 30] {
        name[at] = 0xff;
    }
    assert!(by_the_crate(&name).unwrap()[1].ends_with("rchive/data/0"));
    refused(&name, "not UTF-8");

    // A member on another disk.
    let mut disk = good.clone();
    disk[entry + 34] = 1;
    assert!(by_the_crate(&disk).is_ok());
    refused(&disk, "contradict each other");
}

/// `torch.load` may compute the places of members from their lengths, without the directory.
#[test]
fn the_zip_crate_writes_members_to_other_places_than_torch_save() {
    let written = include_bytes!("../../fixtures/pytorch/dtypes.pt");
    let mut archive = ZipArchive::new(Cursor::new(&written[..])).unwrap();
    // The identifier and the alignment of the padding that torch.save writes.
    let padding = u16::from_le_bytes(*b"FB");
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment_and_header_id(64, padding);
    let mut again = ZipWriter::new_stream(Vec::new());
    let mut places = Vec::new();
    for number in 0..archive.len() {
        let mut member = archive.by_index(number).unwrap();
        let mut contents = Vec::new();
        member.read_to_end(&mut contents).unwrap();
        places.push(member.data_start());
        again.start_file(member.name().unwrap(), options).unwrap();
        again.write_all(&contents).unwrap();
    }
    let bytes = again.finish().unwrap().into_inner();
    let mut again = ZipArchive::new(Cursor::new(&bytes[..])).unwrap();
    let others: Vec<_> = (0..again.len())
        .map(|number| again.by_index(number).unwrap().data_start())
        .collect();
    assert_eq!(others.len(), places.len());
    assert_ne!(others, places);
}

/// The header of one file, by the crate, from the JSON alone.
fn header(json: &str) -> Result<Metadata, serde_json::Error> {
    serde_json::from_str(json)
}

#[test]
fn the_safetensors_crate_accepts_headers_that_say_two_things() {
    let one = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let other = r#""w":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}"#;
    let twice = [
        (format!("{{{one},{other}}}"), "`w` twice"),
        (
            format!(r#"{{"__metadata__":{{"fabric":"1","fabric":"2"}},{one}}}"#),
            "`__metadata__.fabric` twice",
        ),
        (
            r#"{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_owned(),
            "a tensor without a name",
        ),
        (format!(" {{{one}}}"), "no supported format begins with these"),
    ];
    for (json, what) in twice {
        let file = safetensors(&json, &[0; 4]);
        assert!(header(&json).is_ok(), "{json}");
        assert!(SafeTensors::deserialize(&file).is_ok(), "{json}");
        let error = open(&[("w.safetensors", &file)], "w.safetensors").unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn the_safetensors_crate_refuses_what_fabric_refuses_of_places_and_types() {
    let entry = |dtype: &str, shape: &str, start: &str, end: &str| {
        format!(r#""dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]"#)
    };
    let float = entry("F32", "[1]", "0", "4");
    let headers = [
        // Overlap, a hole, another length, an overflow, a float for a number, a negative one, an unknown type.
        format!(r#"{{"a":{{{float}}},"b":{{{float}}}}}"#),
        format!(r#"{{"a":{{{}}}}}"#, entry("F32", "[1]", "4", "8")),
        format!(r#"{{"a":{{{}}}}}"#, entry("F32", "[2]", "0", "4")),
        format!(r#"{{"a":{{{}}}}}"#, entry("F32", "[9223372036854775808,4]", "0", "4")),
        format!(r#"{{"a":{{{}}}}}"#, entry("F32", "[1.0]", "0", "4")),
        format!(r#"{{"a":{{{}}}}}"#, entry("F32", "[1]", "-4", "0")),
        format!(r#"{{"a":{{{}}}}}"#, entry("X32", "[1]", "0", "4")),
    ];
    for json in headers {
        assert!(header(&json).is_err(), "{json}");
        let file = safetensors(&json, &[0; 8]);
        assert!(open(&[("w.safetensors", &file)], "w.safetensors").is_err(), "{json}");
    }
}

#[test]
fn the_safetensors_crate_checks_the_length_of_a_file_only_in_memory() {
    let json = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let file = safetensors(json, &[0; 4]);
    assert!(SafeTensors::read_metadata(&file).is_ok());
    assert!(SafeTensors::read_metadata(&file[..8 + json.len()]).is_err());
}
