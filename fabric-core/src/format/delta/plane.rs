//! Bytes that belong together, coded by themselves: all equal, as they are, or in Huffman codes, whichever is shortest.
//!
//! ```text
//! 0, byte                                          every byte is this one
//! 1, bytes                                         as they are
//! 2, last, lengths, len: u32, codes                Huffman codes; the lengths of the codes of the bytes 0..=last take 4
//!                                                  bits each, the first in the lower half of its byte
//! ```
//!
//! The number of bytes is known from elsewhere; of no bytes, nothing is stored.

use super::huffman::{self, LONGEST, Lengths};

const CONSTANT: u8 = 0;
const PLAIN: u8 = 1;
const HUFFMAN: u8 = 2;

/// Appends `symbols`.
pub(super) fn encode(symbols: &[u8], out: &mut Vec<u8>) {
    let Some(&first) = symbols.first() else { return };
    if symbols.iter().all(|symbol| *symbol == first) {
        out.extend([CONSTANT, first]);
        return;
    }
    let counts = huffman::counts(symbols);
    let lengths = huffman::lengths(&counts);
    let bits = huffman::bits(&counts, &lengths);
    let last = (0..=u8::MAX).rev().find(|symbol| lengths[usize::from(*symbol)] > 0);
    let last = last.unwrap_or_default();
    let around = 1 + (usize::from(last) + 1).div_ceil(2) + size_of::<u32>();
    let len = u32::try_from(bits.div_ceil(8)).unwrap_or(u32::MAX);
    if around as u64 + u64::from(len) >= symbols.len() as u64 {
        out.push(PLAIN);
        out.extend_from_slice(symbols);
        return;
    }
    out.extend([HUFFMAN, last]);
    let pairs = lengths[..=usize::from(last)].chunks(2);
    out.extend(pairs.map(|pair| pair[0] | pair.get(1).copied().unwrap_or_default() << 4));
    out.extend(len.to_le_bytes());
    huffman::encode(symbols, &lengths, bits, out);
}

/// Fills `into` with the bytes that `from` begins with, and moves `from` behind them. `None` if there are none.
pub(super) fn decode(from: &mut &[u8], into: &mut [u8]) -> Option<()> {
    if into.is_empty() {
        return Some(());
    }
    match take(from, 1)?[0] {
        CONSTANT => into.fill(take(from, 1)?[0]),
        PLAIN => into.copy_from_slice(take(from, into.len())?),
        HUFFMAN => {
            let lengths = lengths(from)?;
            let (len, rest) = from.split_first_chunk()?;
            *from = rest;
            let codes = take(from, usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
            huffman::decode(codes, &lengths, into)?;
        }
        _ => return None,
    }
    Some(())
}

/// The lengths of codes that `from` begins with.
fn lengths(from: &mut &[u8]) -> Option<Lengths> {
    let last = usize::from(take(from, 1)?[0]);
    let packed = take(from, (last + 1).div_ceil(2))?;
    let mut lengths = [0; 256];
    for (symbol, length) in lengths[..=last].iter_mut().enumerate() {
        *length = packed[symbol / 2] >> (symbol % 2 * 4) & 0xf;
        if usize::from(*length) > LONGEST {
            return None;
        }
    }
    Some(lengths)
}

/// The next `len` bytes.
fn take<'b>(from: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_follow_one_another_and_come_back() {
        let planes: [Vec<u8>; 5] = [
            vec![3; 1000],
            (0..=255).collect(),
            (0..5000u16).map(|n| (n % 7 * (n % 3)).to_le_bytes()[0]).collect(),
            Vec::new(),
            vec![1],
        ];
        let mut out = Vec::new();
        for plane in &planes {
            encode(plane, &mut out);
        }
        assert!(out.len() < 2 + 257 + 2500 + 2 + 20, "{}", out.len());
        let mut from = &out[..];
        for plane in &planes {
            let mut found = vec![0; plane.len()];
            assert_eq!(decode(&mut from, &mut found), Some(()));
            assert_eq!(found, *plane);
        }
        assert!(from.is_empty());
    }

    #[test]
    fn bytes_that_are_cut_off_are_refused() {
        let plane: Vec<u8> = (0..200).map(|n| n % 3).collect();
        let mut out = Vec::new();
        encode(&plane, &mut out);
        assert_eq!(out[0], HUFFMAN);
        for len in 0..out.len() {
            assert_eq!(decode(&mut &out[..len], &mut [0; 200]), None, "{len}");
        }
        assert_eq!(decode(&mut &[3, 0, 0][..], &mut [0; 1]), None, "a form that is unknown");
    }
}
