//! Files of other kinds: the message says what the file is and what to do, and does not call it damaged.

use fabric_core::Error;
use testkit::dcp::Made;
use testkit::files::{open, storage};
use testkit::pickle::text;
use testkit::torch::{safetensors, tensor, torch};

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 268435456\n";
const PAGE: &[u8] = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>";

/// Contents, and words of the message.
fn others() -> Vec<(Vec<u8>, &'static [&'static str])> {
    let padded = |start: &[u8]| [start, &[0x11; 600]].concat();
    let mut tar = vec![0; 1024];
    tar[..8].copy_from_slice(b"weights/");
    tar[257..262].copy_from_slice(b"ustar");
    let record = {
        let len = 24u64.to_le_bytes();
        let sum = u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &len)).unwrap();
        let masked = sum.rotate_right(15).wrapping_add(0xa282_ead8);
        padded(&[&len[..], &masked.to_le_bytes()].concat())
    };
    let leveldb = [&[0x90; 100][..], &0xdb47_7524_8b80_fb57u64.to_le_bytes()].concat();
    vec![
        (POINTER.to_vec(), &["Git LFS pointer", "git lfs pull"]),
        (PAGE.to_vec(), &["web page"]),
        (b"\n\n  <html lang=en>".to_vec(), &["web page"]),
        (
            b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".to_vec(),
            &["XML", "download"],
        ),
        (padded(b"\x1f\x8b\x08\0"), &["gzip", "gunzip"]),
        (padded(b"\x28\xb5\x2f\xfd"), &["Zstandard", "unzstd"]),
        (padded(b"\xfd7zXZ\0"), &["xz", "unxz"]),
        (padded(b"BZh91AY&SY"), &["bzip2"]),
        (tar, &["tar archive", "tar -xf"]),
        (padded(b"\x93NUMPY\x01\0v\0{'descr'"), &["NumPy"]),
        (padded(b"\x89HDF\r\n\x1a\n"), &["HDF5", "Keras"]),
        (padded(b"\x08\x07\x12\x07pytorch"), &["ONNX"]),
        (padded(b"\x08\x0a:\xc8\x01"), &["ONNX"]),
        (padded(b"\x08\x01\x12\xc8\x01"), &["SavedModel"]),
        (padded(b"GGUF\x03\0\0\0"), &["GGUF", "candle_core::quantized"]),
        (padded(b"tjgg\x03\0\0\0"), &["GGML"]),
        (padded(b"\x1c\0\0\0TFL3"), &["TensorFlow Lite"]),
        (record, &["TFRecord"]),
        (leveldb, &["TensorFlow checkpoint"]),
        (padded(b"\x7fELF\x02\x01\x01"), &["ELF"]),
        (padded(b"MZ\x90\0"), &["Windows"]),
        (padded(b"%PDF-1.7"), &["PDF"]),
        (padded(b"\x89PNG\r\n\x1a\n"), &["PNG"]),
        (
            padded(b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x07sklearn"),
            &["Python pickle"],
        ),
        (padded(b"\x78\x9c\xed\xbd"), &["zlib", "joblib"]),
        (
            b"{\"architectures\": [\"GPT2\"], \"n_layer\": 12}".to_vec(),
            &["JSON", "no index"],
        ),
        (b"[1, 2, 3, 4, 5, 6]".to_vec(), &["JSON"]),
        (b"#!/bin/sh\necho hello\n".to_vec(), &["script"]),
        (b"Entry not found".to_vec(), &["text file", "Entry not found"]),
        (b"ab".to_vec(), &["text file"]),
        (
            "größer als erwartet, und kein Modell".as_bytes().to_vec(),
            &["text file"],
        ),
        (Vec::new(), &["empty"]),
        (vec![0; 5], &["zeros"]),
        (vec![0; 100_000], &["zeros"]),
        (vec![0xc3; 64], &["begins with the bytes"]),
    ]
}

#[track_caller]
fn says(error: &Error, words: &[&str], where_: &str) {
    let text = error.to_string();
    assert!(matches!(error, Error::UnknownFormat { .. }), "{where_}: {text}");
    for word in words {
        assert!(text.contains(word), "{where_}: `{word}` is not in: {text}");
    }
    assert!(
        !text.contains("damaged") && !text.contains("2336927755350992246"),
        "{where_}: {text}"
    );
}

#[test]
fn a_file_of_another_kind_is_called_by_its_name() {
    for (bytes, words) in others() {
        for name in ["model.safetensors", "model.pt", "last.ckpt"] {
            says(&open(&[(name, &bytes)], name).unwrap_err(), words, name);
        }
    }
}

#[test]
fn shards_of_a_hub_directory_that_are_something_else_are_called_by_their_names() {
    let index = br#"{"weight_map":{"t":"model-00001-of-00001.safetensors"}}"#;
    for (bytes, words) in others() {
        if words.contains(&"Python pickle") || words.contains(&"JSON") {
            continue;
        }
        let files: [(&str, &[u8]); 2] = [
            ("hub/model.safetensors.index.json", index),
            ("hub/model-00001-of-00001.safetensors", &bytes),
        ];
        let error = open(&files, "hub").unwrap_err();
        says(&error, words, "indexed");
        assert!(error.to_string().contains("model-00001-of-00001"), "{error}");
        says(&open(&files[1..], "hub").unwrap_err(), words, "numbered");
    }
}

#[test]
fn an_index_that_is_a_pointer_or_a_page_is_called_by_its_name() {
    for name in ["hub/model.safetensors.index.json", "hub/pytorch_model.bin.index.json"] {
        says(&open(&[(name, POINTER)], "hub").unwrap_err(), &["git lfs pull"], name);
        says(&open(&[(name, PAGE)], "hub").unwrap_err(), &["web page"], name);
        let other = br#"{"metadata":{}}"#;
        says(
            &open(&[(name, other)], "hub").unwrap_err(),
            &["JSON", "weight_map"],
            name,
        );
    }
}

#[test]
fn the_parts_of_checkpoint_directories_that_are_pointers_are_called_by_their_names() {
    says(
        &open(&[("run/manifest.fabric", POINTER)], "run").unwrap_err(),
        &["git lfs pull"],
        "manifest",
    );
    says(
        &open(&[("run/.metadata", POINTER)], "run").unwrap_err(),
        &["git lfs pull"],
        ".metadata",
    );
    let mut made = Made::small();
    made.files.insert("__1_0.distcp".to_owned(), POINTER.to_vec());
    says(&made.open().unwrap_err(), &["git lfs pull"], "distcp");
    let mut made = Made::small();
    made.files.insert("meta.pt".to_owned(), POINTER.to_vec());
    says(&made.open().unwrap_err(), &["git lfs pull"], "meta.pt");
}

#[test]
fn a_manifest_by_itself_leads_to_its_directory() {
    let bytes = b"\x89FABRIC\n\x01\0\0\0\0\0\0\0\0\0\0\0";
    let error = open(&[("run/manifest.fabric", bytes)], "run/manifest.fabric").unwrap_err();
    says(&error, &["directory"], "manifest");
}

#[test]
fn a_zip_archive_of_something_else_is_called_by_its_contents() {
    let cases: [(&str, &[&str]); 4] = [
        ("weights.npy", &["NumPy", ".npz"]),
        ("config.json", &["zip archive"]),
        ("model.weights.h5", &["Keras"]),
        ("word/document.xml", &["zip archive"]),
    ];
    for (member, words) in cases {
        let bytes = testkit::zip::zip(&[(member, b"contents"), ("other", b"more")]);
        says(&open(&[("model.pt", &bytes)], "model.pt").unwrap_err(), words, member);
    }
}

#[test]
fn a_pickle_whose_checksum_is_right_is_not_called_damaged() {
    // An unknown opcode, nothing at all, the end too early, nothing remembered, a text that is not UTF-8, an odd dict.
    let pickles: [&[u8]; 6] = [
        b"\x80\x02\xff.",
        b"\x80\x02.",
        b"\x80\x02X\xff\0\0\0a.",
        b"\x80\x02h\x07.",
        b"\x80\x02X\x02\0\0\0\xff\xfe.",
        b"\x80\x02}(K\x01u.",
    ];
    for pickle in pickles {
        let file = testkit::zip::zip(&[("data.pkl", pickle), ("version", b"3\n")]);
        let error = open(&[("model.pt", &file)], "model.pt").unwrap_err();
        says(&error, &["its checksum is right", "torch.save"], &format!("{pickle:?}"));
    }
}

#[test]
fn an_archive_whose_names_are_not_utf_8_is_not_called_damaged() {
    let text = b"\x80\x02}.";
    let mut file = testkit::zip::zip(&[("data.pkl", text), ("data/n_", b"more")]);
    for at in 0..file.len() - 1 {
        if file[at..].starts_with(b"n_") {
            file[at] = 0xff;
        }
    }
    let error = open(&[("model.pt", &file)], "model.pt").unwrap_err();
    says(&error, &["not UTF-8", "torch.save"], "both headers");
    // One of the two headers alone has another name than was written.
    let place = file.iter().position(|byte| *byte == 0xff).unwrap();
    file[place] = b'n';
    let error = open(&[("model.pt", &file)], "model.pt").unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_directory_of_another_kind_is_called_by_its_name() {
    let cases: [(&[&str], &[&str]); 9] = [
        (&["saved_model.pb", "variables/x"], &["SavedModel"]),
        (&["_CHECKPOINT_METADATA", "d/x"], &["Orbax"]),
        (&["checkpoint", "model.ckpt-1.index"], &["TensorFlow checkpoint"]),
        (&["snapshots/abc/x", "refs/main"], &["Hugging Face cache", "snapshots"]),
        (&["zero_to_fp32.py", "latest"], &["DeepSpeed", "zero_to_fp32.py"]),
        (&["latest_checkpointed_iteration.txt"], &["Megatron"]),
        (&["checkpoint-500/model.safetensors"], &["checkpoint-500"]),
        (&["notes.txt"], &["model.safetensors"]),
        (
            &["adapter_model.safetensors"],
            &["did you mean", "adapter_model.safetensors"],
        ),
    ];
    for (names, words) in cases {
        let paths: Vec<String> = names.iter().map(|name| format!("dir/{name}")).collect();
        let files: Vec<(&str, &[u8])> = paths.iter().map(|path| (path.as_str(), &b"x"[..])).collect();
        says(&open(&files, "dir").unwrap_err(), words, names[0]);
    }
}

#[test]
fn what_was_whole_once_and_is_cut_off_is_damaged() {
    let json = r#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let whole = safetensors(json, &[1; 8]);
    let archive = torch(&[(text("t"), tensor("0", 2, 0, &[2], &[1]))], &[1; 8]);
    for (name, bytes, from) in [("t.safetensors", &whole, 8), ("t.pt", &archive, 40)] {
        for len in from..bytes.len() {
            let error = open(&[(name, &bytes[..len])], name).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{name}, {len} bytes: {error}");
        }
    }
}

#[test]
fn a_checkpoint_of_ours_with_any_bit_of_its_beginning_flipped_is_damaged() {
    let memory = storage(&[]);
    let state = std::collections::BTreeMap::from([(
        "t".to_owned(),
        candle_core::Tensor::ones(3, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap(),
    )]);
    testkit::files::on(memory.clone()).save("t.ckpt", &state).unwrap();
    let whole = testkit::files::read(&memory, "t.ckpt");
    for at in 0..10 {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            let error = open(&[("t.ckpt", &flipped)], "t.ckpt").unwrap_err();
            assert!(
                matches!(error, Error::Corrupt { .. }),
                "bit {bit} of byte {at}: {error}"
            );
        }
    }
    for len in 8..whole.len() {
        let error = open(&[("t.ckpt", &whole[..len])], "t.ckpt").unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{len} bytes: {error}");
    }
}
