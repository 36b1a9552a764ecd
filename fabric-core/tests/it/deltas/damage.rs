//! Flips every bit of a small delta and of its base, and cuts both at every length: an error, or the file that an export
//! writes.

use fabric_core::testing::Memory;
use fabric_core::{Error, ExportOptions, Fabric};
use testkit::delta::sealed;
use testkit::files::{holding, on, read};

use super::files::{BASE, DELTA, MADE, NEW, full, small, with_delta};

/// A base, its delta, and the file that they make.
struct Good {
    base: Vec<u8>,
    delta: Vec<u8>,
    made: Vec<u8>,
}

impl Good {
    fn new() -> Self {
        let (old, new) = small();
        let (fabric, memory, _) = with_delta(&old, &new);
        Self {
            base: read(&memory, BASE),
            delta: read(&memory, DELTA),
            made: full(&fabric, &memory, NEW, ExportOptions::new()),
        }
    }
}

/// The file that a delta makes of a base.
fn applied(base: &[u8], delta: &[u8]) -> Result<Vec<u8>, Error> {
    let memory: Memory = holding([(BASE, base), (DELTA, delta)]);
    let fabric: Fabric = on(memory.clone());
    fabric.apply_delta(BASE, DELTA, MADE)?;
    Ok(read(&memory, MADE))
}

/// Calls `test` with the bytes, in which each bit is flipped once, but in most of the spaces behind a header.
fn flipped(good: &[u8], mut test: impl FnMut(&[u8], &str)) {
    let mut bytes = good.to_vec();
    for byte in 0..bytes.len() {
        let is_padding = bytes[byte] == b' ' && bytes.get(byte + 1) == Some(&b' ');
        if is_padding && byte % 16 != 0 {
            continue;
        }
        for bit in 0..8 {
            bytes[byte] ^= 1 << bit;
            test(&bytes, &format!("bit {bit} of byte {byte}"));
            bytes[byte] = good[byte];
        }
    }
}

#[test]
fn every_flipped_bit_of_a_delta_is_noticed() {
    let good = Good::new();
    assert!(applied(&good.base, &good.delta).expect("whole") == good.made);
    flipped(&good.delta, |delta, when| {
        let error = applied(&good.base, delta).expect_err(when);
        let is_typed = matches!(error, Error::Corrupt { .. } | Error::UnknownFormat { .. });
        assert!(is_typed, "{when}: {error}");
        assert!(error.to_string().contains(DELTA), "{when}: {error}");
    });
}

#[test]
fn every_truncation_of_a_delta_and_every_byte_behind_it_is_noticed() {
    let good = Good::new();
    for len in 0..good.delta.len() {
        let error = applied(&good.base, &good.delta[..len]).expect_err("cut off");
        let is_typed = matches!(error, Error::Corrupt { .. } | Error::UnknownFormat { .. });
        assert!(is_typed, "cut to {len} bytes: {error}");
    }
    let longer = [&good.delta[..], &[0]].concat();
    let error = applied(&good.base, &longer).expect_err("a byte more");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_flipped_bit_of_the_base_is_noticed_or_makes_no_difference() {
    let good = Good::new();
    let data = 8 + usize::try_from(u64::from_le_bytes(good.base[..8].try_into().expect("eight"))).expect("small");
    let (mut in_tensors, mut same) = (0, 0);
    let mut test = |base: &[u8], when: &str, in_data: bool| match applied(base, &good.delta) {
        Ok(made) => {
            assert!(made == good.made, "{when}: another file");
            assert!(!in_data, "{when}: not noticed");
            same += 1;
        }
        Err(Error::WrongBase { what, .. }) if in_data => {
            assert!(what.contains("has other contents"), "{when}: {what}");
            in_tensors += 1;
        }
        Err(error) => assert!(error.to_string().contains(BASE), "{when}: {error}"),
    };
    flipped(&good.base, |base, when| {
        let in_data = base[data..] != good.base[data..];
        test(base, when, in_data);
    });
    // 160 bf16, 9 f32 and 5 bytes: all of them are read.
    assert_eq!(in_tensors, (160 * 2 + 9 * 4 + 5) * 8);
    assert!(same > 0, "the key of `__metadata__` is part of no tensor");
}

#[test]
fn a_forged_frame_with_right_checksums_is_an_error_or_makes_no_difference() {
    let good = Good::new();
    assert!(
        sealed(good.delta.clone()) == good.delta,
        "the checksums are where the format says"
    );
    let head = 28 + usize::try_from(u64::from_le_bytes(good.delta[12..20].try_into().expect("eight"))).expect("small");
    let mut refused = 0;
    flipped(&good.delta[head..], |frames, when| {
        let delta = sealed([&good.delta[..head], frames].concat());
        match applied(&good.base, &delta) {
            Ok(made) => assert!(made == good.made, "{when}: another file"),
            Err(Error::Corrupt { .. } | Error::WrongBase { .. }) => refused += 1,
            Err(error) => panic!("{when}: {error}"),
        }
    });
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_forged_head_with_a_right_checksum_is_an_error_or_makes_a_file_and_never_panics() {
    let good = Good::new();
    let head = 20 + usize::try_from(u64::from_le_bytes(good.delta[12..20].try_into().expect("eight"))).expect("small");
    flipped(&good.delta[20..head], |forged, _| {
        let delta = [&good.delta[..20], forged, &good.delta[head..]].concat();
        let _ = applied(&good.base, &sealed(delta));
    });
}

#[test]
fn a_frame_of_another_delta_does_not_fit() {
    let good = Good::new();
    let (old, mut new) = small();
    new[0] = old[0].stepped(1234, 6);
    let (_, memory, _) = with_delta(&old, &new);
    let other = read(&memory, DELTA);
    let same = good.delta.iter().zip(&other).take_while(|(a, b)| a == b).count();
    // The frames of `added` and `layer.bias` come first, and are equal in both.
    let spliced = [&good.delta[..same], &other[same..]].concat();
    assert!(spliced == other);
    let tail = good.delta.len().min(other.len()) - 40;
    let spliced = [&other[..other.len() - 40], &good.delta[good.delta.len() - 40..]].concat();
    assert!(tail > same && spliced != other);
    let error = applied(&good.base, &spliced).expect_err("the end of another delta");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}
