//! Writes what `torch.save` would: an archive with a pickle and the bytes of one storage.

use crate::pickle::{Bytes, call, global, int, persistent, pickle, text, tuple};
use crate::zip::zip;

/// A tensor of `f32`, as it lies in its payload.
#[derive(Clone, Debug)]
pub struct Stored {
    pub size: Vec<usize>,
    pub strides: Vec<usize>,
    /// In the order of the storage.
    pub elements: Vec<f32>,
    pub big_endian: bool,
    pub storage: &'static str,
}

impl Stored {
    /// Elements that follow each other, counted from `first`.
    pub fn counting(first: usize, size: &[usize]) -> Self {
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

    pub fn archive(&self) -> Vec<u8> {
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
pub fn object(object: &[u8]) -> Vec<u8> {
    zip(&[
        ("data.pkl", &pickle(object)),
        ("byteorder", b"little"),
        ("version", b"3\n"),
    ])
}
