//! CRC-64/NVME over the blocks of an entry.
//!
//! Every CRC detects a flipped bit, and this one runs at the speed of a memory copy on processors with carry-less
//! multiplication, so it is always on.
//!
//! The parameters in the terms of the catalogue of parametrised CRC algorithms: width 64, polynomial
//! `ad93d23594c93659`, initial value and final exclusive-or all ones, input and output reflected, check value
//! `ae8b14860a799888`.

mod shift;

use crc_fast::{CrcAlgorithm, Digest};

pub(crate) use self::shift::{of_zeros, shifted};
use crate::io::lent::Lent;
use crate::io::streaming::{self, Crc, LINE, Sum};

/// The number of bytes under one checksum: few enough to locate damage and to stay in the cache between the copy and
/// the checksum, enough that a file needs few checksums.
pub(crate) const BLOCK: usize = 1 << 20;

/// The size of one checksum in a file, in bytes.
pub(crate) const LEN: usize = size_of::<u64>();

/// The checksum of one block.
pub(crate) fn of(block: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, block)
}

/// CRC-32/ISO-HDLC, the checksum of zip archives; check value `cbf43926`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    narrow(crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes))
}

/// Copies `from` to `into` past the cache, and returns the CRC-64 of the copied bytes. Both have the same length.
pub(crate) fn copied(from: Lent<'_>, into: &mut [u8]) -> u64 {
    let mut sum = Running::new();
    sum.copy(from, into);
    sum.finish()
}

/// Copies as [`copied`] does, and returns the [`crc32`] of the copied bytes.
pub(crate) fn copied_crc32(from: Lent<'_>, into: &mut [u8]) -> u32 {
    let mut sum = Running::of(Crc::Crc32IsoHdlc);
    sum.copy(from, into);
    narrow(sum.finish())
}

/// The CRC-32 of two concatenated runs of bytes, from the CRC-32 of each and the length of the second.
pub(crate) fn crc32_combine(first: u32, second: u32, second_len: u64) -> u32 {
    let mut both = crc32fast::Hasher::new_with_initial(first);
    both.combine(&crc32fast::Hasher::new_with_initial_len(second, second_len));
    both.finalize()
}

/// The CRC-32 of `len` zero bytes.
pub(crate) fn crc32_of_zeros(mut len: u64) -> u32 {
    // Combines runs of 1, 2, 4, ... zeros by the binary digits of `len`.
    let (mut all, mut run, mut run_len) = (crc32(&[]), crc32(&[0]), 1);
    while len > 0 {
        if len & 1 == 1 {
            all = crc32_combine(all, run, run_len);
        }
        len >>= 1;
        if len > 0 {
            run = crc32_combine(run, run, run_len);
            run_len *= 2;
        }
    }
    all
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "crc-fast returns a CRC of 32 bits in the lower half of 64"
)]
fn narrow(sum: u64) -> u32 {
    sum as u32
}

/// The checksums of `bytes`, one for each [`BLOCK`]; the last block may be shorter.
pub(crate) fn sums(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(BLOCK).map(of).collect()
}

/// The number of blocks of `len` bytes, which is the number of their checksums.
pub(crate) fn blocks(len: u64) -> u64 {
    len.div_ceil(BLOCK as u64)
}

/// Checksums as in a file: 8 bytes each, little-endian.
#[cfg(test)]
pub(crate) fn to_bytes(sums: &[u64]) -> Vec<u8> {
    sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
}

/// Checksums from the bytes of a file. A remainder of fewer than 8 bytes is ignored.
pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<u64> {
    let (sums, _) = bytes.as_chunks::<LEN>();
    sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect()
}

/// A checksum over bytes that arrive in pieces.
pub(crate) struct Running {
    digest: Digest,
    crc: Crc,
}

fn algorithm(crc: Crc) -> CrcAlgorithm {
    match crc {
        Crc::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
        Crc::Crc32IsoHdlc => CrcAlgorithm::Crc32IsoHdlc,
    }
}

impl Running {
    pub(crate) fn new() -> Self {
        Self::of(Crc::Crc64Nvme)
    }

    fn of(crc: Crc) -> Self {
        Self {
            digest: Digest::new(algorithm(crc)),
            crc,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// Copies `from` to `into` past the cache, and adds the copied bytes to the checksum. Both have the same length.
    pub(crate) fn copy<'l>(&mut self, from: impl Into<Lent<'l>>, into: &mut [u8]) {
        streaming::copy(from, into, self);
    }

    pub(crate) fn finish(&self) -> u64 {
        self.digest.finalize()
    }
}

impl Sum for Running {
    fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    fn register(&self) -> (Crc, u64) {
        (self.crc, self.digest.get_state())
    }

    fn restart(&mut self, folded: &[u8; LINE]) {
        self.digest = Digest::new_with_init_state(algorithm(self.crc), 0);
        self.digest.update(folded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * i % 251).to_le_bytes()[0]).collect()
    }

    #[test]
    fn the_algorithm_is_the_one_the_format_names() {
        // The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
        assert_eq!(of(b"123456789"), 0xae8b_1486_0a79_9888);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_algorithm_is_its_definition() {
        let bitwise = |bytes: &[u8]| {
            !bytes.iter().fold(u64::MAX, |crc, &byte| {
                (0..8).fold(crc ^ u64::from(byte), |crc, _| {
                    let reflected = 0x9a6c_9329_ac4b_c9b5;
                    (crc >> 1) ^ (if crc & 1 == 1 { reflected } else { 0 })
                })
            })
        };
        for len in [0, 1, 7, 8, 15, 16, 17, 127, 128, 129, 1000, 4096 + 3] {
            let bytes = bytes(len);
            assert_eq!(of(&bytes), bitwise(&bytes), "{len} bytes");
        }
    }

    #[test]
    fn crc32_of_pieces_combines_to_that_of_the_whole() {
        let all = bytes(10_000);
        for cut in [0, 1, 8, 4096, 9_999, 10_000] {
            let (first, second) = all.split_at(cut);
            let combined = crc32_combine(crc32(first), crc32(second), second.len() as u64);
            assert_eq!(combined, crc32(&all), "cut at {cut}");
        }
    }

    #[test]
    fn a_copy_has_the_checksum_of_what_was_copied() {
        let unit = 64 << 10;
        for len in [
            0,
            1,
            100,
            8192,
            10_000,
            unit,
            unit + 63,
            2 * unit + 64,
            3 * unit - 1,
            5 * unit + 12_345,
        ] {
            for (skip_from, skip_into) in [(0, 0), (0, 1), (1, 0), (16, 16), (63, 7)] {
                let (from, before) = (bytes(skip_from + len), b"what came before");
                let from = &from[skip_from..];
                let mut into = vec![0; skip_into + len];
                let into = &mut into[skip_into..];
                let place = format!("{len} bytes from {skip_from} to {skip_into}");
                assert_eq!(copied(from.into(), into), of(from), "{place}");
                assert!(into == from, "{place}");
                into.fill(0);
                assert_eq!(copied_crc32(from.into(), into), crc32(from), "{place}");
                assert!(into == from, "{place}");
                let mut running = Running::new();
                running.update(before);
                running.copy(from, into);
                running.update(before);
                assert_eq!(running.finish(), of(&[before, from, before].concat()), "{place}");
            }
        }
    }

    #[test]
    fn what_is_summed_is_what_is_stored_when_the_source_changes_meanwhile() {
        crate::io::streaming::tests::copied_while_it_changes(|from, into| copied(from.into(), into) == of(into));
        crate::io::streaming::tests::copied_while_it_changes(|from, into| {
            copied_crc32(from.into(), into) == crc32(into)
        });
    }

    #[test]
    fn crc32_of_zeros_needs_no_zeros() {
        for len in [0, 1, 2, 3, 255, 256, 10_000] {
            assert_eq!(crc32_of_zeros(len as u64), crc32(&vec![0; len]), "{len} zeros");
        }
    }

    #[test]
    fn every_block_has_its_checksum() {
        let all = bytes(2 * BLOCK + 5);
        let expected = [of(&all[..BLOCK]), of(&all[BLOCK..2 * BLOCK]), of(&all[2 * BLOCK..])];
        assert_eq!(sums(&all), expected);
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1] {
            assert_eq!(sums(&all[..len]).len() as u64, blocks(len as u64), "{len} bytes");
        }
        assert_eq!(from_bytes(&to_bytes(&expected)), expected);
    }
}
