use super::numbers;
use crate::optim::ParamsAdamW;
use crate::optim::adamw::update::AdamWUpdate;
use crate::optim::fused::{PER_TURN, Work, in_turns};

/// The parameter and its moments after a step on this many threads.
fn stepped_on(threads: usize, len: usize) -> [Vec<f64>; 3] {
    let [mut theta, mut m] = [1, 2].map(|seed| numbers(seed, len));
    let mut v: Vec<f64> = numbers(3, len).into_iter().map(f64::abs).collect();
    let grad = numbers(4, len);
    let work = Work {
        theta: &mut theta,
        state: [&mut m, &mut v],
        grad: &grad,
    };
    in_turns(&AdamWUpdate::new(&ParamsAdamW::default(), 3), work, threads);
    [theta, m, v]
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for len in [1, PER_TURN, 3 * PER_TURN + 7] {
        let alone = stepped_on(1, len);
        assert_ne!(alone[0], numbers(1, len));
        for threads in [2, 3, 8] {
            assert_eq!(stepped_on(threads, len), alone, "{len} elements on {threads} threads");
        }
    }
}
