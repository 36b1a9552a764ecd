//! A short run of every fuzz target on a stable compiler: seeds, what was found before, and some thousands of mutations,
//! the same each time.

use testkit::allocations::tally;
use testkit::fuzzing::seeds::{regressions, seeds};
use testkit::fuzzing::{CASES, Case};

use crate::alone;

/// Mutations of each seed.
const MUTATIONS: u64 = 1500;

/// No small input may make the library hold more than this.
const MEMORY: usize = 64 << 20;

#[test]
fn no_input_panics_or_takes_more_memory_than_a_small_file_may() {
    let _alone = alone();
    let mut inputs = 0;
    for case in CASES {
        let mut seeds = seeds(case);
        let right = seeds.len();
        seeds.extend(regressions(case));
        assert!(right > 0, "{} has no seeds", case.name);
        for (number, seed) in seeds.iter().enumerate() {
            let opened = check(case, seed, &format!("seed {number}"));
            assert!(opened || number >= right, "{}: seed {number} does not open", case.name);
            for mutation in 0..MUTATIONS {
                let mut random = Random(mutation ^ (number as u64) << 32);
                check(
                    case,
                    &mutated(seed, &seeds, &mut random),
                    &format!("mutation {mutation} of seed {number}"),
                );
                inputs += 1;
            }
        }
    }
    assert!(inputs > 5000, "{inputs}");
}

fn check(case: &Case, input: &[u8], what: &str) -> bool {
    let (opened, of_input) = tally(|| (case.run)(input));
    assert!(
        of_input.peak < MEMORY,
        "{}, {what}: {of_input:?} for {} bytes",
        case.name,
        input.len()
    );
    opened
}

/// One to eight changes: a bit, a byte, a run removed, doubled or taken from another seed, a number made extreme.
fn mutated(seed: &[u8], seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
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
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (end as u64)).unwrap_or(0)
    }
}
