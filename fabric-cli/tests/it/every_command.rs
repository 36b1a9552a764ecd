//! Every command on every fixture, and on files that no program has written.

use std::fs;
use std::path::{Path, PathBuf};

use fabric_core::Fabric;
use testkit::fuzzing::CASES;
use testkit::fuzzing::mutation::{Random, mutated};
use testkit::fuzzing::seeds::{regressions, seeds};

use crate::support::run;

/// Changes of each seed.
const MUTATIONS: u64 = 3;

/// The fixtures of the repository: files and directories.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch");
    let files = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("it is readable").path()).collect();
    paths.retain(|path| path.extension().is_none_or(|extension| extension != "json"));
    paths.sort();
    paths
}

/// Seeds, former findings and changed seeds of all formats, as files in a directory.
fn written(directory: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for case in CASES {
        let seeds = seeds(case);
        let mut inputs = regressions(case);
        for (number, seed) in seeds.iter().enumerate() {
            let changed = |mutation| mutated(seed, &seeds, &mut Random::new(mutation ^ (number as u64) << 32));
            inputs.extend((0..MUTATIONS).map(changed));
        }
        for (number, bytes) in inputs.iter().enumerate() {
            let path = directory.join(format!("{}-{number}", case.name));
            fs::write(&path, bytes).expect("it is writable");
            paths.push(path);
        }
    }
    paths
}

/// Runs a command, whose outcome is an answer or one sentence.
fn check(directory: &Path, arguments: &[&str]) {
    let said = run(directory, arguments);
    let context = format!("{arguments:?}: {said:?}");
    assert!((0..=2).contains(&said.status), "{context}");
    let obeyed = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!said.out.contains(obeyed) && !said.error.contains(obeyed), "{context}");
    assert!(said.error.lines().count() <= 1, "{context}");
    assert!(said.error.is_empty() || said.error.starts_with("ckpt: "), "{context}");
    assert!(
        said.status == 0 || !(said.out.is_empty() && said.error.is_empty()),
        "{context}"
    );
}

#[test]
fn no_file_makes_a_command_panic_and_no_name_reaches_the_terminal_as_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let here = directory.path();
    let mut paths = fixtures();
    assert!(paths.len() > 50, "fixtures are missing");
    paths.extend(written(here));
    for path in &paths {
        let file = path.to_str().expect("a path of this test");
        let first = Fabric::new()
            .open(path)
            .ok()
            .and_then(|raw| Some((*raw.names().first()?).to_owned()));
        let name = first.as_deref().unwrap_or("weight");
        for arguments in [
            &["ls", file][..],
            &["ls", "--json", "--flat", file],
            &["show", file, name],
            &["show", "--json", "--full", file, name],
            &["verify", file],
            &["verify", "--json", file],
            &["diff", file, file],
            &["convert", "--dry-run", file, "out.safetensors"],
            &["consolidate", "--dry-run", file, "out"],
        ] {
            check(here, arguments);
        }
    }
}
