//! The memory that the crates `zip` and `safetensors` take for small files: why Fabric has readers of its own.

use std::io::Cursor;

use safetensors::tensor::Metadata;
use testkit::allocations::tally;
use testkit::files::{on, storage};
use testkit::torch::safetensors;
use zip_crate::read::{ArchiveOffset, Config, ZipArchive};

use super::in_proportion;
use crate::alone;

/// 64 KiB, and the end of an archive that is said to have nearly as many members.
fn claims_many_members() -> Vec<u8> {
    let count = 65_000u16;
    let mut bytes = vec![0; 1 << 16];
    // It begins as an archive does.
    bytes[..4].copy_from_slice(b"PK\x03\x04");
    bytes.extend(b"PK\x01\x02");
    bytes.extend([0; 42]);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].iter().flat_map(|count| count.to_le_bytes()));
    bytes.extend((46 * u32::from(count)).to_le_bytes());
    bytes.extend((1u32 << 16).to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

#[test]
fn the_zip_crate_takes_memory_for_members_that_are_only_claimed() {
    let _alone = alone();
    let bytes = claims_many_members();
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let (archive, held) = tally(|| ZipArchive::with_config(config, Cursor::new(&bytes)));
    assert!(archive.is_err());
    assert!(held.peak > 100 * bytes.len(), "{held:?}");
    let memory = storage(&[("bomb.pt", &bytes)]);
    let (outcome, held) = tally(|| on(memory.clone()).open("bomb.pt"));
    assert!(outcome.is_err() && held.peak < bytes.len() / 2, "{held:?}");
}

#[test]
fn the_safetensors_crate_takes_many_times_the_length_of_a_header() {
    let _alone = alone();
    let ones = "1,".repeat(2 << 20);
    let json = format!(r#"{{"w":{{"dtype":"U8","shape":[{ones}1],"data_offsets":[0,1]}}}}"#);
    let (metadata, held) = tally(|| serde_json::from_str::<Metadata>(&json));
    assert!(metadata.is_ok() && held.peak > 30 * json.len(), "{held:?}");
    let file = safetensors(&json, &[0]);
    let memory = storage(&[("w.safetensors", &file)]);
    // Candle's shapes are its own affair: the index is what is looked at.
    let opened = in_proportion(&memory, "w.safetensors", file.len(), |raw| Ok(raw.len()));
    assert_eq!(opened.unwrap(), 1);
}
