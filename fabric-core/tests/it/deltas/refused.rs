//! A delta is refused with another base, and files that are no deltas and no bases are named.

use fabric_core::testing::Memory;
use fabric_core::{DeltaOptions, Error, ExportOptions, Fabric};
use safetensors::Dtype;
use testkit::files::read;

use super::files::{BASE, DELTA, MADE, NEW, OLD, Weights, file, put, small, with_delta, world};

/// Applies a delta that must not apply. Nothing may be at the path of the new file.
fn refused(fabric: &Fabric, memory: &Memory, base: &str, delta: &str) -> Error {
    let error = fabric.apply_delta(base, delta, MADE).expect_err("it must not apply");
    let is_there = fabric_core::storage::Storage::kind(memory, MADE.as_ref()).expect("memory");
    assert_eq!(is_there, None, "{error}");
    error
}

#[test]
fn a_delta_of_another_base_is_refused_and_the_error_names_all_three_files() {
    let (old, new) = small();
    let (fabric, memory, _) = with_delta(&old, &new);
    let other: Vec<_> = old.iter().map(|tensor| tensor.stepped(77, 1)).collect();
    put(&memory, "held/other.safetensors", &file(&other));
    let error = refused(&fabric, &memory, "held/other.safetensors", DELTA);
    let Error::WrongBase {
        base,
        delta,
        made_against,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(base.to_str(), Some("held/other.safetensors"));
    assert_eq!(delta.to_str(), Some(DELTA));
    assert_eq!(made_against, "weights.safetensors");
    let text = error.to_string();
    assert!(text.contains("entry `layer.bias`, block 0"), "{text}");
    assert!(text.contains("Fabric::export"), "{text}");
}

#[test]
fn a_base_with_other_tensors_is_refused_before_anything_is_read() {
    let (old, new) = small();
    let (fabric, memory, _) = with_delta(&old, &new);
    let mut renamed = old.clone();
    renamed[0].name = "layer.weights".to_owned();
    let mut reshaped = old.clone();
    reshaped[0].shape = vec![8, 20];
    let mut retyped = old.clone();
    retyped[0].dtype = Dtype::F16;
    for other in [&renamed[..], &reshaped, &retyped, &old[1..]] {
        put(&memory, "other.safetensors", &file(other));
        let error = refused(&fabric, &memory, "other.safetensors", DELTA);
        assert!(matches!(error, Error::WrongBase { .. }), "{error}");
        assert!(
            error.to_string().contains("other names, element types or shapes"),
            "{error}"
        );
    }
}

#[test]
fn a_base_that_is_no_plain_file_of_weights_is_refused() {
    let (old, new) = small();
    let (fabric, memory, _) = with_delta(&old, &new);
    fabric
        .export(OLD, "held/old.pt", ExportOptions::new())
        .expect("an export");
    let error = fabric
        .export_delta(NEW, "held/old.pt", "x.delta", DeltaOptions::new())
        .expect_err("a base in a zip");
    assert!(matches!(error, Error::UnknownFormat { .. }), "{error}");
    assert!(error.to_string().contains("Fabric::export"), "{error}");
    let error = refused(&fabric, &memory, "held/old.pt", DELTA);
    assert!(matches!(error, Error::UnknownFormat { .. }), "{error}");
}

#[test]
fn a_delta_does_not_replace_the_files_that_it_is_made_of() {
    let (old, new) = small();
    let (fabric, memory) = world(&old, &new);
    for read_file in [BASE, NEW] {
        let before = read(&memory, read_file);
        let error = fabric
            .export_delta(NEW, BASE, read_file, DeltaOptions::new())
            .expect_err("it would be lost");
        assert!(matches!(error, Error::Destination { .. }), "{error}");
        assert!(read(&memory, read_file) == before);
    }
}

#[test]
fn a_delta_is_no_checkpoint_and_a_checkpoint_is_no_delta() {
    let (old, new) = small();
    let (fabric, memory, _) = with_delta(&old, &new);
    let error = fabric.open(DELTA).expect_err("a delta");
    assert!(matches!(error, Error::UnknownFormat { .. }), "{error}");
    assert!(error.to_string().contains("Fabric::apply_delta"), "{error}");
    let error = refused(&fabric, &memory, BASE, NEW);
    assert!(matches!(error, Error::UnknownFormat { .. }), "{error}");
    assert!(error.to_string().contains("Fabric::export_delta"), "{error}");
    let error = refused(&fabric, &memory, BASE, "sent/nothing.delta");
    assert!(matches!(error, Error::Io { .. } | Error::NotFound { .. }), "{error}");
}

#[test]
fn a_subtree_that_is_not_there_is_refused_and_the_old_delta_stays() {
    let (old, new) = small();
    let (fabric, memory, _) = with_delta(&old, &new);
    let before = read(&memory, DELTA);
    let options = DeltaOptions::new().subtree("decoder");
    let error = fabric
        .export_delta(NEW, BASE, DELTA, options)
        .expect_err("no such part");
    assert!(matches!(error, Error::NoSuchEntry { .. }), "{error}");
    assert!(read(&memory, DELTA) == before);
}

#[test]
fn a_delta_of_a_newer_version_is_named_as_such() {
    let (old, new) = small();
    let (fabric, memory, _) = with_delta(&old, &new);
    let mut bytes = read(&memory, DELTA);
    bytes[8] = 2;
    let head = 20 + u64::from_le_bytes(bytes[12..20].try_into().expect("eight bytes"));
    let head = usize::try_from(head).expect("small");
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes[..head]);
    bytes[head..head + 8].copy_from_slice(&sum.to_le_bytes());
    put(&memory, DELTA, &bytes);
    let error = refused(&fabric, &memory, BASE, DELTA);
    assert!(
        matches!(
            error,
            Error::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_small_delta_that_makes_a_large_file_meets_the_limit() {
    let old = [Weights::new(1, "w", Dtype::BF16, &[8])];
    let zeros = Weights {
        name: "zeros".to_owned(),
        dtype: Dtype::BF16,
        shape: vec![4 << 20],
        bytes: vec![0; 8 << 20],
    };
    let (fabric, memory, report) = with_delta(&old, &[old[0].clone(), zeros]);
    assert!(report.bytes < 2000, "{report:?}");
    let careful = Fabric::builder().storage(memory.clone()).read_limit(1 << 20);
    let careful = careful.build().expect("one device");
    let error = refused(&careful, &memory, BASE, DELTA);
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    fabric
        .apply_delta(BASE, DELTA, MADE)
        .expect("the default limit is larger");
}
