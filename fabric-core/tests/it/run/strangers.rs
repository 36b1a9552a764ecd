//! Everything in the directory of a run that no run wrote, and a second writer.

use std::io::ErrorKind;
use std::path::Path;

use fabric_core::run::{Keep, Run};
use fabric_core::storage::{FileKind, Storage};
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Error, Fabric, Strategy};
use testkit::files::{on, read, write};

use super::{AT, State, fabric, opened, save, steps, with};

#[test]
fn files_of_the_user_stay_whatever_they_are_called() {
    let (memory, run) = with(&[1], |run| run);
    drop(run);
    let names = [
        "notes.txt",
        "step-000000002.txt",
        "step-000000003.ckpt.bak",
        "step-3.ckpt",
        ".step-000000001.ckpt.partial",
        ".step-000000001.ckpt.0123456789abcdef.partial",
        "last.ckpt",
    ];
    for name in names {
        write(&memory, Path::new(AT).join(name), b"mine");
    }
    fabric(&memory)
        .save(format!("{AT}/step-000000004.ckpt"), &State::new(4))
        .expect("a plain save");
    let mut run = opened(&memory, |run| run.keep(Keep::last(1)));
    for step in 5..8 {
        save(&mut run, step);
    }
    assert_eq!(steps(&run), [7]);
    for name in names {
        assert_eq!(read(&memory, Path::new(AT).join(name)), b"mine", "{name}");
    }
    let error = run.save(4, &State::new(4), &[]).expect_err("a plain save has the name");
    assert!(matches!(error, Error::Destination { .. }), "{error}");
    let mut state = State::new(0);
    fabric(&memory)
        .load(format!("{AT}/step-000000004.ckpt"), &mut state)
        .expect("still there");
    state.assert_is(4);
}

#[test]
fn a_copy_of_a_checkpoint_under_the_name_of_another_step_is_no_checkpoint_of_the_run() {
    let (memory, mut run) = with(&[1, 2], |run| run.keep(Keep::last(1)));
    let copy = read(&memory, Path::new(AT).join("step-000000002.ckpt"));
    write(&memory, Path::new(AT).join("step-000000009.ckpt"), &copy);
    save(&mut run, 3);
    assert_eq!(steps(&run), [3]);
    assert_eq!(read(&memory, Path::new(AT).join("step-000000009.ckpt")), copy);
}

#[test]
fn a_file_that_replaced_a_checkpoint_while_the_run_was_open_stays() {
    let (memory, mut run) = with(&[1, 2], |run| run.keep(Keep::last(1)));
    let path = Path::new(AT).join("step-000000002.ckpt");
    memory.remove_file(&path).expect("a checkpoint");
    write(&memory, &path, b"mine");
    save(&mut run, 3);
    assert_eq!(read(&memory, &path), b"mine");
    memory
        .remove_file(Path::new(AT).join("step-000000003.ckpt").as_path())
        .expect("a checkpoint");
    save(&mut run, 4);
    assert_eq!(steps(&run), [4]);
}

#[test]
fn a_file_of_the_user_with_the_name_of_the_lock_stays_and_is_named() {
    let memory = fabric_core::testing::Memory::new();
    let lock = Path::new(AT).join(".run.lock");
    write(&memory, &lock, b"mine");
    let error = Run::at(AT).open(&fabric(&memory)).expect_err("it is no lock of a run");
    assert!(
        matches!(error, Error::Destination { .. }) && error.to_string().contains(".run.lock"),
        "{error}"
    );
    assert_eq!(read(&memory, &lock), b"mine");
}

#[test]
fn a_lock_without_room_for_its_mark_holds_and_another_error_leaves_no_file() {
    let lock = Path::new(AT).join(".run.lock");
    let opened = |fault| {
        let memory = Memory::new();
        // The directory is created, then the lock, then its mark is written.
        let storage = Faulty::new(memory.clone());
        drop(Run::at(AT).open(&on(storage.clone())).expect("no fault is set"));
        let is_write = |name: &String| name.contains("write_all");
        let at = storage.log().iter().position(is_write).expect("the mark is written");
        let faulty = Faulty::new(memory.clone()).with_fault(at, fault);
        (Run::at(AT).open(&on(faulty)), memory)
    };
    for fault in [Fault::ShortWrite, Fault::Error(ErrorKind::StorageFull)] {
        let (run, memory) = opened(fault);
        let run = run.expect("the lock needs no mark");
        let second = Run::at(AT).open(&fabric(&memory));
        assert!(matches!(second, Err(Error::RunInUse { .. })), "{second:?}");
        drop(run);
        assert_eq!(memory.kind(&lock).expect("readable"), None);
    }
    let (run, memory) = opened(Fault::Os(5));
    assert!(matches!(run, Err(Error::Io { .. })), "{run:?}");
    assert_eq!(memory.kind(&lock).expect("readable"), None);
}

#[test]
fn a_run_has_one_writer_at_a_time_and_any_number_of_readers() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("run");
    let mut run = Run::at(&at).open(&Fabric::new()).expect("a new run");
    save(&mut run, 1);
    let second = Run::at(&at).open(&Fabric::new());
    assert!(matches!(second, Err(Error::RunInUse { .. })));
    let mut state = State::new(0);
    Fabric::new()
        .load(at.join("step-000000001.ckpt"), &mut state)
        .expect("a reader takes no lock");
    drop(run);
    let run = Run::at(&at).open(&Fabric::new()).expect("the first one has ended");
    assert_eq!(steps(&run), [1]);
    drop(run);
    let names: Vec<_> = std::fs::read_dir(&at).expect("a directory").collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_directory_that_was_half_removed_when_the_power_failed_is_removed_without_its_lock_and_its_manifest() {
    let memory = Memory::new();
    let on_ranks = |steps: &[u64]| {
        testkit::world::run(&Strategy::fsdp(), 2, &memory, |fabric| {
            let mut run = Run::at(AT).open(fabric).expect("a run");
            for step in steps {
                run.save(*step, &State::new(*step), &[]).expect("saved");
            }
        });
    };
    on_ranks(&[1, 2]);
    let (whole, hidden) = (
        Path::new(AT).join("step-000000001.ckpt"),
        Path::new(AT).join(".step-000000001.ckpt.0123456789abcdef.partial"),
    );
    memory.rename(&whole, &hidden).expect("a directory");
    for name in memory.list(&hidden).expect("a directory") {
        let path = hidden.join(name);
        if memory.kind(&path).expect("readable") == Some(FileKind::File) {
            memory.remove_file(&path).expect("the manifest");
        }
    }
    assert!(
        !memory.list(&hidden).expect("a directory").is_empty(),
        "the files of the ranks are there"
    );
    // A file of the user in such a directory keeps it.
    let mine = Path::new(AT).join(".step-000000002.ckpt.0123456789abcdef.partial/mine.txt");
    write(&memory, &mine, b"mine");
    on_ranks(&[]);
    assert_eq!(memory.kind(&hidden).expect("readable"), None);
    assert_eq!(read(&memory, &mine), b"mine");
}
