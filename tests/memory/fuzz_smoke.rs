//! A short run of every fuzz target on a stable compiler: seeds, what was found before, and some thousands of mutations,
//! the same each time.

use testkit::allocations::tally;
use testkit::fuzzing::mutation::{Random, mutated};
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
                let mut random = Random::new(mutation ^ (number as u64) << 32);
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
