//! Every file cut at every byte, and every byte changed: an error, or the same contents.

use super::*;
use crate::foreign::zip::Archive;
use crate::source::window::Slice;

/// The fixtures that are small enough for it, zip and legacy.
const SMALL: &[&str] = &[
    "mlp_legacy.pt",
    "optim_sgd_plain.pt",
    "parameters.pt",
    "unicode_and_ints.pt",
    "layouts.pt",
];

#[test]
fn cut_at_any_byte_it_is_an_error() {
    for file in SMALL {
        let bytes = fixture(file);
        for len in 0..bytes.len() {
            let read = open_bytes(&bytes[..len]).and_then(|source| contents(&*source));
            assert!(read.is_err(), "{file}, cut at {len}");
        }
    }
}

#[test]
fn with_any_byte_changed_it_is_an_error_or_the_same_contents() {
    for file in SMALL.iter().filter(|file| **file != "mlp_legacy.pt") {
        let bytes = fixture(file);
        let source = open_bytes(&bytes).unwrap();
        let (expected, values) = (contents(&*source).unwrap(), source.index().values.clone());
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                let Ok(source) = open_bytes(&changed) else { continue };
                if let Ok(found) = contents(&*source) {
                    assert_eq!(found, expected, "{file}, byte {at} ^ {flip:#x}");
                    assert_eq!(source.index().values, values, "{file}, byte {at} ^ {flip:#x}");
                }
            }
        }
    }
}

#[test]
fn a_legacy_file_has_no_checksums_and_still_never_panics() {
    let bytes = fixture("mlp_legacy.pt");
    for at in 0..bytes.len() {
        for flip in [1, 4, 0x20, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let _ = open_bytes(&changed).and_then(|source| contents(&*source));
        }
    }
}

#[test]
fn a_flipped_bit_in_a_tensor_names_the_tensor() {
    for (file, entry, start) in [("layouts.pt", "strided", None), ("mlp.pt", "fc1.weight", Some(()))] {
        let bytes = fixture(file);
        let source = open_bytes(&bytes).unwrap();
        let place = source.index().tensors[entry].parts[0].place;
        let at = usize::try_from(place.start).unwrap() + 1;
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        let source = open_bytes(&changed).unwrap();
        let stored = &source.index().tensors[entry];
        let mut into = vec![0; stored.info.byte_len().unwrap()];
        match read_into(&*source, entry, stored, &mut into, 1) {
            Err(Error::Checksum { entry: named, .. }) => assert_eq!(named, entry),
            other => panic!("{other:?} {start:?}"),
        }
    }
}

/// The members of a fixture.
fn members(file: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = fixture(file);
    let memory = Memory::new();
    let path = Path::new("/file");
    memory.create(path).unwrap().write_all(&bytes).unwrap();
    let file = memory.open(path).unwrap();
    let slice = Slice::whole(&*file).unwrap();
    let archive = Archive::read(slice).unwrap();
    let contents = archive.members.iter().map(|(name, member)| {
        let contents = member.contents(slice, name, 1 << 20).unwrap().into_owned();
        (name.clone(), contents)
    });
    contents.collect()
}

/// The archive again, with checksums that are right, around another pickle.
fn packed(members: &[(String, Vec<u8>)], pickle: &[u8]) -> Vec<u8> {
    let members: Vec<(&str, &[u8])> = members
        .iter()
        .map(|(name, data)| {
            let data = if name.ends_with("data.pkl") { pickle } else { data };
            (name.as_str(), data)
        })
        .collect();
    made::zip(&members)
}

/// Numbers without pattern, the same in every run (xorshift64*).
fn random(seed: &mut u64) -> usize {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    usize::try_from(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap()
}

#[test]
fn pickles_that_were_changed_under_a_right_checksum_never_panic() {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let (mut opened, mut refused) = (0, 0);
    for file in [
        "layouts.pt",
        "parameters.pt",
        "more_dtypes.pt",
        "optim_sgd_momentum.pt",
        "wrapped.pt",
    ] {
        let members = members(file);
        let (_, pickle) = members.iter().find(|(name, _)| name.ends_with("data.pkl")).unwrap();
        let mut look = |changed: &[u8]| match open_bytes(&packed(&members, changed)).and_then(|s| contents(&*s)) {
            Ok(_) => opened += 1,
            Err(_) => refused += 1,
        };
        for at in 0..pickle.len() {
            for value in [0, b'.', b'(', b'R', b'Q', 0xff, pickle[at] ^ 1, pickle[at] ^ 0x80] {
                let mut changed = pickle.clone();
                changed[at] = value;
                look(&changed);
            }
            look(&pickle[..at]);
        }
        for _ in 0..1000 {
            let mut changed = pickle.clone();
            for _ in 0..=random(&mut seed) % 4 {
                let (from, to) = (random(&mut seed) % changed.len(), random(&mut seed) % changed.len());
                let len = (random(&mut seed) % 24).min(changed.len() - from.max(to));
                match random(&mut seed) % 3 {
                    0 => changed.copy_within(from..from + len, to),
                    1 => changed[from] = random(&mut seed).to_le_bytes()[0],
                    _ => drop(changed.splice(from..from, pickle[..len].to_vec())),
                }
            }
            look(&changed);
        }
    }
    assert!(opened > 100 && refused > 1000, "{opened} opened, {refused} refused");
}
