use testkit::random::random;

use super::*;

fn encoded(width: usize, base: &[u8], new: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let count = Changes::default().encode(width, base, new, &mut out);
    (out, count)
}

#[test]
fn the_changes_of_every_width_and_length_come_back() {
    let mut random = random(1);
    for width in [1, 2, 4, 8] {
        for elements in [0, 1, 7, 8, 9, 63, 64, 65, 129, 5000] {
            // One element of so many changes: none, some, or all of them.
            for rarity in [u64::MAX, 1000, 7, 1] {
                let base: Vec<u8> = (0..elements * width).map(|_| random().to_le_bytes()[0]).collect();
                let mut new = base.clone();
                let mut changed = 0;
                for element in new.chunks_mut(width) {
                    if random().is_multiple_of(rarity) {
                        let before = element.to_vec();
                        let bytes = random().to_le_bytes();
                        // The last bytes of a small change stay.
                        let some = 1 + usize::from(bytes[7]) % width;
                        element[..some].copy_from_slice(&bytes[..some]);
                        changed += usize::from(element != before);
                    }
                }
                let when = format!("{elements} elements of {width} bytes, one of {rarity}");
                let (out, count) = encoded(width, &base, &new);
                assert_eq!(count, changed, "{when}");
                let mut block = base.clone();
                assert_eq!(Changes::default().apply(width, &out, &mut block), Some(()), "{when}");
                assert!(block == new, "{when}");
            }
        }
    }
}

#[test]
fn memory_of_an_earlier_block_leaves_no_trace_in_a_later_one() {
    let mut changes = Changes::default();
    let long = (vec![1; 4096], vec![0xfe; 4096]);
    let short = (vec![5; 100], [vec![5; 50], vec![6; 50]].concat());
    for (base, new) in [&long, &short, &long, &short] {
        for width in [2, 4, 1] {
            let (mut out, mut block) = (Vec::new(), base.clone());
            changes.encode(width, base, new, &mut out);
            assert_eq!(out, encoded(width, base, new).0);
            assert_eq!(changes.apply(width, &out, &mut block), Some(()));
            assert_eq!(block, *new);
        }
    }
}

#[test]
fn a_step_to_a_neighbour_is_a_small_value_in_both_directions_and_across_an_exponent() {
    for (base, new, value) in [
        (0x3f7f_u16, 0x3f80, 2),
        (0x3f80, 0x3f7f, 1),
        (0x8001, 0x8000, 1),
        (0, 0xffff, 1),
    ] {
        assert_eq!(new.difference(base), value, "{base:x} to {new:x}");
        assert_eq!(base.wrapping_add(value.signed()), new);
    }
}

#[test]
fn damaged_changes_are_refused_or_make_another_block_and_never_panic() {
    let mut random = random(2);
    let base: Vec<u8> = (0..1000).map(|_| random().to_le_bytes()[0]).collect();
    let mut new = base.clone();
    for _ in 0..60 {
        let [low, high, by, ..] = random().to_le_bytes();
        let at = usize::from(u16::from_le_bytes([low, high])) % 1000;
        new[at] = new[at].wrapping_add(by);
    }
    let (out, _) = encoded(2, &base, &new);
    let mut changes = Changes::default();
    for at in 0..out.len() {
        assert_eq!(
            changes.apply(2, &out[..at], &mut base.clone()),
            None,
            "cut to {at} bytes"
        );
        for bit in 0..8 {
            let mut damaged = out.clone();
            damaged[at] ^= 1 << bit;
            // The checksum of the block finds what this does not.
            let _ = changes.apply(2, &damaged, &mut base.clone());
        }
    }
    let mut longer = out.clone();
    longer.push(0);
    assert_eq!(changes.apply(2, &longer, &mut base.clone()), None, "a byte more");
    for _ in 0..20_000 {
        let hostile: Vec<u8> = (0..random() % 40).map(|_| random().to_le_bytes()[0] % 5).collect();
        for width in [1, 2, 4, 8] {
            let _ = changes.apply(width, &hostile, &mut base.clone());
        }
    }
}

/// Weights as `bf16`, and the same after steps that move each by about `step`.
fn trained(step: f32) -> (Vec<u8>, Vec<u8>, f64) {
    let mut random = random(3);
    let mut normal = move || {
        // The sum of twelve numbers in 0..1 has a variance of 1.
        (0..12)
            .map(|_| f32::from(random().to_le_bytes()[0]) / 255. + f32::from(random().to_le_bytes()[1]) / 65_280.)
            .sum::<f32>()
            - 6.
    };
    let (mut base, mut new, mut equal) = (Vec::new(), Vec::new(), 0);
    for _ in 0..1 << 19 {
        let weight = normal() * 0.02;
        let (before, after) = (
            half::bf16::from_f32(weight),
            half::bf16::from_f32(weight + normal() * step),
        );
        base.extend(before.to_le_bytes());
        new.extend(after.to_le_bytes());
        equal += u32::from(before == after);
    }
    (base, new, f64::from(equal) / f64::from(1 << 19))
}

#[test]
fn a_block_of_weights_is_as_many_times_smaller_as_few_of_its_elements_change() {
    // The shares of equal elements after 1, 10 and 100 steps at a learning rate of 3e-6.
    for (step, share, times) in [(5.2e-7, 0.98, 51.), (3.6e-6, 0.90, 12.), (3.3e-5, 0.56, 5.)] {
        let (base, new, equal) = trained(step);
        assert!((equal - share).abs() < 0.025, "{equal} of {share}");
        let (out, _) = encoded(2, &base, &new);
        #[allow(clippy::cast_precision_loss, reason = "a MiB")]
        let smaller = new.len() as f64 / out.len() as f64;
        assert!(smaller > times, "{equal} equal: {smaller:.1} times smaller");
    }
}
