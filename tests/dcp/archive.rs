//! Writes what `torch.save` would: an archive with a pickle and the bytes of one storage.

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

use crate::pickle::{Bytes, call, global, int, persistent, pickle, text, tuple};

/// A tensor of `f32`, as it lies in its payload.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) size: Vec<usize>,
    pub(crate) strides: Vec<usize>,
    /// In the order of the storage.
    pub(crate) elements: Vec<f32>,
    pub(crate) big_endian: bool,
    pub(crate) storage: &'static str,
}

impl Stored {
    /// Elements that follow each other, counted from `first`.
    pub(crate) fn counting(first: usize, size: &[usize]) -> Self {
        let mut strides = vec![1; size.len()];
        for d in (1..size.len()).rev() {
            strides[d - 1] = strides[d] * size[d];
        }
        let count = size.iter().product::<usize>();
        let elements = (first..first + count).map(|n| f32::from(u16::try_from(n).unwrap()));
        Self {
            size: size.to_vec(),
            strides,
            elements: elements.collect(),
            big_endian: false,
            storage: "FloatStorage",
        }
    }

    pub(crate) fn archive(&self) -> Vec<u8> {
        let numbers = |numbers: &[usize]| -> Bytes {
            let numbers: Vec<_> = numbers.iter().map(|n| int(i128::try_from(*n).unwrap())).collect();
            tuple(&numbers)
        };
        let storage = [
            text("storage"),
            global("torch", self.storage),
            text("0"),
            text("cpu"),
            int(i128::try_from(self.elements.len()).unwrap()),
        ];
        let arguments = [
            persistent(&tuple(&storage)),
            int(0),
            numbers(&self.size),
            numbers(&self.strides),
            b"\x89".to_vec(),
            call(&global("collections", "OrderedDict"), &[]),
        ];
        let rebuilt = call(&global("torch._utils", "_rebuild_tensor_v2"), &arguments);
        let bytes = |x: &f32| {
            if self.big_endian {
                x.to_be_bytes()
            } else {
                x.to_le_bytes()
            }
        };
        let data: Vec<u8> = self.elements.iter().flat_map(bytes).collect();
        let order: &[u8] = if self.big_endian { b"big" } else { b"little" };
        zip(&[
            ("data.pkl", &pickle(&rebuilt)),
            ("byteorder", order),
            ("data/0", &data),
            ("version", b"3\n"),
        ])
    }
}

/// An archive around an object without tensors.
pub(crate) fn object(object: &[u8]) -> Vec<u8> {
    zip(&[
        ("data.pkl", &pickle(object)),
        ("byteorder", b"little"),
        ("version", b"3\n"),
    ])
}

/// A zip archive of stored members below `archive/`.
pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    for (name, data) in members {
        let name = format!("archive/{name}");
        let start = bytes.len();
        let crc = u32::try_from(crc_fast::checksum(Crc32IsoHdlc, data)).unwrap();
        let mut shared = vec![0, 0, 0, 8, 0, 0, 0, 0, 0, 0];
        shared.extend(crc.to_le_bytes());
        shared.extend([word(data.len()), word(data.len()), word(name.len())].concat());
        bytes.extend([b"PK\x03\x04", &shared[..], name.as_bytes(), data].concat());
        directory.extend([b"PK\x01\x02\0\0", &shared[..], &[0; 10], &word(start), name.as_bytes()].concat());
    }
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    let end = [
        &[0; 4][..],
        &count,
        &count,
        &word(directory.len()),
        &word(bytes.len()),
        &[0; 2],
    ]
    .concat();
    [&bytes[..], &directory, b"PK\x05\x06", &end].concat()
}
