//! Files of `torch.save`, of both its formats, and of `safetensors`, made by hand.

use crate::pickle::{Bytes, call, dict, global, int, list, persistent, pickle, text, tuple};
use crate::zip::zip;

/// A file of `safetensors` with this header.
pub fn safetensors(json: &str, data: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), data].concat()
}

/// A tensor of floats, as `torch.save` pickles it: a view of the storage `key`, which has `count` elements.
pub fn tensor(key: &str, count: usize, offset: usize, size: &[usize], stride: &[usize]) -> Bytes {
    let number = |number: usize| int(i128::try_from(number).unwrap());
    let numbers = |numbers: &[usize]| tuple(&numbers.iter().map(|n| number(*n)).collect::<Vec<_>>());
    let storage = tuple(&[
        text("storage"),
        global("torch", "FloatStorage"),
        text(key),
        text("cpu"),
        number(count),
    ]);
    let arguments = [
        persistent(&storage),
        number(offset),
        numbers(size),
        numbers(stride),
        b"\x89".to_vec(),
        b"}".to_vec(),
    ];
    call(&global("torch._utils", "_rebuild_tensor_v2"), &arguments)
}

/// A file of `torch.save`: an archive of a pickled dict and one storage, `0`.
pub fn torch(entries: &[(Bytes, Bytes)], data: &[u8]) -> Vec<u8> {
    zip(&[("data.pkl", &pickle(&dict(entries))), ("data/0", data)])
}

/// The stream that `torch.save` wrote before 1.6, with the same contents.
pub fn stream(entries: &[(Bytes, Bytes)], data: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    let storages = if data.is_empty() { vec![] } else { vec![text("0")] };
    let parts = [
        magic,
        pickle(b"M\xe9\x03"),
        pickle(b"}"),
        pickle(&dict(entries)),
        pickle(&list(&storages)),
        (data.len() as u64 / 4).to_le_bytes().to_vec(),
        data.to_vec(),
    ];
    parts[..5 + 2 * storages.len()].concat()
}
