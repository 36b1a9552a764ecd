use bincode::config;
use proptest::prelude::*;
use smallvec::smallvec;

use super::*;
use crate::entry::{DType, Region, TensorInfo};
use crate::format::envelope::{AROUND, CLAIM, VERSION, seal};
use crate::io::checksum::BLOCK;

pub(in crate::format) fn envelope(version: (u16, u16), manifest: &Manifest) -> Vec<u8> {
    seal(version, &payload(&manifest.head), &payload(&manifest.body)).unwrap()
}

pub(in crate::format) fn payload<T: Serialize>(content: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(content, config::standard()).unwrap()
}

fn value(name: &str, coordinate: Coordinate, bytes: &[u8]) -> ValueRecord {
    ValueRecord {
        name: name.to_owned(),
        coordinate,
        form: CBOR,
        bytes: bytes.to_vec(),
    }
}

fn tensor(name: &str, dtype: DType, shape: &[usize], region: Option<&Region>, start: u64) -> TensorRecord {
    let whole = TensorInfo::new(dtype, shape.to_vec());
    let held = TensorInfo::new(dtype, region.map_or(shape, |region| &region.size).to_vec());
    let len = held.byte_len().unwrap() as u64;
    let mut record = TensorRecord::in_file(name, &whole, region, len);
    let part = record.part.as_mut().unwrap();
    part.start = start;
    part.sums.fill(7);
    record
}

fn common(kind: ManifestKind) -> Manifest {
    Manifest {
        head: ManifestHead {
            kind,
            writer: "fabric-core 0.1.0".to_owned(),
            strategy: "mesh".to_owned(),
            mesh: vec![("dp".to_owned(), 2), ("tp".to_owned(), 4)],
            generation: if kind == ManifestKind::File {
                String::new()
            } else {
                "g-1".to_owned()
            },
            rank: u32::from(kind == ManifestKind::Shard),
            facts: vec![Fact {
                key: "step".to_owned(),
                value: vec![0x18, 0x2a],
            }],
        },
        body: Body {
            structs: vec![StructRecord {
                path: String::new(),
                name: "State".to_owned(),
                version: 3,
            }],
            values: vec![
                value("iteration", smallvec![], &[0x18, 0x2a]),
                value("position", smallvec![(0, 0), (1, 0)], &[1]),
                value("position", smallvec![(0, 1), (1, 3)], &[2]),
            ],
            ties: vec![TieRecord {
                name: "model.tied".to_owned(),
                target: 0,
            }],
            filtered: vec!["model.bias".to_owned()],
            ..Body::default()
        },
    }
}

/// A manifest of each kind, with every kind of record.
pub(in crate::format) fn samples() -> [Manifest; 3] {
    let mut file = common(ManifestKind::File);
    file.body.tensors = vec![
        tensor("scalar", DType::I64, &[], None, 4096),
        tensor("model.weight", DType::F32, &[3, 3], None, 4104),
        tensor("model.none", DType::BF16, &[0], None, 4140),
    ];
    file.body.file = Some(FileRecord {
        header_len: 4096,
        header_sum: [7; 8],
        len: 5000,
    });
    let mut shard = common(ManifestKind::Shard);
    let rows = Region {
        offset: vec![2, 0],
        size: vec![1, 3],
    };
    shard.body.tensors = vec![
        tensor("model.weight", DType::F32, &[3, 3], Some(&rows), 4096),
        tensor("scalar", DType::U8, &[], None, 4108),
        tensor("last", DType::U8, &[1], None, 4109),
    ];
    shard.body.file.clone_from(&file.body.file);
    let mut directory = common(ManifestKind::Directory);
    let cut = |axes: &[u32], cells| CutRecord {
        dim: 0,
        axes: axes.to_vec(),
        cells,
    };
    let record = |name: &str, cuts| TensorRecord {
        part: None,
        cuts,
        ..tensor(name, DType::F32, &[4, 2], None, 0)
    };
    directory.body.tensors = vec![
        record("model.weight", vec![cut(&[1], CellsRecord::Listed(vec![3, 1, 0, 0]))]),
        record("even", vec![cut(&[1, 0], CellsRecord::Balanced)]),
        record("chunks", vec![cut(&[0], CellsRecord::Chunked(2))]),
    ];
    [file, shard, directory]
}

#[test]
fn the_manifest_that_was_encoded_is_decoded() {
    for manifest in samples() {
        let bytes = manifest.encode().unwrap();
        assert_eq!(manifest.encoded_len().unwrap(), bytes.len() as u64);
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
    }
}

#[test]
fn the_head_is_read_alone() {
    for manifest in samples() {
        let bytes = manifest.encode().unwrap();
        let len = usize::try_from(ManifestHead::len(&bytes[..28]).unwrap()).unwrap();
        assert!(len < bytes.len());
        assert_eq!(ManifestHead::decode(&bytes[..len]).unwrap(), manifest.head);
        for bit in 0..len * 8 {
            let mut flipped = bytes[..len].to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(ManifestHead::decode(&flipped).is_err(), "bit {bit}");
        }
        for short in 0..len {
            assert!(ManifestHead::decode(&bytes[..short]).is_err(), "{short} bytes");
        }
    }
}

/// Files of version 1.0 are read for ever: these fixtures are never written again once a version is released.
#[test]
fn the_manifests_of_version_1_0_are_decoded() {
    let fixtures: [&[u8]; 3] = [
        include_bytes!("../../../tests/data/file-1.0.manifest"),
        include_bytes!("../../../tests/data/shard-1.0.manifest"),
        include_bytes!("../../../tests/data/directory-1.0.manifest"),
    ];
    for (bytes, manifest) in fixtures.into_iter().zip(samples()) {
        assert_eq!(Manifest::decode(bytes).unwrap(), manifest);
        assert_eq!(bytes[8..12], [1, 0, 0, 0]);
    }
}

#[test]
fn several_structs_may_have_one_path_and_keep_their_order() {
    for mut manifest in samples() {
        let structs = [
            ("model", "Wrapped"),
            ("model", "Model"),
            ("model.fc", "Layer"),
            ("", "Counters"),
        ];
        manifest.body.structs.extend(structs.map(|(path, name)| StructRecord {
            path: path.to_owned(),
            name: name.to_owned(),
            version: 1,
        }));
        assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
    }
}

#[test]
fn the_length_does_not_depend_on_checksums_and_places() {
    for mut planned in samples() {
        let before = planned.encoded_len().unwrap();
        if let Some(file) = &mut planned.body.file {
            (file.header_len, file.header_sum, file.len) = (0, [0xff; 8], u64::MAX);
        }
        for part in planned
            .body
            .tensors
            .iter_mut()
            .filter_map(|tensor| tensor.part.as_mut())
        {
            part.start = u64::MAX;
            part.sums.fill(0xff);
        }
        assert_eq!(planned.encoded_len().unwrap(), before);
    }
}

#[test]
fn a_part_has_room_for_its_checksums() {
    for (len, blocks) in [(0, 0), (1, 1), (BLOCK, 1), (BLOCK + 1, 2)] {
        let whole = TensorInfo::new(DType::U8, vec![len]);
        let part = TensorRecord::in_file("w", &whole, None, len as u64).part.unwrap();
        assert_eq!((part.sums.len(), part.sums()), (8 * blocks, vec![0; blocks]));
    }
}

#[test]
fn every_flipped_bit_is_damage() {
    for bytes in samples().map(|manifest| manifest.encode().unwrap()) {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Manifest::decode(&flipped).expect_err("a flipped bit went unnoticed");
            let expected = match bit / 64 {
                0 => matches!(error, ManifestError::Magic { .. }),
                _ if (12 * 8..28 * 8).contains(&bit) => matches!(error, ManifestError::Length { .. }),
                _ => error == ManifestError::Checksum,
            };
            assert!(expected, "bit {bit}: {error}");
        }
    }
}

#[test]
fn every_truncation_and_every_further_byte_is_damage() {
    for mut bytes in samples().map(|manifest| manifest.encode().unwrap()) {
        for len in 0..bytes.len() {
            let error = Manifest::decode(&bytes[..len]).unwrap_err();
            let short = matches!(error, ManifestError::TooShort { .. });
            assert!(
                short || matches!(error, ManifestError::Length { .. }),
                "{len} bytes: {error}"
            );
            assert_eq!(short, len < AROUND);
        }
        bytes.push(0);
        assert!(matches!(Manifest::decode(&bytes), Err(ManifestError::Length { .. })));
    }
}

#[test]
fn a_newer_major_version_is_refused_before_its_payloads_are_looked_at() {
    let bytes = seal((2, 0), b"a head", b"and a body nobody knows yet").unwrap();
    let newer = ManifestError::Newer { found: 2, supported: 1 };
    assert_eq!(Manifest::decode(&bytes), Err(newer.clone()));
    assert_eq!(
        newer.to_string(),
        "the manifest is of format version 2, and this library reads up to 1"
    );
    let len = usize::try_from(ManifestHead::len(&bytes).unwrap()).unwrap();
    assert_eq!(ManifestHead::decode(&bytes[..len]), Err(newer));
    assert_eq!(
        Manifest::decode(&seal((0, 9), b"", b"").unwrap()),
        Err(ManifestError::Version { found: 0 })
    );
}

#[test]
fn only_a_newer_minor_version_may_have_further_fields() {
    for manifest in samples() {
        let (head, body) = (payload(&manifest.head), payload(&manifest.body));
        let further = b"a field of the future";
        for (head, body) in [
            ([&head[..], further].concat(), body.clone()),
            (head, [&body[..], further].concat()),
        ] {
            assert_eq!(
                Manifest::decode(&seal((1, 1), &head, &body).unwrap()).unwrap(),
                manifest
            );
            assert_eq!(
                Manifest::decode(&seal((1, 0), &head, &body).unwrap()),
                Err(ManifestError::Stray(21))
            );
        }
    }
}

/// A number as bincode writes one that needs 8 bytes.
fn claim(n: u64) -> Vec<u8> {
    [&[253][..], &n.to_le_bytes()].concat()
}

#[test]
fn lengths_that_the_payload_does_not_have_are_refused() {
    // Structs, values, tensors, ties, filtered; an option; other files.
    let empty = payload(&Body::default());
    assert_eq!(empty, [0; 7]);
    // The kind, then writer, strategy, mesh, generation; the rank; facts.
    let head = payload(&ManifestHead::default());
    assert_eq!(head, [0; 7]);
    let long = [2, 1 << 20, 1 << 31, 1 << 40, 1 << 60, u64::MAX];
    for (at, n) in [0, 1, 2, 3, 4, 6].into_iter().flat_map(|at| long.map(|n| (at, n))) {
        let hostile = [&empty[..at], &claim(n), &empty[at + 1..]].concat();
        let error = Manifest::decode(&seal(VERSION, &head, &hostile).unwrap()).unwrap_err();
        assert!(matches!(error, ManifestError::Payload(_)), "field {at}, {n}: {error}");
    }
    for (at, n) in [1, 2, 3, 4, 6].into_iter().flat_map(|at| long.map(|n| (at, n))) {
        let hostile = [&head[..at], &claim(n), &head[at + 1..]].concat();
        let error = Manifest::decode(&seal(VERSION, &hostile, &empty).unwrap()).unwrap_err();
        assert!(matches!(error, ManifestError::Payload(_)), "field {at}, {n}: {error}");
    }
}

#[test]
fn small_numbers_fit_the_limit_of_every_tier() {
    // One byte an index in the file, and eight for bincode's count: the worst that a true manifest can be.
    let region = Region {
        offset: vec![0; 16],
        size: vec![1; 16],
    };
    let tensor = |i| tensor(&format!("t{i}"), DType::U8, &[1; 16], Some(&region), i);
    let mut sizes = Vec::new();
    for count in [0, 90, 1_500, 25_000] {
        let mut manifest = common(ManifestKind::Shard);
        manifest.body.ties.clear();
        manifest.body.tensors = (0..count).map(tensor).collect();
        manifest.body.file = Some(FileRecord {
            len: count,
            ..FileRecord::default()
        });
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        sizes.push((bytes.len() * CLAIM).ilog2() / 4);
    }
    sizes.dedup();
    assert!(sizes.len() >= 3, "the sizes should fall into several tiers: {sizes:?}");
}

#[test]
fn a_payload_that_is_no_text_or_no_known_type_is_refused() {
    let [sample, ..] = samples();
    let (mut head, body) = (payload(&sample.head), payload(&sample.body));
    let mut other = body.clone();
    let at = other.windows(3).position(|w| w == b"F32").unwrap();
    other[at..at + 3].copy_from_slice(b"F99");
    let error = Manifest::decode(&seal(VERSION, &head, &other).unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("the element type `F99` is unknown"),
        "{error}"
    );
    head[2] = 0xff;
    assert!(matches!(
        Manifest::decode(&seal(VERSION, &head, &body).unwrap()),
        Err(ManifestError::Payload(_))
    ));
}

proptest! {
    #[test]
    fn any_manifest_comes_back(
        names in prop::collection::btree_set("[a-z]{1,8}", 0..6),
        shape in prop::collection::vec(0..4usize, 0..4),
        values in prop::collection::btree_map("[A-Z]{1,8}", prop::collection::vec(any::<u8>(), 0..300), 0..6),
        version: u32,
        header_sum: [u8; 8],
    ) {
        let len = shape.iter().product::<usize>() as u64 * 4;
        let tensor = |(name, at): (String, u64)| tensor(&name, DType::F32, &shape, None, 4096 + at * len);
        let manifest = Manifest {
            head: ManifestHead::default(),
            body: Body {
                structs: vec![StructRecord { path: String::new(), name: String::new(), version }],
                file: Some(FileRecord { header_len: 4096, header_sum, len: 4096 + 6 * len }),
                tensors: names.into_iter().zip(0..).map(tensor).collect(),
                values: values.into_iter().map(|(name, bytes)| value(&name, smallvec![], &bytes)).collect(),
                ..Body::default()
            },
        };
        prop_assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
    }

    /// A valid checksum over anything: no panic, whatever the payloads are.
    #[test]
    fn mangled_payloads_do_no_harm(kind in 0..3usize, edits in prop::collection::vec((0..400usize, any::<u8>()), 1..8)) {
        let sample = &samples()[kind];
        let (mut head, mut body) = (payload(&sample.head), payload(&sample.body));
        let len = head.len() + body.len();
        for (at, byte) in edits {
            let at = at % len;
            if at < head.len() { head[at] = byte } else { body[at - head.len()] = byte }
        }
        if let Ok(manifest) = Manifest::decode(&seal(VERSION, &head, &body).unwrap()) {
            prop_assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
        }
    }
}
