//! `ckpt verify`: its exit status, and files that were made to harm.

use std::fs;
use std::path::Path;

use serde_json::Value;

use testkit::files::fixture;

use crate::support::run;

/// The samples of the sessions.
fn samples() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    crate::samples::write(directory.path());
    let flip = |from: &str, to: &str| {
        let mut bytes = fs::read(directory.path().join(from)).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(directory.path().join(to), bytes).expect("it is writable");
    };
    flip("gpt.ckpt", "flipped.ckpt");
    flip("gpt.pt", "flipped.pt");
    directory
}

#[test]
fn the_exit_status_is_that_of_the_worst_path() {
    let samples = samples();
    for (paths, status) in [
        (&["gpt.ckpt"][..], 0),
        (&["model.safetensors", "sharded"], 0),
        (&["flipped.ckpt"], 1),
        (&["flipped.pt", "gpt.ckpt"], 1),
        (&["gpt.ckpt", "flipped.ckpt"], 1),
        (&["notes.txt"], 2),
        (&["nothing"], 2),
        (&["runs/gpt"], 2),
        (&["nothing", "flipped.ckpt", "gpt.ckpt"], 2),
    ] {
        for more in [&[][..], &["--json"]] {
            let said = run(samples.path(), &[&["verify"], paths, more].concat());
            assert_eq!(said.status, status, "{paths:?}: {}{}", said.out, said.error);
        }
    }
    let quick = run(samples.path(), &["verify", "--quick", "flipped.ckpt"]);
    assert_eq!(quick.status, 0, "no tensor is read: {}", quick.out);
}

#[test]
fn json_has_the_places_that_the_lines_have() {
    let samples = samples();
    let said = run(samples.path(), &["verify", "--json", "flipped.ckpt"]);
    let document: Value = serde_json::from_str(&said.out).expect("a document");
    let found = &document["checkpoints"][0];
    assert_eq!(
        (&found["path"], &found["status"]),
        (&"flipped.ckpt".into(), &"damaged".into())
    );
    let damage = &found["damaged"][0];
    let middle = fs::metadata(samples.path().join("flipped.ckpt"))
        .expect("it is there")
        .len()
        / 2;
    let place = |key: &str| damage[key].as_u64().expect("a number");
    assert!((place("start")..place("end")).contains(&middle), "{damage}");
    let line = run(samples.path(), &["verify", "flipped.ckpt"]).out;
    let entry = damage["entry"].as_str().expect("a name");
    let words = format!(
        "{entry}, block {} (bytes {}..{})",
        place("block"),
        place("start"),
        place("end")
    );
    assert!(line.contains(&words), "{line}");
}

#[test]
fn an_index_without_a_checksum_is_unchecked() {
    let samples = samples();
    for (name, expected) in [
        ("dcp_fsdp2", "index of "),
        ("hub_sharded", "contents and index unchecked"),
        ("mlp_legacy.pt", "contents and index unchecked"),
    ] {
        let path = fixture(name);
        let said = run(samples.path(), &[Path::new("verify"), &path]);
        assert!(
            said.out.starts_with("unchecked") && said.out.contains(expected),
            "{}",
            said.out
        );
        let said = run(samples.path(), &[Path::new("verify"), Path::new("--json"), &path]);
        let document: Value = serde_json::from_str(&said.out).expect("a document");
        let found = &document["checkpoints"][0];
        assert_eq!(
            (&document["quick"], &found["status"]),
            (&false.into(), &"unchecked".into())
        );
        assert!(found["unchecked_index_bytes"].as_u64() > Some(0), "{found}");
    }
    let said = run(samples.path(), &["verify", "--json", "--quick", "gpt.ckpt"]);
    let document: Value = serde_json::from_str(&said.out).expect("a document");
    assert_eq!(document["quick"], true);
}

#[test]
fn a_hostile_file_leads_to_a_sentence_and_no_panic() {
    let samples = samples();
    let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/fuzz");
    let mut files = Vec::new();
    collect(&hostile, &mut files);
    assert!(!files.is_empty());
    for file in files {
        let said = run(samples.path(), &[Path::new("verify"), &file]);
        assert!(said.status <= 2, "{}: {}", file.display(), said.error);
        assert!(!said.out.is_empty() || !said.error.is_empty(), "{}", file.display());
        let to = Path::new("hostile.out");
        let said = run(samples.path(), &[Path::new("convert"), &file, to, Path::new("--force")]);
        assert!(said.status <= 1, "{}: {}", file.display(), said.error);
    }
}

fn collect(directory: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
