//! Writes pickles of protocol 2, with the opcodes that `torch.load(weights_only=True)` allows.
//!
//! The opcodes are those of Python's `pickletools`. A pickle contains data, and calls of the functions that rebuild
//! tensors.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use ciborium::Value as Cbor;

use super::object::{Object, StoredAs, Tensor};
use crate::error::{Error, Result, StateError};
use crate::io::pages;
use crate::value::{SOME, not_read};

/// The deepest nesting of a value that is written. It bounds the recursion.
const MAX_DEPTH: usize = 256;

const LATIN1: &str = "latin1";

/// A pickle that is being written or measured.
struct Pickle<B> {
    bytes: B,
    /// The texts and globals that every tensor repeats. They are written once, and referred to afterwards.
    memo: HashMap<Named, u8>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Named {
    Global(&'static str, &'static str),
    Text(&'static str),
}

/// A sink for the bytes of a pickle.
trait Bytes {
    fn put(&mut self, bytes: &[u8]);
}

impl Bytes for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A sink that counts the bytes.
struct Count(usize);

impl Bytes for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Pickles `object`.
///
/// # Errors
/// If a value has no form in Python that `weights_only=True` loads, or there is not enough memory. The pickle is
/// measured before memory is allocated.
pub(crate) fn pickle(object: &Object<'_>) -> Result<Vec<u8>> {
    let Count(len) = written(object, Count(0))?;
    let memory = pages::reserved(len).map_err(|source| Error::Memory {
        purpose: "pickle the checkpoint".to_owned(),
        source,
    })?;
    Ok(written(object, memory)?)
}

fn written<B: Bytes>(object: &Object<'_>, bytes: B) -> Result<B, StateError> {
    let mut pickle = Pickle {
        bytes,
        memo: HashMap::new(),
    };
    pickle.bytes.put(&[0x80, 2]);
    pickle.object(object)?;
    pickle.op(b'.');
    Ok(pickle.bytes)
}

impl<B: Bytes> Pickle<B> {
    fn op(&mut self, op: u8) {
        self.bytes.put(&[op]);
    }

    fn object(&mut self, object: &Object<'_>) -> Result<(), StateError> {
        match object {
            Object::Tensor(tensor) => self.tensor(tensor),
            Object::Value(name, value) => self.value(value, 0).map_err(|what| StateError::Value {
                name: (*name).to_owned(),
                what: match not_read(value) {
                    Some(kind) => format!(
                        "is not read: {kind}; leave it out: export a subtree without it, or as safetensors, which holds no values"
                    ),
                    None => what.to_owned(),
                },
            })?,
            Object::Number(number) => self.integer(i128::from(*number)),
            Object::Bool(flag) => self.op(if *flag { 0x88 } else { 0x89 }),
            Object::None => self.op(b'N'),
            Object::Text(text) => self.text(text),
            Object::Tuple(items) => {
                self.op(b'(');
                items.iter().try_for_each(|item| self.object(item))?;
                self.op(b't');
            }
            Object::List(items) => {
                self.op(b']');
                self.op(b'(');
                items.iter().try_for_each(|item| self.object(item))?;
                self.op(b'e');
            }
            Object::Dict(entries) => {
                self.op(b'}');
                self.entries(entries)?;
            }
            Object::StateDict(entries) => {
                self.ordered_dict();
                self.entries(entries)?;
            }
        }
        Ok(())
    }

    fn entries(&mut self, entries: &[(Object<'_>, Object<'_>)]) -> Result<(), StateError> {
        self.op(b'(');
        for (key, object) in entries {
            self.object(key)?;
            self.object(object)?;
        }
        self.op(b'u');
        Ok(())
    }

    /// `collections.OrderedDict()`
    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.op(b')');
        self.op(b'R');
    }

    /// `torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`, or `_rebuild_tensor_v3`,
    /// which has the element type as a further argument.
    fn tensor(&mut self, tensor: &Tensor) {
        // An untyped storage is counted in bytes.
        let (rebuild, module, class, count) = match tensor.stored_as {
            StoredAs::Class(class) => ("_rebuild_tensor_v2", "torch", class, tensor.elements),
            StoredAs::Untyped(_) => ("_rebuild_tensor_v3", "torch.storage", "UntypedStorage", tensor.bytes),
        };
        self.global("torch._utils", rebuild);
        self.op(b'(');
        self.op(b'(');
        self.fixed_text("storage");
        self.global(module, class);
        self.text(&tensor.storage.to_string());
        self.fixed_text("cpu");
        self.integer(count.into());
        self.op(b't');
        self.op(b'Q');
        self.integer(0);
        self.integers(tensor.shape.iter().map(|&len| len as u64));
        self.integers(strides(&tensor.shape));
        self.op(0x89);
        self.ordered_dict();
        if let StoredAs::Untyped(dtype) = tensor.stored_as {
            self.global("torch", dtype);
        }
        self.op(b't');
        self.op(b'R');
    }

    /// A tuple of integers.
    fn integers(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.op(b'(');
        for number in numbers {
            self.integer(number.into());
        }
        self.op(b't');
    }

    fn value(&mut self, value: &Cbor, depth: usize) -> Result<(), &'static str> {
        if depth > MAX_DEPTH {
            return Err("is nested deeper than 256 levels");
        }
        match value {
            Cbor::Null => self.op(b'N'),
            Cbor::Bool(flag) => self.op(if *flag { 0x88 } else { 0x89 }),
            Cbor::Integer(number) => self.integer((*number).into()),
            Cbor::Float(number) => {
                self.op(b'G');
                self.bytes.put(&number.to_be_bytes());
            }
            Cbor::Text(text) if u32::try_from(text.len()).is_err() => return Err("is a text of over 4 GiB"),
            Cbor::Text(text) => self.text(text),
            Cbor::Bytes(bytes) => self.raw_bytes(bytes)?,
            Cbor::Array(items) => {
                self.op(b']');
                self.op(b'(');
                items.iter().try_for_each(|item| self.value(item, depth + 1))?;
                self.op(b'e');
            }
            Cbor::Map(entries) => self.map(entries, depth)?,
            Cbor::Tag(sign @ (2 | 3), inner) => match &**inner {
                Cbor::Bytes(bytes) => self.big_integer(bytes, *sign == 3)?,
                _ => return Err("is an integer in a form that is not understood"),
            },
            // Python has one `None`, so `Some(None)` becomes `None`.
            Cbor::Tag(SOME, inner) => self.value(inner, depth + 1)?,
            _ => return Err("is of a kind that Python has no plain form of"),
        }
        Ok(())
    }

    fn map(&mut self, entries: &[(Cbor, Cbor)], depth: usize) -> Result<(), &'static str> {
        self.op(b'}');
        self.op(b'(');
        for (key, value) in entries {
            if matches!(key, Cbor::Array(_) | Cbor::Map(_)) {
                return Err("is a map with a list or a map as a key, which Python's dicts cannot have");
            }
            self.value(key, depth + 1)?;
            self.value(value, depth + 1)?;
        }
        self.op(b'u');
        Ok(())
    }

    fn integer(&mut self, number: i128) {
        if let Ok(small) = u8::try_from(number) {
            self.bytes.put(&[b'K', small]);
        } else if let Ok(small) = u16::try_from(number) {
            self.op(b'M');
            self.bytes.put(&small.to_le_bytes());
        } else if let Ok(small) = i32::try_from(number) {
            self.op(b'J');
            self.bytes.put(&small.to_le_bytes());
        } else {
            self.long(&number.to_le_bytes());
        }
    }

    /// An integer of any size: two's complement, little-endian, without redundant sign bytes.
    fn long(&mut self, mut bytes: &[u8]) {
        while let [rest @ .., before, last] = bytes {
            let repeated = if before & 0x80 == 0 { 0 } else { 0xff };
            if *last != repeated {
                break;
            }
            bytes = &bytes[..=rest.len()];
        }
        // The length is at most 255: a number has 16 bytes, and `big_integer` has checked the others.
        self.bytes.put(&[0x8a, u8::try_from(bytes.len()).unwrap_or(u8::MAX)]);
        self.bytes.put(bytes);
    }

    /// A bignum of RFC 8949, section 3.4.3: its size is big-endian; a negative number is -1 minus its size.
    fn big_integer(&mut self, size: &[u8], negative: bool) -> Result<(), &'static str> {
        if size.len() > 254 {
            return Err("is an integer of more than 254 bytes");
        }
        let mut bytes: Vec<u8> = size.iter().rev().copied().collect();
        bytes.push(0);
        if negative {
            for byte in &mut bytes {
                *byte = !*byte;
            }
        }
        self.long(&bytes);
        Ok(())
    }

    /// `_codecs.encode("...", "latin1")`: protocol 2 has no opcode for bytes.
    fn raw_bytes(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        // UTF-8 encodes every byte above 127 as two bytes.
        let len = bytes.len() + bytes.iter().filter(|byte| !byte.is_ascii()).count();
        let len = u32::try_from(len).map_err(|_| "is a run of over 2 GiB of bytes")?;
        self.global("_codecs", "encode");
        self.op(b'X');
        self.bytes.put(&len.to_le_bytes());
        for &byte in bytes {
            self.bytes.put(char::from(byte).encode_utf8(&mut [0; 2]).as_bytes());
        }
        self.fixed_text(LATIN1);
        self.op(0x86);
        self.op(b'R');
        Ok(())
    }

    fn text(&mut self, text: &str) {
        // Longer texts have been refused: names have at most 4096 bytes, and the lengths of values are checked first.
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.op(b'X');
        self.bytes.put(&len.to_le_bytes());
        self.bytes.put(text.as_bytes());
    }

    fn fixed_text(&mut self, text: &'static str) {
        if !self.recall(&Named::Text(text)) {
            self.text(text);
            self.remember(Named::Text(text));
        }
    }

    fn global(&mut self, module: &'static str, name: &'static str) {
        let global = Named::Global(module, name);
        if !self.recall(&global) {
            self.bytes.put(format!("c{module}\n{name}\n").as_bytes());
            self.remember(global);
        }
    }

    fn recall(&mut self, named: &Named) -> bool {
        let Some(&number) = self.memo.get(named) else {
            return false;
        };
        self.bytes.put(&[b'h', number]);
        true
    }

    fn remember(&mut self, named: Named) {
        // A checkpoint uses a few dozen globals and fixed texts. Further ones would be written in full each time.
        if let Ok(number) = u8::try_from(self.memo.len()) {
            self.memo.insert(named, number);
            self.bytes.put(&[b'q', number]);
        }
    }
}

/// The strides of a contiguous, row-major tensor, in elements.
fn strides(shape: &[usize]) -> Vec<u64> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * (shape[d] as u64).max(1);
    }
    strides
}
