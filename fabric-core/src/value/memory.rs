//! The memory that values take. Serde and the CBOR library allocate it, and abort the process if there is none, so the
//! memory is checked before.

use std::io;

use ciborium::Value as Cbor;

use super::{Value, ValueError};
use crate::error::Error;
use crate::io::pages;

/// A growing list has capacity for at most twice its items.
const GROWN: usize = 2;

impl ValueError {
    /// The error that the system has no memory for a value.
    #[expect(clippy::needless_pass_by_value, reason = "callers map errors with it")]
    pub(crate) fn no_memory(source: io::Error) -> Self {
        Self {
            is_memory: true,
            ..Self::new(source.to_string())
        }
    }

    /// The error of a call with this `purpose`: [`Error::Memory`] if memory was missing, otherwise the error that
    /// `other` makes.
    pub(crate) fn or(self, purpose: &str, other: impl FnOnce(Self) -> Error) -> Error {
        if self.is_memory {
            return Error::Memory {
                purpose: purpose.to_owned(),
                source: io::Error::new(io::ErrorKind::OutOfMemory, self.what),
            };
        }
        other(self)
    }
}

impl Value {
    /// Checks the memory for decoding this value: for a copy of it at most, and for the result.
    pub(crate) fn look(&self) -> io::Result<()> {
        look_for([self])
    }
}

/// Checks the memory for decoding several values, one after the other, whose results are kept.
pub(crate) fn look_for<'v>(values: impl IntoIterator<Item = &'v Value>) -> io::Result<()> {
    let taken = values.into_iter().map(|value| memory_of(&value.0)).sum::<usize>();
    pages::look(taken.saturating_mul(GROWN))
}

fn memory_of(value: &Cbor) -> usize {
    let inside = match value {
        Cbor::Bytes(bytes) => bytes.len(),
        Cbor::Text(text) => text.len(),
        Cbor::Array(items) => items.iter().map(memory_of).sum(),
        Cbor::Map(entries) => entries.iter().map(|(key, item)| memory_of(key) + memory_of(item)).sum(),
        Cbor::Tag(_, inner) => memory_of(inner),
        _ => 0,
    };
    size_of::<Cbor>() + inside
}

/// Checks the memory for the value that these bytes encode.
pub(super) fn look_for_encoded(bytes: &[u8]) -> io::Result<()> {
    let items = items_in(bytes).saturating_mul(size_of::<Cbor>() * GROWN);
    pages::look(items.saturating_add(bytes.len()))
}

/// The number of CBOR items, up to the first malformed one.
fn items_in(mut bytes: &[u8]) -> usize {
    const BYTES: u8 = 2;
    const TEXT: u8 = 3;
    let mut count = 0;
    while let Some((&head, rest)) = bytes.split_first() {
        let following = match head & 0x1f {
            small @ 24..=27 => 1 << (small - 24),
            _ => 0,
        };
        let Some((number, rest)) = rest.split_at_checked(following) else {
            break;
        };
        let number = number.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let inside = match head >> 5 {
            BYTES | TEXT if following == 0 => usize::from(head & 0x1f) % 0x1f,
            BYTES | TEXT => number,
            _ => 0,
        };
        bytes = rest.get(inside..).unwrap_or_default();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_counted_without_being_made() {
        let text = "a".repeat(300);
        let list: Vec<u64> = (0..100_000).collect();
        for (value, items) in [
            (Value::of(&7u8), 1),
            (Value::of(&text), 1),
            (Value::of(&list), 100_001),
            (Value::of(&[("key", 1.5), ("other", -2.5)]), 7),
            (Value::of(&[Some("a"), None]), 3),
        ] {
            assert_eq!(items_in(&value.unwrap().to_bytes().unwrap()), items);
        }
        // Text in pieces, and text that is cut short.
        assert_eq!(items_in(&[0x7f, 0x61, b'a', 0xff]), 3);
        assert_eq!(items_in(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), 1);
    }
}
