//! Directories of safetensors files without an index: counted sets, and the shards that PyTorch writes.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use candle_core::Device;
use fabric_core::{Error, Fabric, Result};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use tempfile::TempDir;
use testkit::files::fixture;

/// A copy that a test may damage.
fn copy_of(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(fixture(name)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

/// Tensors by name: shape, and the bits of the elements.
type Bits = BTreeMap<String, (Vec<usize>, Vec<u32>)>;

/// A box of a tensor: name, offsets, sizes.
type Shard<'s> = (&'s str, &'s [usize], &'s [usize]);

/// Every tensor's bits, read through the raw checkpoint.
fn bits(path: &Path) -> Result<Bits> {
    let raw = Fabric::new().open(path)?;
    let tensor = |name: &str| {
        let tensor = raw.tensor(name, &Device::Cpu)?;
        let elements: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        let elements = elements.into_iter().map(f32::to_bits).collect();
        Ok((name.to_owned(), (tensor.dims().to_vec(), elements)))
    };
    raw.names().into_iter().map(tensor).collect()
}

/// The tensors below `prefix` of an expected file, read by another library.
fn expected(name: &str, prefix: &str) -> Bits {
    let bytes = fs::read(fixture(name)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let below = tensors
        .iter()
        .filter_map(|(name, view)| Some((name.strip_prefix(prefix)?, view)));
    let elements = |view: &TensorView<'_>| {
        let (chunks, _) = view.data().as_chunks::<4>();
        chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
    };
    below
        .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), elements(&view))))
        .collect()
}

/// A directory whose files hold boxes of f32 tensors. The elements count up.
fn boxes(files: &[(&str, &[Shard<'_>])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (file, tensors) in files {
        let data: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, _, size)| {
                let elements = 0..u16::try_from(size.iter().product::<usize>()).unwrap();
                elements.flat_map(|n| f32::from(n).to_le_bytes()).collect()
            })
            .collect();
        let views = tensors.iter().zip(&data).map(|((name, _, size), data)| {
            let view = TensorView::new(Dtype::F32, size.to_vec(), data).unwrap();
            (*name, view)
        });
        let offsets: Vec<String> = tensors
            .iter()
            .map(|(name, offset, _)| format!(r#""{name}": {{"saved_offsets": {offset:?}}}"#))
            .collect();
        let sharding = format!("{{{}}}", offsets.join(", "));
        let metadata = HashMap::from([("DCP_SHARDING_INFO".to_owned(), sharding)]);
        let bytes = serialize(views, Some(metadata)).unwrap();
        fs::write(directory.path().join(file), bytes).unwrap();
    }
    directory
}

const RANK_1: &str = "shard-00001-model-00001-of-00001.safetensors";
const RANK_2: &str = "shard-00002-model-00001-of-00001.safetensors";

fn refusal(path: &Path) -> String {
    match bits(path) {
        Err(error @ Error::Corrupt { .. }) => error.to_string(),
        other => panic!("expected an error about damage, and got {other:?}"),
    }
}

#[test]
fn shards_that_pytorch_wrote_from_one_mesh_axis_and_from_two_are_put_together() {
    for (shards, whole) in [
        ("hf_fsdp2", "dcp_fsdp2.expected.safetensors"),
        ("hf_hsdp4", "dcp_hsdp4.expected.safetensors"),
    ] {
        let found = bits(&fixture(shards)).unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(found, expected(whole, "model."), "{shards}");
    }
}

#[test]
fn a_hub_directory_is_read_with_its_index_and_without() {
    let whole = expected("hub_sharded.expected.safetensors", "");
    assert_eq!(bits(&fixture("hub_sharded")).unwrap(), whole);
    let copy = copy_of("hub_sharded");
    fs::remove_file(copy.path().join("model.safetensors.index.json")).unwrap();
    assert_eq!(bits(copy.path()).unwrap(), whole);
    fs::remove_file(copy.path().join("model-00002-of-00002.safetensors")).unwrap();
    let error = refusal(copy.path());
    assert!(error.contains("model-00002-of-00002.safetensors is missing"), "{error}");
}

#[test]
fn a_lost_rank_is_noticed() {
    let copy = copy_of("hf_hsdp4");
    fs::remove_file(copy.path().join("shard-00003-model-00001-of-00001.safetensors")).unwrap();
    assert!(refusal(copy.path()).contains("the files of rank 3"));
    let copy = copy_of("hf_hsdp4");
    fs::remove_file(copy.path().join("shard-00004-model-00001-of-00001.safetensors")).unwrap();
    let error = refusal(copy.path());
    assert!(
        error.contains("entry `fc2.weight`") && error.contains("no part holds the element at [2, 4]"),
        "{error}"
    );
    assert!(error.contains("shard-00003-model"), "{error}");
}

#[test]
fn holes_and_overlaps_name_the_entry_and_the_files() {
    let hole = boxes(&[
        (RANK_1, &[("w", &[0, 0], &[2, 3]), ("b", &[0], &[2])]),
        (RANK_2, &[("w", &[3, 0], &[1, 3]), ("b", &[2], &[2])]),
    ]);
    let error = refusal(hole.path());
    assert!(
        error.contains("entry `w`") && error.contains("at [2, 0]") && error.contains(RANK_2),
        "{error}"
    );
    let overlap = boxes(&[(RANK_1, &[("w", &[0], &[3])]), (RANK_2, &[("w", &[2], &[2])])]);
    let error = refusal(overlap.path());
    assert!(
        error.contains("entry `w`") && error.contains("2 parts hold the element at [2]"),
        "{error}"
    );
}

#[test]
fn boxes_of_rows_columns_scalars_and_nothing_become_whole_tensors() {
    let directory = boxes(&[
        (
            RANK_1,
            &[
                ("w", &[0, 0], &[2, 1]),
                ("s", &[], &[]),
                ("e", &[0], &[0]),
                ("b", &[0], &[2]),
            ],
        ),
        (RANK_2, &[("w", &[0, 1], &[2, 2]), ("b", &[2], &[0])]),
    ]);
    let found = bits(directory.path()).unwrap();
    let of = |name: &str| {
        let (shape, bits) = &found[name];
        (
            shape.clone(),
            bits.iter().map(|&bits| f32::from_bits(bits)).collect::<Vec<_>>(),
        )
    };
    assert_eq!(of("w"), (vec![2, 3], vec![0., 0., 1., 1., 2., 3.]));
    assert_eq!(of("s"), (vec![], vec![0.]));
    assert_eq!(of("e"), (vec![0], vec![]));
    assert_eq!(of("b"), (vec![2], vec![0., 1.]));
}

#[test]
fn sharding_information_that_does_not_fit_is_refused() {
    let unplaced = copy_of("hub_sharded");
    fs::remove_file(unplaced.path().join("model.safetensors.index.json")).unwrap();
    for name in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        let sharded = unplaced.path().join(format!("shard-00001-{name}"));
        fs::rename(unplaced.path().join(name), sharded).unwrap();
    }
    assert!(refusal(unplaced.path()).contains("DCP_SHARDING_INFO"));

    let other_rank = boxes(&[(RANK_1, &[("w", &[0], &[2, 2])])]);
    assert!(refusal(other_rank.path()).contains("entry `w`"));
    let too_far = boxes(&[(RANK_1, &[("w", &[usize::MAX], &[2])])]);
    assert!(refusal(too_far.path()).contains("entry `w`"));
    let enormous = boxes(&[(RANK_1, &[("w", &[usize::MAX - 2], &[2])])]);
    assert!(refusal(enormous.path()).contains("entry `w`"));
    let two_ranks = boxes(&[(RANK_1, &[("w", &[0], &[2])]), (RANK_2, &[("w", &[2, 0], &[2, 2])])]);
    let error = refusal(two_ranks.path());
    assert!(error.contains("entry `w`") && error.contains(RANK_2), "{error}");
}

#[test]
fn any_byte_of_a_shard_changed_or_cut_is_an_error_or_another_tensor_and_never_a_panic() {
    let copy = copy_of("hf_fsdp2");
    let path = copy.path().join(RANK_2);
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        fs::write(&path, &good[..at]).unwrap();
        assert!(bits(copy.path()).is_err(), "cut at {at}");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= [1, 0x10, 0x80][at % 3];
        fs::write(&path, &bad).unwrap();
        // The format has no checksums: other bytes may be another file that is as valid.
        let _ = bits(copy.path());
    }
}
