//! Flips every bit of a small checkpoint and cuts it at every length.

use fabric_core::testing::Memory;
use fabric_core::{Error, LoadOptions};
use testkit::files::{holding, read};

use super::state::{PATH, State, on};

/// A checkpoint as bytes.
fn checkpoint() -> Vec<u8> {
    let memory = Memory::new();
    on(memory.clone())
        .save(PATH, &State::new(1))
        .expect("memory does not fail");
    read(&memory, PATH)
}

/// Loads what must not load; the error must be typed and name the file.
fn refused(bytes: &[u8], what: &str) -> Error {
    let mut state = State::new(9);
    let before = state.contents();
    let fabric = on(holding([(PATH, bytes)]));
    let Err(error) = fabric.load_with(PATH, &mut state, LoadOptions::new().verify_first(true)) else {
        panic!("{what}: loaded, and holds {:?}", state.contents());
    };
    assert!(error.to_string().contains(PATH), "{what}: {error}");
    assert_eq!(state.contents(), before, "{what}: verify_first changed something");
    error
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = checkpoint();
    let mut bytes = good.clone();
    let (mut damaged, mut in_entries) = (0, 0);
    for byte in 0..bytes.len() {
        for bit in 0..8 {
            // The padding of the header is one long run of spaces: every eighth byte of it is enough to show.
            if bytes[byte] == b' ' && bytes.get(byte + 1) == Some(&b' ') && byte % 8 != 0 {
                continue;
            }
            bytes[byte] ^= 1 << bit;
            match refused(&bytes, &format!("bit {bit} of byte {byte}")) {
                Error::Corrupt { .. } => damaged += 1,
                Error::Checksum { entry, .. } => {
                    in_entries += 1;
                    assert!(["weight", "bias"].contains(&entry.as_str()), "{entry}");
                }
                Error::UnknownFormat { .. } if byte < 8 => damaged += 1,
                error => panic!("bit {bit} of byte {byte}: {error}"),
            }
            bytes[byte] = good[byte];
        }
    }
    // 6 floats, tied and so stored once, and 3 bytes.
    assert_eq!(in_entries, (6 * 4 + 3) * 8);
    assert!(damaged > 1000, "{damaged}");
}

#[test]
fn every_truncation_is_noticed() {
    let good = checkpoint();
    for len in 0..good.len() {
        let error = refused(&good[..len], &format!("cut to {len} bytes"));
        let typed = matches!(error, Error::Corrupt { .. } | Error::UnknownFormat { .. });
        assert!(typed, "cut to {len} bytes: {error}");
    }
}

#[test]
fn bytes_behind_the_end_are_noticed() {
    let mut bytes = checkpoint();
    bytes.push(0);
    assert!(matches!(refused(&bytes, "one byte more"), Error::Corrupt { .. }));
}

#[test]
fn damage_without_verify_first_names_what_was_written() {
    let mut bytes = checkpoint();
    let at = bytes
        .windows(4)
        .rposition(|four| four == 6f32.to_le_bytes())
        .expect("the last weight");
    bytes[at] ^= 1;
    let mut state = State::new(9);
    let before = state.contents();
    let error = on(holding([(PATH, &bytes)]))
        .load(PATH, &mut state)
        .expect_err("a damaged weight");
    assert!(error.to_string().contains("entry `weight`, block 0"), "{error}");
    let after = state.contents();
    assert_eq!((before.2, before.3), (after.2, after.3), "values come last");
}
