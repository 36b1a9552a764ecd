//! Random numbers with a seed, whose position is a part of the state.

use fabric_core::Checkpoint;

/// A generator of random numbers (Steele et al., *Fast splittable pseudorandom number generators*, 2014). Candle has no seed on the
/// CPU, so a program that must resume exactly draws its numbers from one of its own.
#[derive(Checkpoint, Clone, Debug)]
pub struct Random {
    position: u64,
}

impl Random {
    /// The numbers of this seed, from the first one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { position: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.position = self.position.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.position;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// The next number between 0 and 1, without 1.
    pub fn unit(&mut self) -> f32 {
        let [high, low, ..] = self.bits().to_be_bytes();
        f32::from(u16::from_be_bytes([high, low])) / 65_536.
    }

    /// Puts the elements into a random order (Fisher and Yates, *Statistical tables*, 1938, in Durstenfeld's form of 1964).
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            let other = self.bits() % (last as u64 + 1);
            elements.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }
}
