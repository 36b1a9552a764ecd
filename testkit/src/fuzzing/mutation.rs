//! Changes of right inputs, the same for the same seed of random numbers.

/// One to eight changes: a bit, a byte, a run removed, doubled or taken from another seed, a number made extreme.
pub fn mutated(seed: &[u8], seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(8) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        let len = random.below((bytes.len() - at).min(16)) + 1;
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xff][random.below(8)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let run = bytes[at..at + len].to_vec();
                bytes.splice(at..at, run);
            }
            5 => bytes[at..at + len].fill(0xff),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let run = other[from..(from + len).min(other.len())].to_vec();
                bytes.splice(at..at, run);
            }
        }
    }
    bytes
}

/// Splitmix64: the same numbers on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (end as u64)).unwrap_or(0)
    }
}
