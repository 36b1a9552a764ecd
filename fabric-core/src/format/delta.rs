//! A delta: the changes that make one safetensors file of another one, the base.
//!
//! ```text
//! 0        8       10      12        20        20 + h         28 + h
//! | magic  | major | minor | h: u64  | head    | CRC-64      | frame | frame | ...
//! |        | u16   | u16   |         | bincode | of 0..20+h  |       |       |
//! ```
//!
//! The head has the header of the new file, whose tensors follow in [frames](FrameHead), one for each block of
//! [`BLOCK`](crate::io::checksum::BLOCK) bytes of a tensor. All that the head says is known before the first tensor is read, so
//! a delta is written from its start to its end in one pass. `docs/format.md` describes the bytes for readers in other
//! languages.

mod bits;
mod changes;
mod error;
mod frame;
mod head;
mod huffman;
mod plane;

pub(crate) use changes::Changes;
pub(crate) use error::DeltaError;
pub(crate) use frame::{FRAME_HEAD, Form, FrameHead};
pub(crate) use head::{Head, PREFIX, Prefix, listed};

use crate::entry::DType;

/// The first bytes of a delta. The first byte is not ASCII, and text conversions change the last.
pub(crate) const MAGIC: [u8; 8] = *b"\x89FDELTA\n";

/// The width in bytes of the integers that the elements of a type are compared as: 1, 2, 4 or 8. Several elements of less than
/// a byte are one integer, and a complex element is two.
pub(crate) fn width(dtype: DType) -> usize {
    match dtype {
        DType::C64 => 4,
        other => (other.bits() / 8).clamp(1, 8),
    }
}
