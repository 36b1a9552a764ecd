//! A process that loads, and another that opens or changes the same file.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::rounds;
use super::tool::{Writer, ask, run, said, tool};

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

/// An overlay mount, as the root of a container is one.
struct Overlay {
    directory: tempfile::TempDir,
}

impl Overlay {
    /// `None` where this process may not mount one.
    fn mount() -> Option<Self> {
        directories().into_iter().find_map(|directory| {
            let at = directory.path();
            let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| at.join(name));
            for directory in [&lower, &upper, &work, &merged] {
                std::fs::create_dir(directory).unwrap();
            }
            let layers = [("lowerdir", lower), ("upperdir", upper), ("workdir", work)];
            let options = layers
                .map(|(name, path)| format!("{name}={}", path.display()))
                .join(",");
            let mut command = Command::new("mount");
            command.args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged);
            let mounted = command.output().is_ok_and(|output| output.status.success());
            mounted.then_some(Self { directory })
        })
    }

    fn merged(&self) -> PathBuf {
        self.directory.path().join("merged/last.ckpt")
    }

    /// The same file, past the overlay.
    fn upper(&self) -> PathBuf {
        self.directory.path().join("upper/last.ckpt")
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg(self.directory.path().join("merged"))
            .status();
    }
}

fn on_an_overlay(test: impl FnOnce(&Overlay)) {
    match Overlay::mount() {
        Some(overlay) => {
            assert_eq!(ask(&[&"save", &overlay.merged(), &ELEMENTS, &"3"]), "ok 3");
            test(&overlay);
        }
        None => println!("not tested: this process may not mount an overlay"),
    }
}

/// A lease on a file of an overlay does not hold a writer back that has mapped the file below.
#[test]
fn a_file_of_an_overlay_is_not_lent() {
    on_an_overlay(|overlay| {
        assert_eq!(ask(&[&"lent", &overlay.merged()]), "ok 0");
        assert_eq!(ask(&[&"load", &overlay.merged(), &ELEMENTS]), "ok 3");
    });
}

#[test]
fn a_file_of_an_overlay_that_is_cut_while_it_is_loaded_ends_no_process() {
    on_an_overlay(|overlay| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let file = OpenOptions::new().write(true).open(overlay.upper()).unwrap();
                let len = file.metadata().unwrap().len();
                while !stop.load(Ordering::Relaxed) {
                    file.set_len(len / 2).unwrap();
                    file.set_len(len).unwrap();
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
            let _stop = Stop(&stop);
            for _ in 0..rounds(10) {
                let said = said(&run(&mut tool(&[&"load", &overlay.merged(), &ELEMENTS])));
                assert!(said.starts_with("error ") && !said.contains("mixed"), "{said}");
            }
        });
    });
}

#[test]
fn a_file_that_changes_while_it_is_loaded_gives_an_error_or_what_was_saved() {
    let check = |path: &Path| {
        let flipping = Writer::start(&[&"flip", &path]);
        while flipping.last_reported().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        for _ in 0..rounds(10) {
            let said = said(&run(&mut tool(&[&"load", &path, &ELEMENTS])));
            assert!(said == "ok 3" || said.contains("checksum"), "{said}");
        }
    };
    for directory in directories() {
        let path = directory.path().join("last.ckpt");
        assert_eq!(ask(&[&"save", &path, &ELEMENTS, &"3"]), "ok 3");
        check(&path);
    }
    on_an_overlay(|overlay| check(&overlay.merged()));
}
