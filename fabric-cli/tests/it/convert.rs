//! `ckpt convert`, `consolidate` and `reshard`: paths that they refuse, and calls that do not come to their end.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use candle_core::{DType, Device, Tensor};
use fabric_core::{Checkpoint, Fabric};
use testkit::files::fixture;

use crate::support::{ckpt, run, said};

#[derive(Checkpoint)]
struct State {
    weight: Tensor,
    step: u64,
}

/// A directory with a checkpoint `a` of so many floats.
fn directory(floats: usize) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let weight = Tensor::ones(floats, DType::F32, &Device::Cpu).expect("memory");
    let state = State { weight, step: 7 };
    Fabric::new().save(directory.path().join("a"), &state).expect("saved");
    directory
}

/// The names and contents of everything in a directory and below it.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.push((name, Vec::new()));
            found.extend(contents(&path));
        } else {
            found.push((name, fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

const CALLS: [&[&str]; 3] = [&["convert"], &["consolidate"], &["reshard", "--ranks", "2"]];

#[test]
fn nothing_is_replaced_without_force() {
    let directory = directory(10);
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "notes").expect("written");
    fs::create_dir(at("folder")).expect("made");
    #[cfg(unix)]
    for (to, link) in [("nowhere", "dangling"), ("file", "link")] {
        std::os::unix::fs::symlink(at(to), at(link)).expect("linked");
    }
    let before = contents(directory.path());
    for call in CALLS {
        for to in ["file", "folder", "dangling", "link"]
            .iter()
            .filter(|to| cfg!(unix) || !["dangling", "link"].contains(to))
        {
            for (ending, more) in [("", &[][..]), ("/", &[]), ("/.", &[]), ("/", &["--dry-run"])] {
                let path = format!("{to}{ending}");
                let said = run(directory.path(), &[call, &["a", &path], more].concat());
                assert_eq!(said.status, 1, "{call:?} {path}: {}", said.out);
                assert_eq!(said.error, format!("ckpt: {to} exists; --force replaces it\n"));
                assert!(contents(directory.path()) == before, "{call:?} {path}");
            }
        }
    }
}

#[test]
fn a_source_is_never_a_destination_with_or_without_force() {
    let directory = directory(10);
    let made = run(directory.path(), &["reshard", "a", "ranks", "--ranks", "2"]);
    assert_eq!(made.status, 0, "{}", made.error);
    #[cfg(unix)]
    std::os::unix::fs::symlink("a", directory.path().join("link")).expect("linked");
    let before = contents(directory.path());
    for call in CALLS {
        for (from, to) in [
            ("a", "a"),
            ("a", "./a"),
            ("a", "ranks/../a"),
            ("ranks", "ranks/"),
            ("ranks", "ranks/inside"),
            ("ranks", "ranks/new/folder/inside"),
            ("a", "."),
            ("link", "a"),
            ("a", "link"),
        ] {
            if from == "link" && !cfg!(unix) {
                continue;
            }
            for force in [&["--force"][..], &["--force", "--dry-run"], &[]] {
                let said = run(directory.path(), &[call, &[from, to], force].concat());
                assert_eq!((said.status, said.out.as_str()), (1, ""), "{call:?} {from} {to}");
                assert_eq!(said.error.lines().count(), 1, "{}", said.error);
                assert!(
                    contents(directory.path()) == before,
                    "{call:?} {from} {to}: {}",
                    said.error
                );
            }
        }
    }
}

#[test]
fn force_replaces_checkpoints_and_links_to_them_and_no_folder_of_the_user() {
    let directory = directory(10);
    let at = |name: &str| directory.path().join(name);
    fs::write(at("b"), "notes").expect("written");
    fs::create_dir(at("folder")).expect("made");
    fs::write(at("folder/notes.txt"), "mine").expect("written");
    for call in CALLS {
        let said = run(directory.path(), &[call, &["a", "b", "--force"]].concat());
        assert_eq!(said.status, 0, "{call:?}: {}", said.error);
        let verified = run(directory.path(), &["verify", "b"]);
        assert_eq!(verified.status, 0, "{}", verified.error);
        let said = run(directory.path(), &[call, &["a", "folder", "--force"]].concat());
        assert_eq!(said.status, 1, "{call:?}: {}", said.out);
        assert_eq!(fs::read(at("folder/notes.txt")).expect("it is there"), b"mine");
    }
}

#[test]
fn a_dry_run_says_what_a_run_writes_and_writes_nothing() {
    let directory = directory(1000);
    for (number, call) in CALLS.iter().enumerate() {
        let to = format!("b{number}.out");
        let before = contents(directory.path());
        let planned = run(directory.path(), &[call, &["a", &to, "--dry-run"][..]].concat());
        assert_eq!(planned.status, 0, "{}", planned.error);
        assert!(contents(directory.path()) == before);
        let wrote = run(directory.path(), &[call, &["a", &to][..]].concat());
        assert_eq!(planned.out.replace("would write", "wrote"), wrote.out);
    }
}

#[test]
fn the_ending_chooses_the_format_and_an_option_overrides_it() {
    let directory = directory(10);
    let format = |to: &str, more: &[&str]| {
        let said = run(directory.path(), &[&["convert", "a", to, "--force"], more].concat());
        assert_eq!(said.status, 0, "{to}: {}", said.error);
        let bytes = fs::read(directory.path().join(to)).expect("written");
        match &bytes {
            bytes if bytes.starts_with(b"PK") => "torch",
            bytes if bytes.windows(10).any(|some| some == b"__fabric__") => "fabric",
            _ => "safetensors",
        }
    };
    for (to, expected) in [
        ("b.safetensors", "safetensors"),
        ("b.pt", "torch"),
        ("b.PTH", "torch"),
        ("b.bin", "torch"),
        ("b.ckpt", "torch"),
        ("b", "fabric"),
        ("b.fabric", "fabric"),
    ] {
        assert_eq!(format(to, &[]), expected, "{to}");
        for option in ["fabric", "safetensors", "torch"] {
            assert_eq!(format(to, &["--format", option]), option, "{to}");
        }
    }
}

/// The file size that the shell allows is too small: the system ends the write.
#[test]
#[cfg(unix)]
fn a_write_that_fails_or_is_killed_leaves_the_old_file() {
    let directory = directory(2_000_000);
    fs::write(directory.path().join("b"), "old").expect("written");
    // With the signal ignored the write returns an error; otherwise the signal kills the process.
    for prelude in ["trap '' XFSZ; ulimit -f 2000", "ulimit -f 2000"] {
        for call in CALLS {
            let command = format!(
                "{prelude}; exec {} {} a b --force",
                env!("CARGO_BIN_EXE_ckpt"),
                call.join(" ")
            );
            let mut shell = Command::new("sh");
            let output = shell
                .current_dir(&directory)
                .args(["-c", &command])
                .output()
                .expect("sh starts");
            assert!(!output.status.success(), "{command}");
            assert_eq!(
                fs::read(directory.path().join("b")).expect("it is there"),
                b"old",
                "{command}"
            );
        }
    }
    let said = run(directory.path(), &["consolidate", "a", "b", "--force"]);
    assert_eq!(said.status, 0, "{}", said.error);
    let mut names: Vec<_> = fs::read_dir(&directory)
        .expect("a directory")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "b"], "the leftovers of killed calls are swept");
}

#[test]
fn a_pipe_that_closes_ends_quietly_and_the_file_is_whole() {
    let directory = directory(10);
    let mut process = ckpt(directory.path());
    process
        .args(["convert", "a", "b"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = process.spawn().expect("ckpt starts");
    drop(child.stdout.take());
    let said = said(child.wait_with_output().expect("it ends"));
    assert_eq!((said.status, said.error.as_str()), (0, ""));
    let fabric = Fabric::new();
    assert!(
        fabric
            .verify(directory.path().join("b"))
            .expect("a checkpoint")
            .is_whole()
    );
}

#[test]
fn entries_that_are_not_read_are_in_the_output_and_in_json() {
    let directory = directory(10);
    let from = fixture("leaf_sparse.pt").display().to_string();
    for call in CALLS {
        let call = [call, &[&*from, "b", "--force"]].concat();
        let said = run(directory.path(), &call);
        assert_eq!(said.status, 0, "{}", said.error);
        assert!(
            said.out
                .contains("not read, so the contents are missing from 1 entry: "),
            "{}",
            said.out
        );
        let said = run(directory.path(), &[&call[..], &["--json"]].concat());
        let document: serde_json::Value = serde_json::from_str(&said.out).expect("a document");
        assert_eq!(document["not_read"].as_array().map(Vec::len), Some(1), "{document}");
    }
    let said = run(directory.path(), &["convert", &from, "b.pt"]);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.error.contains("is not read: "), "{}", said.error);
}

#[test]
fn a_dry_run_knows_no_numbers_that_became_infinite() {
    let directory = directory(10);
    for (more, expected) in [
        (&["--dry-run"][..], serde_json::Value::Null),
        (&[], serde_json::json!([])),
    ] {
        for call in CALLS {
            let all = [call, &["a", "b", "--json", "--force", "--dtype", "f16"], more].concat();
            let said = run(directory.path(), &all);
            let document: serde_json::Value = serde_json::from_str(&said.out).expect("a document");
            assert_eq!(document["became_infinite"], expected, "{call:?}");
        }
    }
}
