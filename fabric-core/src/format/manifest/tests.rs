use bincode::config;
use proptest::prelude::*;
use smallvec::smallvec;

use super::*;
use crate::format::envelope::CLAIM;
use crate::io::checksum::BLOCK;

pub(in crate::format) fn envelope(version: (u16, u16), payload: &[u8]) -> Vec<u8> {
    envelope::seal(MAGIC, version, payload).unwrap()
}

/// A manifest that uses every kind of record.
pub(in crate::format) fn sample() -> Manifest {
    let region = |offset: &[usize], size: &[usize]| Region {
        offset: offset.to_vec(),
        size: size.to_vec(),
    };
    let file = |name: &str, len| FileRecord {
        name: name.to_owned(),
        header_len: 4096,
        header_sum: [7; 8],
        len,
    };
    let tensor = |name: &str, dtype, shape: &[usize], parts| TensorRecord {
        name: name.to_owned(),
        dtype,
        shape: shape.into(),
        parts,
    };
    let value = |name: &str, rank, bytes: &[u8]| ValueRecord {
        name: name.to_owned(),
        rank,
        form: CBOR,
        bytes: bytes.to_vec(),
    };
    let rows = vec![
        PartRecord {
            sums: smallvec![1; 8],
            ..PartRecord::new(region(&[0, 0], &[2, 3]), 0, 4096, 24)
        },
        PartRecord {
            sums: smallvec![2; 8],
            ..PartRecord::new(region(&[2, 0], &[1, 3]), 1, 4104, 12)
        },
    ];
    Manifest {
        writer: "fabric-core 0.1.0".to_owned(),
        strategy: "mesh".to_owned(),
        mesh: vec![("dp".to_owned(), 2), ("tp".to_owned(), 4)],
        state_version: 3,
        files: vec![file("g1/0.safetensors", 4120), file("g1/1.safetensors", 4116)],
        tensors: vec![
            tensor("model.weight", DType::F32, &[3, 3], rows),
            tensor("model.none", DType::BF16, &[0], vec![]),
            tensor(
                "scalar",
                DType::I64,
                &[],
                vec![PartRecord::new(region(&[], &[]), 1, 4096, 8)],
            ),
        ],
        ties: vec![TieRecord {
            name: "model.tied".to_owned(),
            target: 0,
        }],
        values: vec![
            value("iteration", None, &[0x18, 0x2a]),
            value("position", Some(0), &[1]),
            value("position", Some(1), &[2]),
        ],
        filtered: vec!["model.bias".to_owned()],
    }
}

#[test]
fn what_was_encoded_is_decoded() {
    for manifest in [sample(), Manifest::default()] {
        let bytes = manifest.encode().unwrap();
        assert_eq!(manifest.encoded_len().unwrap(), bytes.len() as u64);
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
    }
}

/// A file of version 1.0 is read for ever: this fixture is never written again.
#[test]
fn the_manifest_of_version_1_0_is_decoded() {
    let bytes = include_bytes!("../../../tests/data/manifest-1.0.bin");
    assert_eq!(Manifest::decode(bytes).unwrap(), sample());
    assert_eq!(bytes[8..12], [1, 0, 0, 0]);
}

#[test]
fn the_length_does_not_depend_on_checksums_and_places() {
    let mut planned = sample();
    let before = planned.encoded_len().unwrap();
    for file in &mut planned.files {
        (file.header_len, file.header_sum, file.len) = (0, [0xff; 8], u64::MAX);
    }
    for part in planned.tensors.iter_mut().flat_map(|tensor| &mut tensor.parts) {
        part.start = u64::MAX;
        part.sums.fill(0xff);
    }
    assert_eq!(planned.encoded_len().unwrap(), before);
}

#[test]
fn a_part_has_room_for_its_checksums() {
    for (len, blocks) in [(0, 0), (1, 1), (BLOCK as u64, 1), (BLOCK as u64 + 1, 2)] {
        let part = PartRecord::new(Region::whole(&[1]), 0, 0, len);
        assert_eq!((part.sums.len(), part.sums()), (8 * blocks, vec![0; blocks]));
    }
}

#[test]
fn every_flipped_bit_is_damage() {
    let bytes = sample().encode().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = Manifest::decode(&flipped).expect_err("a flipped bit went unnoticed");
        let expected = match bit / 64 {
            0 => matches!(error, ManifestError::Magic { .. }),
            _ if (12 * 8..20 * 8).contains(&bit) => matches!(error, ManifestError::Length { .. }),
            _ => error == ManifestError::Checksum,
        };
        assert!(expected, "bit {bit}: {error}");
    }
}

#[test]
fn every_truncation_and_every_further_byte_is_damage() {
    let mut bytes = sample().encode().unwrap();
    for len in 0..bytes.len() {
        let error = Manifest::decode(&bytes[..len]).unwrap_err();
        let short = matches!(error, ManifestError::TooShort { .. });
        assert!(
            short || matches!(error, ManifestError::Length { .. }),
            "{len} bytes: {error}"
        );
        assert_eq!(short, len < 28);
    }
    bytes.push(0);
    assert!(matches!(Manifest::decode(&bytes), Err(ManifestError::Length { .. })));
}

#[test]
fn a_newer_major_version_is_refused_before_its_payload_is_looked_at() {
    let error = Manifest::decode(&envelope((2, 0), b"a payload nobody knows yet")).unwrap_err();
    assert_eq!(error, ManifestError::Newer { found: 2, supported: 1 });
    assert_eq!(
        error.to_string(),
        "the manifest is of format version 2, and this library reads up to 1"
    );
    assert_eq!(
        Manifest::decode(&envelope((0, 9), b"")),
        Err(ManifestError::Version { found: 0 })
    );
}

#[test]
fn only_a_newer_minor_version_may_have_further_fields() {
    let mut payload = payload(&sample());
    payload.extend(b"a field of the future");
    assert_eq!(Manifest::decode(&envelope((1, 1), &payload)).unwrap(), sample());
    assert_eq!(
        Manifest::decode(&envelope((1, 0), &payload)),
        Err(ManifestError::Stray(21))
    );
}

pub(in crate::format) fn payload(manifest: &Manifest) -> Vec<u8> {
    bincode::serde::encode_to_vec(manifest, config::standard()).unwrap()
}

/// A number as bincode writes one that needs 8 bytes.
fn claim(n: u64) -> Vec<u8> {
    [&[253][..], &n.to_le_bytes()].concat()
}

#[test]
fn lengths_that_the_payload_does_not_have_are_refused() {
    // The sequences of an empty manifest: writer, strategy, mesh, then files, tensors, ties, values, filtered.
    let empty = payload(&Manifest::default());
    assert_eq!(empty, [0; 9]);
    for at in (0..9).filter(|&at| at != 3) {
        for n in [2, 1 << 20, 1 << 31, 1 << 40, 1 << 60, u64::MAX] {
            let hostile = [&empty[..at], &claim(n), &empty[at + 1..]].concat();
            let error = Manifest::decode(&envelope(VERSION, &hostile)).unwrap_err();
            assert!(matches!(error, ManifestError::Payload(_)), "field {at}, {n}: {error}");
        }
    }
}

#[test]
fn small_numbers_fit_the_limit_of_every_tier() {
    // One byte an index in the file, and eight for bincode's count: the worst that a true manifest can be.
    let region = || Region {
        offset: vec![0; 16],
        size: vec![1; 16],
    };
    let part = |i| PartRecord::new(region(), 0, i, 1);
    let tensor = |i| TensorRecord {
        name: format!("t{i}"),
        dtype: DType::U8,
        shape: smallvec![1; 16],
        parts: vec![part(i)],
    };
    let file = |len| FileRecord {
        len,
        ..FileRecord::default()
    };
    let mut sizes = Vec::new();
    for count in [0, 90, 1_500, 25_000] {
        let tensors = (0..count).map(tensor).collect();
        let manifest = Manifest {
            files: vec![file(count)],
            tensors,
            ..Manifest::default()
        };
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        sizes.push((bytes.len() * CLAIM).ilog2() / 4);
    }
    sizes.dedup();
    assert!(sizes.len() >= 3, "the sizes should fall into several tiers: {sizes:?}");
}

#[test]
fn a_payload_that_is_no_text_or_no_known_type_is_refused() {
    let mut bad = payload(&sample());
    bad[1] = 0xff;
    assert!(matches!(
        Manifest::decode(&envelope(VERSION, &bad)),
        Err(ManifestError::Payload(_))
    ));
    let mut bad = payload(&sample());
    let at = bad.windows(3).position(|w| w == b"F32").unwrap();
    bad[at..at + 3].copy_from_slice(b"F99");
    let error = Manifest::decode(&envelope(VERSION, &bad)).unwrap_err();
    assert!(
        error.to_string().contains("the element type `F99` is unknown"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_manifest_comes_back(
        names in prop::collection::btree_set("[a-z]{1,8}", 0..6),
        shape in prop::collection::vec(0..4usize, 0..4),
        values in prop::collection::btree_map("[A-Z]{1,8}", prop::collection::vec(any::<u8>(), 0..300), 0..6),
        state_version: u32,
        header_sum: [u8; 8],
    ) {
        let len = shape.iter().product::<usize>() as u64 * 4;
        let tensor = |(name, at): (String, u64)| TensorRecord {
            name,
            dtype: DType::F32,
            shape: shape.clone().into(),
            parts: vec![PartRecord::new(Region::whole(&shape), 0, 4096 + at * len, len)],
        };
        let value = |(name, bytes)| ValueRecord { name, rank: None, form: CBOR, bytes };
        let manifest = Manifest {
            state_version,
            files: vec![FileRecord { name: String::new(), header_len: 4096, header_sum, len: 4096 + 6 * len }],
            tensors: names.into_iter().zip(0..).map(tensor).collect(),
            values: values.into_iter().map(value).collect(),
            ..Manifest::default()
        };
        prop_assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
    }

    /// A valid checksum over anything: no panic, whatever the payload is.
    #[test]
    fn mangled_payloads_do_no_harm(edits in prop::collection::vec((0..400usize, any::<u8>()), 1..8)) {
        let mut payload = payload(&sample());
        let len = payload.len();
        for (at, byte) in edits {
            payload[at % len] = byte;
        }
        if let Ok(manifest) = Manifest::decode(&envelope(VERSION, &payload)) {
            prop_assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
        }
    }
}
