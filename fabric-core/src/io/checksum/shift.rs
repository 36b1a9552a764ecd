//! The CRC-64 of bytes that are followed by zeros, without a pass over the zeros.
//!
//! A zero byte multiplies the remainder by x^8 modulo the polynomial, and n of them by x^(8n), which takes a multiplication for each
//! binary digit of n. Mark Adler's `crc32_combine` in zlib does the same for CRC-32.

/// The polynomial of CRC-64/NVME, `ad93d23594c93659`, with its bits reversed.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;

/// x^8, x^16, x^32, ...: what 1, 2, 4, ... zero bytes multiply by.
static POWERS: [u64; 64] = powers();

const fn powers() -> [u64; 64] {
    let mut all = [0; 64];
    // The highest bit stands for x^0.
    let mut power = 1 << (63 - 8);
    let mut at = 0;
    while at < all.len() {
        all[at] = power;
        power = multiply(power, power);
        at += 1;
    }
    all
}

/// The product of two polynomials modulo the polynomial.
const fn multiply(a: u64, mut b: u64) -> u64 {
    let mut product = 0;
    let mut bit = 1 << 63;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        bit >>= 1;
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
    }
    product
}

/// The remainder behind `len` zero bytes.
pub(crate) fn shifted(mut remainder: u64, mut len: u64) -> u64 {
    for power in &POWERS {
        if len == 0 || remainder == 0 {
            break;
        }
        if len & 1 == 1 {
            remainder = multiply(*power, remainder);
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
