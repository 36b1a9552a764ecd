//! What a person reads when something does not fit: what was found, what was expected, and the call that would help.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions};

use crate::states::{CPU, Mlp, PATH, Train, fabric, linear, refused, tensor};

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_near_name_is_proposed_for_a_missing_one() {
    #[derive(Checkpoint)]
    struct Before {
        embedding: Linear,
    }
    #[derive(Checkpoint)]
    struct After {
        embeddings: Linear,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Before {
                embedding: linear(1, 2, 2),
            },
        )
        .unwrap();
    let report = refused(
        &fabric,
        &mut After {
            embeddings: linear(2, 2, 2),
        },
        LoadOptions::new(),
    );
    contains(
        &report.to_string(),
        &[
            "run/last.ckpt does not match the state, which is unchanged",
            "missing in the file: 2 entries",
            "embeddings.bias (did you mean `embedding.bias`, which the file has?)",
            "the file's `embedding` has the same 2 entries as `embeddings`: alias = \"embedding\", or \
             LoadOptions::rename(\"embedding\", \"embeddings\")",
        ],
    );
}

#[test]
fn a_long_list_is_cut_and_counted() {
    #[derive(Checkpoint)]
    struct Blocks {
        blocks: BTreeMap<String, Tensor>,
    }
    let blocks = |count: u64| Blocks {
        blocks: (0..count)
            .map(|seed| (format!("block{seed}"), tensor(seed, 1)))
            .collect(),
    };
    let fabric = fabric();
    fabric.save(PATH, &blocks(1)).unwrap();
    let report = refused(&fabric, &mut blocks(1001), LoadOptions::new());
    assert_eq!(report.missing.len(), 1000);
    let text = report.to_string();
    contains(&text, &["missing in the file: 1000 entries", "and 990 more"]);
    assert!(text.lines().count() < 20, "{text}");
}

#[test]
fn each_finding_names_the_call_that_would_accept_it_and_no_other() {
    #[derive(Checkpoint)]
    struct One {
        weight: Tensor,
    }
    let fabric = fabric();
    fabric.save(PATH, &One { weight: tensor(1, 2) }).unwrap();
    let report = refused(&fabric, &mut One { weight: tensor(1, 3) }, LoadOptions::new()).to_string();
    contains(
        &report,
        &[
            "on_mismatch(OnMismatch::Skip)",
            "weight: shape [2] in the file, [3] in the state",
        ],
    );
    assert!(
        !report.contains("strict(false)") && !report.contains("cast(true)"),
        "{report}"
    );
    let half = tensor(1, 2).to_dtype(candle_core::DType::F16).unwrap();
    let report = refused(&fabric, &mut One { weight: half }, LoadOptions::new()).to_string();
    contains(
        &report,
        &["cast(true)", "weight: element type F32 in the file, F16 in the state"],
    );
    assert!(
        !report.contains("strict(false)") && !report.contains("Skip"),
        "{report}"
    );
}

#[test]
fn a_value_of_another_type_says_what_was_found_and_what_was_expected() {
    #[derive(Checkpoint)]
    struct One<T> {
        value: T,
    }
    let fabric = fabric();
    let says = |expected: &str, report: fabric_core::LoadReport| contains(&report.to_string(), &[expected]);
    fabric.save(PATH, &One { value: "x".to_owned() }).unwrap();
    let report = refused(&fabric, &mut One { value: 1u64 }, LoadOptions::new());
    says("value: found text \"x\", expected an integer", report);
    fabric.save(PATH, &One { value: 1u64 }).unwrap();
    let report = refused(&fabric, &mut One { value: tensor(1, 2) }, LoadOptions::new());
    says("value: found integer 1, expected a tensor, F32 [2]", report);
    let report = refused(&fabric, &mut One { value: vec![1u64] }, LoadOptions::new());
    says("value: found integer 1, expected a list", report);
    let report = refused(
        &fabric,
        &mut One {
            value: BTreeMap::from([("a".to_owned(), 1u64)]),
        },
        LoadOptions::new(),
    );
    says("value: found integer 1, expected a map", report);
    fabric.save(PATH, &One { value: tensor(1, 2) }).unwrap();
    let report = refused(&fabric, &mut One { value: 1u64 }, LoadOptions::new());
    says("value: found a tensor, F32 [2], expected a value", report);
}

#[test]
fn reading_a_name_that_is_not_there_proposes_one_that_is() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let raw = fabric.open(PATH).unwrap();
    let says = |error: Error, expected: &str| assert_eq!(error.to_string(), expected);
    says(
        raw.tensor("model.fc1.weigth", &CPU).unwrap_err(),
        "no entry `model.fc1.weigth` in run/last.ckpt; did you mean `model.fc1.weight`?",
    );
    says(
        raw.tensor("model.fc1", &CPU).unwrap_err(),
        "no entry `model.fc1` in run/last.ckpt; there are entries below it: see subtree(\"model.fc1\")",
    );
    says(raw.value::<u64>("zzz").unwrap_err(), "no entry `zzz` in run/last.ckpt");
    says(
        raw.tensor("iteration", &CPU).unwrap_err(),
        "entry `iteration` is a value, integer 103; read it with `value`",
    );
    says(
        raw.value::<u64>("model.fc1.bias").unwrap_err(),
        "entry `model.fc1.bias` is a tensor, F32 [8]; read it with `tensor`",
    );
    contains(
        &raw.value::<u64>("hparams").unwrap_err().to_string(),
        &["entry `hparams` is a value of another type"],
    );
}

#[test]
fn a_path_without_a_file_proposes_a_neighbour() {
    let directory = tempfile::tempdir().unwrap();
    let fabric = Fabric::new();
    fabric
        .save(directory.path().join("step-1000.ckpt"), &Mlp::new(1))
        .unwrap();
    let error = fabric.open(directory.path().join("step-100.ckpt")).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    contains(
        &error.to_string(),
        &["no checkpoint at", "did you mean", "step-1000.ckpt?"],
    );
    let error = fabric
        .load(directory.path().join("no/such/last.ckpt"), &mut Mlp::new(1))
        .unwrap_err();
    contains(&error.to_string(), &["no checkpoint at", "there is no directory"]);
}

#[test]
fn a_directory_given_as_a_path_proposes_the_file_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let fabric = Fabric::new();
    fabric.save(directory.path().join("last.ckpt"), &Mlp::new(1)).unwrap();
    let error = fabric.load(directory.path(), &mut Mlp::new(2)).unwrap_err();
    assert!(matches!(error, Error::UnknownFormat { .. }));
    contains(
        &error.to_string(),
        &["it is a directory", "did you mean the file last.ckpt in it?"],
    );
    let empty = directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    contains(
        &fabric.open(&empty).unwrap_err().to_string(),
        &["it is an empty directory"],
    );
}

#[test]
fn files_of_other_formats_are_told_by_their_first_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights");
    let refusal = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Fabric::new().open(&path).unwrap_err()
    };
    for (torch, says) in [
        (&b"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00"[..], "its end is missing"),
        (
            b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M",
            "it needs 2 bytes and 0 are left",
        ),
    ] {
        let error = refusal(torch);
        assert!(matches!(error, Error::Corrupt { .. }));
        contains(&error.to_string(), &[says]);
    }
    let pickle = refusal(b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94.");
    contains(&pickle.to_string(), &["Python pickle that torch.save did not write"]);
    contains(&refusal(b"").to_string(), &["it is empty"]);
    contains(&refusal(b"GGUF\x03\x00\x00\x00\x00\x00").to_string(), &["GGUF"]);
    let error = refusal(b"{\"this\": \"is json, and no checkpoint\"}");
    assert!(
        matches!(error, Error::Corrupt { .. } | Error::UnknownFormat { .. }),
        "{error}"
    );
}

#[test]
fn what_is_printed_for_debugging_names_entries_and_holds_no_contents() {
    #[derive(Checkpoint)]
    struct Large {
        weight: Tensor,
    }
    let fabric = fabric();
    let mut state = Large {
        weight: tensor(1, 10_000),
    };
    fabric.save(PATH, &state).unwrap();
    let printed = format!(
        "{:?}{:?}",
        fabric.open(PATH).unwrap(),
        fabric.load(PATH, &mut state).unwrap()
    );
    contains(&printed, &["run/last.ckpt", "weight"]);
    assert!(printed.len() < 2000, "{} bytes", printed.len());
}

#[test]
fn a_report_of_a_load_that_went_through_says_what_was_restored() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let report = fabric.load(PATH, &mut Train::new(2)).unwrap().report;
    assert_eq!(report.to_string(), "restored 20 entries from run/last.ckpt");
    assert_eq!(report.origin, "run/last.ckpt");
}
