//! All numbers of a few digits, or some of them.

/// Every way to choose one digit below each base, the first digit fastest; `None` if that is more than `limit` ways.
pub(super) fn digits(bases: &[usize], limit: usize) -> Option<Vec<Vec<usize>>> {
    let count = bases
        .iter()
        .try_fold(1_usize, |product, base| product.checked_mul(*base))?;
    (count <= limit).then(|| {
        (0..count)
            .map(|mut number| {
                let digit = |base: &usize| {
                    let digit = number % base;
                    number /= base;
                    digit
                };
                bases.iter().map(digit).collect()
            })
            .collect()
    })
}

/// Pseudo-random numbers, equal in every run: `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
pub(super) struct CrashSample(u64);

impl CrashSample {
    pub(super) fn new() -> Self {
        Self(0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        // The remainder is below a `usize`.
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }
}
