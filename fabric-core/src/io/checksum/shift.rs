//! The CRC-64 of bytes that are followed by zeros, without a pass over the zeros.
//!
//! A zero byte multiplies the remainder by x^8 modulo the polynomial, and n of them by x^(8n), which takes a multiplication for each
//! binary digit of n. Mark Adler's `crc32_combine` in zlib does the same for CRC-32.

use crate::io::polynomial::Polynomial;

const CRC: Polynomial = Polynomial::CRC64_NVME;

/// x^8, x^16, x^32, ...: the factors of 1, 2, 4, ... zero bytes.
static POWERS: [u64; 64] = powers();

const fn powers() -> [u64; 64] {
    let mut all = [CRC.power(8); 64];
    let mut at = 1;
    while at < all.len() {
        all[at] = CRC.product(all[at - 1], all[at - 1]);
        at += 1;
    }
    all
}

/// The remainder behind `len` zero bytes.
pub(crate) fn shifted(mut remainder: u64, mut len: u64) -> u64 {
    for power in &POWERS {
        if len == 0 || remainder == 0 {
            break;
        }
        if len & 1 == 1 {
            remainder = CRC.product(*power, remainder);
        }
        len >>= 1;
    }
    remainder
}

/// The checksum of `len` zero bytes.
pub(crate) fn of_zeros(len: u64) -> u64 {
    !shifted(!0, len)
}

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn zeros_behind_bytes_are_a_shift() {
        for len in [0, 1, 2, 3, 7, 8, 255, 256, 4096, 5000, 70_001, 1 << 20] {
            let zeros = vec![0; len];
            assert_eq!(of_zeros(len as u64), of(&zeros), "{len} zeros");
            let mut bytes = b"some bytes".to_vec();
            let raw = of(&bytes) ^ of_zeros(bytes.len() as u64);
            bytes.extend(zeros);
            assert_eq!(
                shifted(raw, len as u64),
                of(&bytes) ^ of_zeros(bytes.len() as u64),
                "{len} zeros behind bytes"
            );
        }
    }
}
