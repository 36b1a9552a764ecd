//! Damaged and hostile files: `ls` and `show` end with an error or with output, and never with a panic.

use std::fs;
use std::path::Path;

use testkit::fuzzing::seeds::{regressions, seeds};
use testkit::fuzzing::{CASES, checkpoint};

use crate::support::run;

/// The calls that read the whole index, and those that read contents.
fn look(directory: &Path, path: &str) {
    let listed = run(directory, &["ls", path]);
    run(directory, &["ls", "--json", path]);
    // The name of the first tensor of the seeds.
    let shown = run(directory, &["show", path, "0.0"]);
    for said in [listed, shown] {
        assert!(said.status == 0 || said.error.starts_with("ckpt: "), "{said:?}");
        assert!(said.error.lines().count() <= 1, "{said:?}");
    }
}

#[test]
fn a_changed_byte_and_a_missing_end_are_errors_or_no_harm() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("input");
    let whole = checkpoint();
    // Some bytes of every part: the header, the tensors, the manifest.
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut changed = whole.to_vec();
        changed[at] ^= 0x11;
        fs::write(&path, changed).expect("it is writable");
        look(directory.path(), "input");
        fs::write(&path, &whole[..at]).expect("it is writable");
        look(directory.path(), "input");
    }
}

#[test]
fn inputs_of_the_fuzzer_are_listed_or_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("input");
    for case in CASES
        .iter()
        .filter(|case| ["single_file", "torch"].contains(&case.name))
    {
        let inputs = seeds(case).into_iter().chain(regressions(case));
        for input in inputs {
            fs::write(&path, &input).expect("it is writable");
            look(directory.path(), "input");
            let mut changed = input;
            let middle = changed.len() / 2;
            if let Some(byte) = changed.get_mut(middle) {
                *byte ^= 0x80;
            }
            fs::write(&path, changed).expect("it is writable");
            look(directory.path(), "input");
        }
    }
}

#[test]
fn every_fixture_of_pytorch_is_listed() {
    let fixtures = testkit::files::fixture("");
    let mut listed = 0;
    for found in fs::read_dir(&fixtures).expect("the fixtures").flatten() {
        let name = found.file_name().into_string().expect("UTF-8");
        let said = run(&fixtures, &["ls", &name]);
        assert!(said.status == 0 || said.error.starts_with("ckpt: "), "{name}: {said:?}");
        listed += usize::from(said.status == 0);
    }
    assert!(listed > 20, "{listed}");
}

#[test]
fn a_name_of_very_many_parts_is_listed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let name = "a.".repeat(500_000);
    let header = format!(r#"{{"{name}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[7]].concat();
    fs::write(directory.path().join("deep.safetensors"), bytes).expect("it is writable");
    for arguments in [&["ls", "deep.safetensors"][..], &["show", "deep.safetensors", "a"]] {
        let said = run(directory.path(), arguments);
        assert_eq!((said.status, said.error.as_str()), (0, ""));
    }
}
