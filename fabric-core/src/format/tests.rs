//! A small container, assembled as a save does it, against everything that can happen to its bytes.

use std::collections::BTreeMap;

use super::manifest::{
    Body, Coordinate, FileRecord, Manifest, ManifestHead, ManifestKind, TensorRecord, TieRecord, ValueRecord,
};
use super::safetensors::{FileLayout, Header, header_len};
use super::*;
use crate::entry::{DType, TensorInfo};
use crate::io::checksum;

/// Two tensors, an empty one, a tie and a value.
fn container() -> Vec<u8> {
    let tensors = [
        ("fc.weight", DType::F32, vec![3, 2]),
        ("fc.bias", DType::F16, vec![3]),
        ("no", DType::U8, vec![0]),
    ];
    let tensors: Vec<_> = tensors
        .map(|(name, dtype, shape)| (name.to_owned(), TensorInfo::new(dtype, shape)))
        .into();
    let mut manifest = Manifest {
        head: ManifestHead {
            writer: "a test".to_owned(),
            ..ManifestHead::default()
        },
        body: Body {
            file: Some(FileRecord::default()),
            ties: vec![TieRecord {
                name: "tied".to_owned(),
                target: 0,
            }],
            values: vec![ValueRecord {
                name: "step".to_owned(),
                coordinate: Coordinate::new(),
                form: 0,
                bytes: vec![7],
            }],
            filtered: vec!["fc.scale".to_owned()],
            ..Body::default()
        },
    };
    let places = FileLayout::new(tensors.clone(), &BTreeMap::new(), None)
        .unwrap()
        .tensors;
    manifest.body.tensors = places.iter().map(record).collect();
    let layout = FileLayout::new(tensors, &BTreeMap::new(), Some(manifest.encoded_len().unwrap())).unwrap();
    manifest.body.tensors = layout.tensors[..3].iter().map(record).collect();
    manifest.body.file = Some(FileRecord {
        header_len: layout.header.len() as u64,
        header_sum: checksum::of(&layout.header).to_le_bytes(),
        len: layout.file_len,
    });
    let mut bytes = layout.header;
    for (tensor, fill) in manifest.body.tensors.iter_mut().zip(b'a'..) {
        let part = tensor.part.as_mut().unwrap();
        let contents = vec![fill; usize::try_from(part.len).unwrap()];
        part.sums = checksum::to_bytes(&checksum::sums(&contents)).into();
        bytes.extend(contents);
    }
    bytes.extend(manifest.encode().unwrap());
    assert_eq!(bytes.len() as u64, layout.file_len);
    bytes
}

fn record(placed: &safetensors::Placed) -> TensorRecord {
    let mut record = TensorRecord::in_file(&placed.name, &placed.info, None, placed.end - placed.start);
    record.part.as_mut().unwrap().start = placed.start;
    record
}

fn slice(bytes: &[u8], start: u64, end: u64) -> &[u8] {
    &bytes[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]
}

/// Everything that a load checks, in its order.
fn open(bytes: &[u8]) -> Result<Manifest, String> {
    let len = header_len(bytes, bytes.len() as u64).map_err(|e| e.to_string())?;
    let header = Header::parse(&bytes[..len], bytes.len() as u64).map_err(|e| e.to_string())?;
    let place = header
        .manifest()
        .map_err(|e| e.to_string())?
        .ok_or("nobody's manifest")?;
    let manifest = Manifest::decode(slice(bytes, place.start, place.end)).map_err(|e| e.to_string())?;
    agree(&header, &manifest)?;
    for tensor in &manifest.body.tensors {
        let part = tensor.part.as_ref().ok_or("no part")?;
        if part.sums() != checksum::sums(slice(bytes, part.start, part.start + part.len)) {
            return Err(format!("`{}` does not match its checksum", tensor.name));
        }
    }
    Ok(manifest)
}

#[test]
fn a_container_opens_for_us_and_for_the_safetensors_library() {
    let bytes = container();
    let manifest = open(&bytes).unwrap();
    assert_eq!(manifest.body.tensors.len(), 3);
    let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.tensor("fc.weight").unwrap().data(), [b'a'; 24]);
    assert_eq!(theirs.len(), 4);
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    assert_eq!(container(), container());
}

#[test]
fn every_flipped_bit_is_noticed_and_none_makes_it_a_foreign_file() {
    let bytes = container();
    let mut flipped = bytes.clone();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        match open(&flipped) {
            Ok(_) => panic!("bit {bit} went unnoticed"),
            Err(what) => assert_ne!(what, "nobody's manifest", "bit {bit}"),
        }
        flipped[bit / 8] = bytes[bit / 8];
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = container();
    for len in 0..bytes.len() {
        let what = open(&bytes[..len]).expect_err("a truncation went unnoticed");
        assert_ne!(what, "nobody's manifest", "{len} bytes");
    }
}

/// The parts of a container, to be put together wrongly.
fn parts() -> (Header, Manifest) {
    let bytes = container();
    (
        Header::parse(&bytes, bytes.len() as u64).unwrap(),
        open(&bytes).unwrap(),
    )
}

#[test]
fn header_and_manifest_must_tell_the_same_story() {
    let refusal = |change: fn(&mut Manifest)| {
        let (header, mut manifest) = parts();
        assert_eq!(agree(&header, &manifest), Ok(()));
        change(&mut manifest);
        agree(&header, &manifest).unwrap_err()
    };
    assert!(refusal(|m| m.body.file.as_mut().unwrap().header_sum[3] ^= 1).contains("checksum"));
    assert!(refusal(|m| m.body.file.as_mut().unwrap().header_len += 1).contains("header"));
    assert!(refusal(|m| (m.head.kind, m.body.file) = (ManifestKind::Directory, None)).contains("that of a directory"));
    assert!(refusal(|m| m.body.tensors[1].name.push('s')).contains("`fc.bias` is in the header or in the manifest"));
    assert!(refusal(|m| drop(m.body.tensors.remove(0))).contains("`fc.weight` is in the header or in the manifest"));
    assert!(refusal(|m| m.body.tensors[1].dtype = DType::BF16).contains("`fc.bias` is F16 [3] at"));
    assert!(refusal(|m| m.body.tensors[1].part.as_mut().unwrap().start += 1).contains("`fc.bias` is F16 [3] at"));
    assert!(refusal(|m| m.body.tensors[2].part = None).contains("`no` is U8 [0] at"));
}
