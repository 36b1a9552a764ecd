//! The frame of a block: its form, the checksums of the block before and after, and what makes the one of the other.
//!
//! ```text
//! 0      1          5           13            21        21 + len                   29 + len
//! | form | len: u32 | base: sum | result: sum | payload | CRC-64 of the delta up to here, |
//! | u8   |          |           |             |         | without earlier checksums       |
//! ```
//!
//! A checksum covers all frames before its own, so that a frame of another delta, or in another place, is damage. It leaves
//! earlier checksums out: the CRC of bytes with their own CRC behind them is the same number for all bytes.

use super::DeltaError;

/// The bytes before the payload of a frame.
pub(crate) const FRAME_HEAD: usize = 21;

/// The relation of a block to that of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// They are equal. There is no payload.
    Same,
    /// The payload has the elements that changed; if the base lacks the tensor, from zeros.
    Changes,
    /// The payload is the block.
    Plain,
}

/// The first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) form: Form,
    /// The length of the payload.
    pub(crate) len: u32,
    /// The checksum of the block of the base; 0, the checksum of no bytes, if the base lacks the tensor.
    pub(crate) base: u64,
    /// The checksum of the block of the new file.
    pub(crate) result: u64,
}

impl FrameHead {
    pub(crate) fn to_bytes(self) -> [u8; FRAME_HEAD] {
        let mut bytes = [0; FRAME_HEAD];
        bytes[0] = match self.form {
            Form::Same => 0,
            Form::Changes => 1,
            Form::Plain => 2,
        };
        bytes[1..5].copy_from_slice(&self.len.to_le_bytes());
        bytes[5..13].copy_from_slice(&self.base.to_le_bytes());
        bytes[13..].copy_from_slice(&self.result.to_le_bytes());
        bytes
    }

    /// The head of a frame at byte `at` of a delta, for a block of `block` bytes. No frame is longer than its block with the
    /// bytes around.
    pub(crate) fn parse(bytes: &[u8; FRAME_HEAD], at: u64, block: usize) -> Result<Self, DeltaError> {
        let [form, len @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *bytes;
        let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[from + byte]));
        let (form, most) = match form {
            0 => (Form::Same, 0),
            1 => (Form::Changes, block),
            2 => (Form::Plain, block),
            form => return Err(DeltaError::Form { at, form }),
        };
        let len = u32::from_le_bytes(len);
        let is_whole = form != Form::Plain || len as usize == block;
        if len as usize > most || !is_whole {
            return Err(DeltaError::Length { at, len, block });
        }
        Ok(Self {
            form,
            len,
            base: number(5),
            result: number(13),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_and_bounds_its_payload() {
        for (form, len) in [(Form::Same, 0), (Form::Changes, 7), (Form::Plain, 8)] {
            let (base, result) = (u64::MAX - 1, 1 << 40);
            let head = FrameHead {
                form,
                len,
                base,
                result,
            };
            assert_eq!(FrameHead::parse(&head.to_bytes(), 0, 8), Ok(head));
            let longer = FrameHead { len: len + 9, ..head };
            let refused = FrameHead::parse(&longer.to_bytes(), 3, 8);
            assert_eq!(
                refused,
                Err(DeltaError::Length {
                    at: 3,
                    len: len + 9,
                    block: 8
                })
            );
        }
        let mut bytes = [0; FRAME_HEAD];
        bytes[0] = 3;
        assert_eq!(FrameHead::parse(&bytes, 9, 8), Err(DeltaError::Form { at: 9, form: 3 }));
        bytes[..2].copy_from_slice(&[2, 7]);
        assert!(
            FrameHead::parse(&bytes, 9, 8).is_err(),
            "a plain block that is too short"
        );
    }
}
