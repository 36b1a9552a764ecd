//! CRC-64/NVME over blocks of an entry.
//!
//! One flipped bit changes any CRC, and this one runs at the speed of a memory copy on processors with carry-less
//! multiplication, so it is always on.

use crc_fast::{CrcAlgorithm, Digest};

/// The bytes that one checksum covers: small enough to name the damage and to stay in the cache between the copy and
/// the checksum, large enough that the sums are few.
pub(crate) const BLOCK: usize = 1 << 20;

/// The checksum of one block.
pub(crate) fn of(block: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, block)
}

/// A checksum over bytes that come in pieces.
pub(crate) struct Running(Digest);

impl Running {
    pub(crate) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_algorithm_is_the_one_the_format_names() {
        // The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
        assert_eq!(super::of(b"123456789"), 0xae8b_1486_0a79_9888);
    }
}
