//! Payloads that PyTorch wrote, each found behind another that it is like, and behind one that it is not like.

use std::path::PathBuf;

use super::*;
use crate::entry::{DType, Region};
use crate::foreign::torch::tests::made;
use crate::foreign::zip::Archive;
use crate::source::Check;
use crate::storage::Storage;
use crate::testing::Memory;

const PATH: &str = "/shard.distcp";

/// A payload with the shape of its tensor, of f32.
#[derive(Clone)]
struct Sample {
    bytes: Vec<u8>,
    shape: Vec<usize>,
}

fn sample(start: usize, len: usize, shape: &[usize]) -> Sample {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch/continued/dcp/__0_0.distcp");
    Sample {
        bytes: std::fs::read(path).unwrap()[start..start + len].to_vec(),
        shape: shape.to_vec(),
    }
}

/// Two payloads of one shape, and one of another length.
fn samples() -> [Sample; 3] {
    [
        sample(56757, 1641, &[6, 3]),
        sample(58398, 1641, &[6, 3]),
        sample(33102, 1577, &[5]),
    ]
}

/// What comes of the second payload: the part or the error behind the first, whether the first was taken for a model, and
/// what comes of it behind the third.
fn outcomes([first, second, other]: [&Sample; 3]) -> (Result<String, String>, bool, Result<String, String>) {
    let all = [first, second, other];
    let bytes: Vec<u8> = all.iter().flat_map(|sample| sample.bytes.iter().copied()).collect();
    let (memory, path) = (Memory::new(), PathBuf::from(PATH));
    memory.create(&path).unwrap().write_all(&bytes).unwrap();
    let file = memory.open(&path).unwrap();
    let run = Run::read(&*file, &path, 0, bytes.len() as u64).unwrap();
    let mut start = 0;
    let [first, second, other] = all.map(|sample| {
        let len = sample.bytes.len() as u64;
        let part = Part::plain(
            Region::whole(&sample.shape),
            Place { file: 0, start, len },
            Check::Framed,
        );
        start += len;
        let info = TensorInfo::new(DType::F32, sample.shape.clone());
        (info, part)
    });
    let behind = |before: &(TensorInfo, Part), sought: &(TensorInfo, Part)| {
        let mut finder = Finder::default();
        let mut locate = |(info, part): &(TensorInfo, Part)| {
            let (info, parts) = (info.clone(), vec![part.clone()]);
            let found = finder.locate((&*file, &path), ("w", &StoredTensor { info, parts }), part, Some(&run));
            found.map(|part| format!("{part:?}")).map_err(|error| error.to_string())
        };
        locate(before).unwrap();
        let outcome = locate(sought);
        let model = finder.model.is_some_and(|model| model.payload == before.1.place);
        (outcome, model)
    };
    let (outcome, model) = behind(&first, &second);
    let (parsed, other_is_model) = behind(&other, &second);
    assert!(!other_is_model, "payloads of two lengths are alike");
    (outcome, model, parsed)
}

/// Changes every byte of the second payload, and tells at how many of them the first was still taken for a model.
fn change_every_byte([first, second, other]: [&Sample; 3]) -> usize {
    let (mut free, mut found, mut refused) = (0, 0, 0);
    for at in 0..second.bytes.len() {
        let mut taken = Vec::new();
        for flip in [1, 0x80, 0xff] {
            let mut changed = second.clone();
            changed.bytes[at] ^= flip;
            let (outcome, model, parsed) = outcomes([first, &changed, other]);
            assert_eq!(outcome, parsed, "byte {at} ^ {flip:#x}");
            *if parsed.is_ok() { &mut found } else { &mut refused } += 1;
            taken.push(model && outcome.is_ok());
        }
        assert!(taken.iter().all(|one| *one == taken[0]), "byte {at}: {taken:?}");
        free += usize::from(taken[0]);
    }
    assert!(found > 0 && refused > 0, "{found} found, {refused} refused");
    free
}

#[test]
fn any_byte_changed_comes_to_the_same_behind_a_payload_that_is_alike() {
    let [first, second, other] = samples();
    let (outcome, model, parsed) = outcomes([&first, &second, &other]);
    assert!(model, "it is parsed again");
    assert_eq!(outcome.unwrap(), parsed.unwrap());
    // 18 numbers, 40 digits, and two checksums of each.
    assert_eq!(change_every_byte([&first, &second, &other]), 72 + 40 + 4 * 4);
}

/// The same members in an archive without checksums behind them.
fn without_descriptors(sample: &Sample) -> Sample {
    let (memory, path) = (Memory::new(), PathBuf::from(PATH));
    memory.create(&path).unwrap().write_all(&sample.bytes).unwrap();
    let file = memory.open(&path).unwrap();
    let slice = Slice::whole(&*file).unwrap();
    let archive = Archive::read(slice).unwrap();
    let members = archive.members().map(|(name, member)| {
        let contents = member.contents(slice, "", 1 << 20).unwrap();
        (str::from_utf8(name).unwrap(), contents)
    });
    let members: Vec<_> = members.collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, data)| (*name, &**data)).collect();
    Sample {
        bytes: made::zip(&members),
        shape: sample.shape.clone(),
    }
}

#[test]
fn where_no_checksum_follows_the_contents_nothing_there_may_differ() {
    let [first, second, other] = samples();
    let [first, second] = [first, second].map(|sample| without_descriptors(&sample));
    assert_eq!(change_every_byte([&first, &second, &other]), 72 + 40 + 2 * 4);
}

/// Makes checksums in the directory zero: those of the members whose names end so.
fn without_sums(sample: &Sample, name_end: &str) -> Sample {
    let mut bytes = sample.bytes.clone();
    let mut zeroed = 0;
    for at in 0..bytes.len() - 46 {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            let name_len = usize::from(u16::from_le_bytes([bytes[at + 28], bytes[at + 29]]));
            if bytes[at + 46..at + 46 + name_len].ends_with(name_end.as_bytes()) {
                bytes[at + 16..at + 20].fill(0);
                zeroed += 1;
            }
        }
    }
    assert_eq!(zeroed, if name_end.is_empty() { 7 } else { 1 });
    Sample {
        bytes,
        shape: sample.shape.clone(),
    }
}

#[test]
fn a_checksum_of_zero_is_looked_into() {
    let [first, second, other] = samples();
    let none = [&first, &second].map(|sample| without_sums(sample, ""));
    let data = [&first, &second].map(|sample| without_sums(sample, "/data/0"));
    for (first, second) in [
        (&first, &none[1]),
        (&none[0], &second),
        (&none[0], &none[1]),
        (&first, &data[1]),
        (&data[0], &second),
        (&data[0], &data[1]),
    ] {
        let (outcome, model, parsed) = outcomes([first, second, &other]);
        assert!(!model);
        assert_eq!(outcome.unwrap(), parsed.unwrap());
    }
    // Others than the tensor's are parsed only if they differ.
    let id = [&first, &second].map(|sample| without_sums(sample, "serialization_id"));
    let (outcome, model, parsed) = outcomes([&id[0], &id[1], &other]);
    assert!(model);
    assert_eq!(outcome.unwrap(), parsed.unwrap());
}

#[test]
fn a_payload_like_the_one_in_front_of_it_must_still_be_what_the_index_says() {
    let [first, second, other] = samples();
    let second = Sample {
        shape: vec![3, 6],
        ..second
    };
    let (outcome, model, parsed) = outcomes([&first, &second, &other]);
    assert!(model);
    let error = outcome.unwrap_err();
    assert!(error.contains("[6, 3]") && error.ends_with("[3, 6]"), "{error}");
    assert_eq!(error, parsed.unwrap_err());
}
