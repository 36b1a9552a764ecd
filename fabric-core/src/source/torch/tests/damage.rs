//! Every file cut at every byte, and every byte changed: an error, or the same contents.

use super::*;

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
