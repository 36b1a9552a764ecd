//! Directories that hold a model more than once: the one is taken that Hugging Face transformers takes.

use candle_core::{DType, Device};
use fabric_core::Result;
use testkit::files::open;
use testkit::pickle::text;
use testkit::torch::{safetensors, tensor, torch};

/// A safetensors file with one tensor of one byte.
fn weights(byte: u8) -> Vec<u8> {
    safetensors(
        r#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        &f32::from(byte).to_le_bytes(),
    )
}

/// The same as `torch.save` writes it.
fn bin(byte: u8) -> Vec<u8> {
    torch(
        &[(text("t"), tensor("0", 1, 0, &[1], &[1]))],
        &f32::from(byte).to_le_bytes(),
    )
}

fn index(file: &str) -> Vec<u8> {
    format!(r#"{{"metadata": {{"total_size": 4}}, "weight_map": {{"t": "{file}"}}}}"#).into_bytes()
}

/// The number that is read from `path`.
fn read(files: &[(&str, Vec<u8>)], path: &str) -> Result<u32> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let raw = open(&files, path)?;
    let number = raw.tensor("t", &Device::Cpu)?.to_dtype(DType::U32).unwrap();
    Ok(number.to_vec1().unwrap()[0])
}

#[test]
fn of_a_whole_file_and_shards_the_whole_file_is_taken_and_the_index_opens_the_shards() {
    let files = [
        ("hub/model.safetensors", weights(1)),
        (
            "hub/model.safetensors.index.json",
            index("model-00001-of-00001.safetensors"),
        ),
        ("hub/model-00001-of-00001.safetensors", weights(2)),
    ];
    assert_eq!(read(&files, "hub").unwrap(), 1);
    assert_eq!(read(&files, "hub/model.safetensors.index.json").unwrap(), 2);
    assert_eq!(read(&files[1..], "hub").unwrap(), 2);
    let numbered = [files[0].clone(), files[2].clone()];
    assert_eq!(read(&numbered, "hub").unwrap(), 1);
}

#[test]
fn safetensors_are_taken_before_files_of_torch_save_whole_or_in_shards() {
    let all = [
        ("hub/model.safetensors", weights(1)),
        ("hub/model.safetensors.index.json", index("a.safetensors")),
        ("hub/a.safetensors", weights(2)),
        ("hub/pytorch_model.bin", bin(3)),
        ("hub/pytorch_model.bin.index.json", index("b.bin")),
        ("hub/b.bin", bin(4)),
    ];
    assert_eq!(read(&all, "hub").unwrap(), 1);
    assert_eq!(read(&all[1..], "hub").unwrap(), 2);
    assert_eq!(read(&all[3..], "hub").unwrap(), 3);
    assert_eq!(read(&all[4..], "hub").unwrap(), 4);
    assert_eq!(read(&all, "hub/pytorch_model.bin.index.json").unwrap(), 4);
    assert_eq!(read(&all, "hub/pytorch_model.bin").unwrap(), 3);
}

#[test]
fn of_two_indexes_the_one_of_the_model_is_taken() {
    let files = [
        ("hub/consolidated.safetensors.index.json", index("a.safetensors")),
        ("hub/model.safetensors.index.json", index("b.safetensors")),
        ("hub/a.safetensors", weights(1)),
        ("hub/b.safetensors", weights(2)),
        ("hub/other.safetensors.index.json", index("a.safetensors")),
    ];
    assert_eq!(read(&files, "hub").unwrap(), 2);
    assert_eq!(read(&files, "hub/consolidated.safetensors.index.json").unwrap(), 1);
    let without = [files[0].clone(), files[2].clone(), files[4].clone()];
    let error = read(&without, "hub").unwrap_err().to_string();
    assert!(
        error.contains("2 index files") && error.contains("give the path of one"),
        "{error}"
    );
}

#[test]
fn a_shard_that_was_not_downloaded_is_named() {
    let files = [(
        "hub/model.safetensors.index.json",
        index("model-00001-of-00001.safetensors"),
    )];
    let error = read(&files, "hub").unwrap_err();
    assert!(matches!(error, fabric_core::Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("download it"), "{error}");
}

#[test]
fn an_index_in_the_working_directory_finds_its_shards_beside_it() {
    let files = [
        ("m.safetensors.index.json", index("a.safetensors")),
        ("a.safetensors", weights(5)),
    ];
    assert_eq!(read(&files, "m.safetensors.index.json").unwrap(), 5);
}
