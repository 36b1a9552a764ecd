//! A limit of how long a file the process may write: an error, and no signal.

use std::process::Command;

use super::tool::{ask, run, said};

/// The tool under `ulimit -f`, whose unit is 512 or 1024 bytes.
fn limited(blocks: u32, arguments: &str) -> String {
    let script = format!("ulimit -f {blocks} && exec \"$0\" {arguments}");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_checkpoint-tool"));
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    said(&run(&mut command))
}

#[test]
fn a_save_beyond_the_limit_of_file_sizes_is_an_error_and_leaves_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let name = path.to_str().unwrap();
    for (save, load) in [("save", "load"), ("save-async", "load"), ("save-ranks", "load-ranks")] {
        assert_eq!(ask(&[&save, &path, &"1000000", &"1"]), "ok 1");
        for blocks in [0, 1, 20, 2100, 8000] {
            for elements in ["1000000", "3000000"] {
                let said = limited(blocks, &format!("{save} {name} {elements} 2"));
                if said == "ok 2" {
                    assert!(
                        blocks == 8000 && elements == "1000000",
                        "{save}, {blocks} blocks: {said}"
                    );
                    assert_eq!(ask(&[&save, &path, &"1000000", &"1"]), "ok 1");
                    continue;
                }
                assert!(said.contains("ulimit -f"), "{save}, {blocks} blocks: {said}");
                assert_eq!(ask(&[&load, &path, &"1000000"]), "ok 1");
                let names = std::fs::read_dir(directory.path()).unwrap().count();
                assert_eq!(names, 1, "{save}, {blocks} blocks: something is left");
            }
        }
    }
}
