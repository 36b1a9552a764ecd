//! Payloads that PyTorch wrote.

use std::path::PathBuf;

use super::*;
use crate::entry::{DType, Region};
use crate::source::Check;
use crate::storage::Storage;
use crate::testing::Memory;

const PATH: &str = "/shard.distcp";

/// The payload of a tensor of f32 with the shape `[6, 3]`.
fn payload() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch/continued/dcp/__0_0.distcp");
    std::fs::read(path).unwrap()[56757..56757 + 1641].to_vec()
}

/// Looks for a tensor of this shape in the payload.
fn find(payload: &[u8], shape: &[usize]) -> Result<Part> {
    let (memory, path) = (Memory::new(), PathBuf::from(PATH));
    memory.create(&path).unwrap().write_all(payload).unwrap();
    let file = memory.open(&path).unwrap();
    let place = Extent {
        file: 0,
        start: 0,
        len: payload.len() as u64,
    };
    let part = Part::plain(Region::whole(shape), place, Check::Framed);
    let tensor = StoredTensor {
        info: TensorInfo::new(DType::F32, shape.to_vec()),
        parts: vec![part.clone()],
    };
    locate((&*file, &path), ("w", &tensor), &part, ReadLimit::default())
}

#[test]
fn whichever_byte_is_changed_the_tensor_lies_inside_of_the_payload_or_there_is_an_error() {
    let whole = payload();
    let (mut found, mut refused) = (0, 0);
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            match find(&changed, &[6, 3]) {
                Ok(part) => {
                    let end = part.place.start + part.place.len;
                    assert!(part.place.len == 72 && end <= whole.len() as u64, "byte {at}: {part:?}");
                    assert!(matches!(part.check, Check::Run(_)), "byte {at}: {part:?}");
                    found += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(found > 0 && refused > 0, "{found} found, {refused} refused");
}

#[test]
fn a_payload_must_be_what_the_index_says() {
    assert_eq!(find(&payload(), &[6, 3]).unwrap().place.len, 72);
    let error = find(&payload(), &[3, 6]).unwrap_err().to_string();
    assert!(error.contains("[6, 3]") && error.ends_with("[3, 6]"), "{error}");
}
