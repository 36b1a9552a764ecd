//! Paths of every form: a save accepts every path that the system can hold, and refuses others before anything is written.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fabric_core::Error;
use fabric_core::storage::Local;

use super::state::{State, on};
use super::users_files::ranks;

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect()
}

/// Saves in every way, each over the checkpoint of the way before, and loads.
fn saves_and_loads(path: &Path) {
    for (round, seed) in (1..=6).enumerate() {
        let state = State::new(seed);
        let saved = match round % 3 {
            0 => on(Local::new()).save(path, &state),
            1 => ranks().save(path, &state),
            _ => on(Local::new())
                .save_async(path, &state)
                .and_then(fabric_core::Saving::wait),
        };
        saved.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let mut found = State::new(0);
        on(Local::new()).load(path, &mut found).unwrap();
        assert_eq!(found.contents(), State::new(seed).contents());
    }
}

#[test]
fn names_of_every_length_that_the_system_has_are_saved_to() {
    for len in [1, 64, 95, 96, 97, 200, 230, 239, 240, 248, 254, 255] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x".repeat(len));
        saves_and_loads(&path);
        assert_eq!(names(directory.path()), ["x".repeat(len).as_str()], "{len} bytes");
    }
    let directory = tempfile::tempdir().unwrap();
    saves_and_loads(&directory.path().join("ä".repeat(127)));
}

#[test]
fn a_name_that_is_not_utf_8_is_saved_to() {
    let directory = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b"caf\xe9.ckpt");
    saves_and_loads(&directory.path().join(name));
    assert_eq!(names(directory.path()), [name]);
}

#[test]
fn a_slash_or_a_dot_at_the_end_means_the_same_file() {
    for end in ["/", "//", "/."] {
        let directory = tempfile::tempdir().unwrap();
        let path = PathBuf::from(format!("{}/run/last{end}", directory.path().display()));
        saves_and_loads(&path);
        assert_eq!(names(&directory.path().join("run")), ["last"]);
        on(Local::new()).open(directory.path().join("run/last")).unwrap();
    }
}

#[test]
fn a_path_that_the_system_cannot_hold_is_refused_before_anything_is_written() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(2100);
    for end in [
        format!("new/{long}"),
        format!("{long}/new"),
        format!("new/{}", "ä".repeat(128)),
        format!("new/{deep}last"),
        "new/with\0zero".to_owned(),
        "with\0zero/new".to_owned(),
        "..".to_owned(),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(&end);
        for saved in [
            on(Local::new()).save(&path, &State::new(1)),
            ranks().save(&path, &State::new(1)),
            on(Local::new())
                .save_async(&path, &State::new(1))
                .and_then(fabric_core::Saving::wait),
        ] {
            assert!(matches!(saved, Err(Error::Destination { .. })), "{end:.20}: {saved:?}");
            assert!(names(directory.path()).is_empty(), "{end:.20}");
        }
    }
}

#[test]
fn an_empty_path_is_told_as_one() {
    let saved = on(Local::new()).save("", &State::new(1)).unwrap_err().to_string();
    assert!(saved.contains("the path is empty; give the name of a file"), "{saved}");
    let opened = on(Local::new()).open("").map(drop).unwrap_err().to_string();
    assert!(opened.contains("the path is empty"), "{opened}");
}

#[test]
fn a_link_to_nothing_is_told_as_one_and_saved_through() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::os::unix::fs::symlink("there/last.ckpt", at("link")).unwrap();
    let error = on(Local::new()).open(at("link")).map(drop).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.contains("symbolic link to") && said.contains("there/last.ckpt"),
        "{said}"
    );
    on(Local::new()).save(at("link"), &State::new(1)).unwrap();
    assert!(at("link").is_symlink());
    on(Local::new()).open(at("there/last.ckpt")).unwrap();

    std::os::unix::fs::symlink("nowhere", at("parent")).unwrap();
    let said = on(Local::new())
        .save(at("parent/last.ckpt"), &State::new(1))
        .unwrap_err()
        .to_string();
    assert!(said.contains("symbolic link"), "{said}");
}
