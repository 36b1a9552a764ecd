//! Power failures and full disks, on a file system in a file that the test mounts for itself.
//!
//! The image of the mounted file system at one instant, without anything that the system still holds in memory, is a disk as
//! a power failure leaves it. The process that saves is stopped meanwhile, and the image is copied until two copies agree.
//! A disk that loses its own cache is not modelled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::rounds;
use super::tool::{Writer, ask};

/// A small file system, mounted until it is dropped.
pub(super) struct Mounted {
    pub(super) at: PathBuf,
}

impl Mounted {
    fn mount(image: &Path, at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = succeeds(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at));
        mounted.then(|| Self { at: at.to_path_buf() })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A file with a file system of so many MiB.
fn formatted(directory: &Path, mib: u64) -> Option<PathBuf> {
    let image = directory.join("image");
    std::fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
    succeeds(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image)).then_some(image)
}

/// Calls `test` with a directory for files of its own and a file system, where mounts are permitted.
pub(super) fn on_a_file_system(mib: u64, test: impl FnOnce(&Path, &Path, Mounted)) {
    let directory = tempfile::tempdir().unwrap();
    let image = formatted(directory.path(), mib);
    match image.and_then(|image| Some((Mounted::mount(&image, &directory.path().join("disk"))?, image))) {
        Some((disk, image)) => test(directory.path(), &image, disk),
        None => println!("not tested: this process may not mount a file system"),
    }
}

/// The image as it is at one instant. The process that writes there is stopped.
fn snapshot(image: &Path, to: &Path) {
    let mut before = std::fs::read(image).unwrap();
    loop {
        let now = std::fs::read(image).unwrap();
        if now == before {
            return std::fs::write(to, now).unwrap();
        }
        before = now;
    }
}

/// Lets the power fail while saves go on, again and again; for each failure, the iteration whose save was reported last, and
/// the answer of a load afterwards.
fn power_failures(rounds: usize, save: &str, writer: &str, load: &str) -> Vec<(u64, String)> {
    let mut failures = Vec::new();
    on_a_file_system(48, |directory, image, disk| {
        let path = disk.at.join("run").join("last.ckpt");
        let elements = "100000";
        assert_eq!(ask(&[&save, &path, &elements, &"1"]), "ok 1");
        let mut last = 1;
        for round in 0..rounds {
            let mut saver = Writer::start(&[&writer, &path, &elements, &(last + 1).to_string()]);
            std::thread::sleep(Duration::from_micros(30_000 + (round as u64 * 7_919) % 90_000));
            saver.stop();
            last = saver.last_reported().unwrap_or(last);
            let failed = directory.join("failed");
            snapshot(image, &failed);
            saver.kill();
            let after = Mounted::mount(&failed, &directory.join("after")).expect("the journal is replayed");
            failures.push((last, ask(&[&load, &after.at.join("run").join("last.ckpt"), &elements])));
        }
        drop(disk);
    });
    failures
}

/// Whether a load gave that iteration or a later one.
fn is_at_least(found: &str, iteration: u64) -> bool {
    let found = found.strip_prefix("ok ").and_then(|number| number.parse::<u64>().ok());
    found.is_some_and(|found| found >= iteration)
}

#[test]
fn a_save_that_was_reported_survives_a_power_failure() {
    for (save, writer, load) in [("save", "writer", "load"), ("save-ranks", "writer-ranks", "load-ranks")] {
        for (reported, found) in power_failures(rounds(4), save, writer, load) {
            assert!(
                is_at_least(&found, reported),
                "{writer}: {reported} was reported, and then: {found}"
            );
        }
    }
}

/// The control: saves that are not synced are lost, so the snapshot is that of a power failure.
#[test]
fn a_save_that_is_not_synced_does_not_survive_a_power_failure() {
    let failures = power_failures(3, "save", "writer-relaxed", "load");
    let lost = failures
        .iter()
        .filter(|(reported, found)| !is_at_least(found, *reported));
    assert!(lost.count() > 0 || failures.is_empty(), "{failures:?}");
}

#[test]
fn a_full_disk_costs_nothing_that_was_there() {
    on_a_file_system(24, |_, _, disk| {
        for (round, (save, load)) in [("save", "load"), ("save-ranks", "load-ranks"), ("save-async", "load")]
            .into_iter()
            .cycle()
            .take(rounds(3))
            .enumerate()
        {
            let run = disk.at.join(format!("run-{round}"));
            let path = run.join("last.ckpt");
            assert_eq!(ask(&[&save, &path, &"100000", &"7"]), "ok 7", "{save}");
            // Twice 12 MB do not fit beside it.
            let refused = ask(&[&save, &path, &"3000000", &"8"]);
            assert!(
                refused.starts_with("error ") && refused.contains("space"),
                "{save}: {refused}"
            );
            assert_eq!(ask(&[&load, &path, &"100000"]), "ok 7", "{save}");
            let left: Vec<_> = std::fs::read_dir(&run)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert_eq!(left, ["last.ckpt"], "{save}");
            std::fs::remove_dir_all(run).unwrap();
        }
    });
}

#[test]
fn a_disk_with_room_for_two_checkpoints_takes_save_after_save() {
    on_a_file_system(40, |_, _, disk| {
        for save in ["repeat", "repeat-relaxed", "repeat-mixed", "repeat-ranks"] {
            let run = disk.at.join(save);
            // A third checkpoint of 12 MB does not fit: each save needs the room of the checkpoint that the last one replaced.
            let saved = ask(&[&save, &run.join("last.ckpt"), &"1500000", &"5"]);
            assert_eq!(saved, "ok 5", "{save}");
            std::fs::remove_dir_all(run).unwrap();
        }
    });
}
