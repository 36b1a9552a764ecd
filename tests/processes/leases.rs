//! A process that loads, and another that opens or changes the same file.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::rounds;
use crate::tool::{ask, run, said, tool};

/// Elements of a tensor: two of them are 32 MiB, which several threads load.
const ELEMENTS: &str = "4194304";

/// Directories of the file systems that grant leases on most machines.
fn directories() -> Vec<tempfile::TempDir> {
    let memory = PathBuf::from("/dev/shm");
    let mut directories = vec![tempfile::tempdir().unwrap()];
    directories.extend(memory.is_dir().then(|| tempfile::tempdir_in(memory).unwrap()));
    directories
}

/// Ends a thread, also when the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Opens the file for writing again and again while `work` runs.
fn touching(path: &Path, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(OpenOptions::new().append(true).open(path));
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let _stop = Stop(&stop);
        work();
    });
}

#[test]
fn a_loading_process_survives_another_one_that_opens_the_file_for_writing() {
    for directory in directories() {
        let path = directory.path().join("last.ckpt");
        assert_eq!(ask(&[&"save", &path, &ELEMENTS, &"3"]), "ok 3");
        touching(&path, || {
            for _ in 0..rounds(20) {
                let output = run(&mut tool(&[&"load", &path, &ELEMENTS]));
                assert_eq!(said(&output), "ok 3");
            }
        });
    }
}
