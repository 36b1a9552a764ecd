//! A save removes nothing that no save made.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fabric_core::group::ThreadGroup;
use fabric_core::storage::Local;
use fabric_core::{Error, ExportOptions, Fabric, Result, Strategy};

use super::state::{State, on};

const PRECIOUS: &[u8] = b"precious";

pub(crate) fn ranks() -> Fabric {
    let group = ThreadGroup::new(1).remove(0);
    let builder = Fabric::builder().strategy(Strategy::fsdp()).process_group(group);
    builder.build().expect("one rank")
}

type Write = fn(&Path) -> Result<()>;

/// The ways to write something to a path.
fn every_way() -> Vec<(&'static str, Write)> {
    fn source(path: &Path) -> PathBuf {
        let source = path.with_file_name("source");
        on(Local::new()).save(&source, &State::new(7)).expect("a free name");
        source
    }
    vec![
        ("file", |path| on(Local::new()).save(path, &State::new(2)).map(drop)),
        ("async", |path| {
            on(Local::new()).save_async(path, &State::new(2))?.wait().map(drop)
        }),
        ("ranks", |path| ranks().save(path, &State::new(2)).map(drop)),
        ("export", |path| {
            let options = ExportOptions::new().format(fabric_core::ExportFormat::Torch);
            on(Local::new()).export(source(path), path, options).map(drop)
        }),
        ("consolidate", |path| {
            on(Local::new()).consolidate(source(path), path).map(drop)
        }),
        ("reshard", |path| {
            on(Local::new())
                .reshard(source(path), path, Strategy::fsdp().ranks(2))
                .map(drop)
        }),
    ]
}

/// Every file below a path; directories have no contents.
fn tree(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, Vec::new());
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn put(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, PRECIOUS).unwrap();
}

fn refused(outcome: Result<()>, when: &str) -> String {
    match outcome {
        Err(error @ Error::Destination { .. }) => error.to_string(),
        other => panic!("{when}: {other:?}"),
    }
}

fn generation(checkpoint: &Path) -> String {
    let names = fs::read_dir(checkpoint)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names = names.map(|name| name.into_string().unwrap());
    names.find(|name| name.starts_with("g-")).unwrap()
}

fn strangers() -> Vec<PathBuf> {
    let names: [&[u8]; 10] = [
        b".notes",
        b".git/config",
        b"caf\xe9.txt",
        b"\xff/below",
        b"notes.txt",
        b"g-0123456789abcdef/weights",
        b"g-0123456789abcdef/rank-00000.safetensors",
        b".manifest.fabric.0123456789abcdef.lock",
        b".manifest.fabric.0123456789abcdef.partial",
        b".g-0123456789abcdef.lock",
    ];
    names
        .into_iter()
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .collect()
}

#[test]
fn a_file_does_not_take_the_place_of_a_directory_that_holds_anything_else() {
    for stranger in strangers() {
        for (way, write) in every_way() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("ck");
            ranks().save(&path, &State::new(1)).unwrap();
            put(&path.join(&stranger));
            put(&directory.path().join("source.before"));
            let before = tree(&path);
            let outcome = write(&path);
            if ["ranks", "reshard"].contains(&way) {
                outcome.unwrap();
                assert_eq!(fs::read(path.join(&stranger)).unwrap(), PRECIOUS, "{way}: {stranger:?}");
            } else {
                let said = refused(outcome, way);
                assert!(said.contains("move it"), "{said}");
                assert_eq!(tree(&path), before, "{way}: {stranger:?}");
            }
        }
    }
}

#[test]
fn what_lies_in_the_folder_that_a_save_removes_makes_it_refuse() {
    for (way, write) in every_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ck");
        ranks().save(&path, &State::new(1)).unwrap();
        put(&path.join(generation(&path)).join("notes"));
        let before = tree(&path);
        let said = refused(write(&path), way);
        assert!(said.contains("/notes`"), "{said}");
        assert_eq!(tree(&path), before, "{way}");
    }
}

#[test]
fn a_directory_that_is_no_checkpoint_of_ours_is_refused() {
    for names in [
        &["manifest.fabric", ".env"][..],
        &["manifest.fabric"],
        &["notes.txt"],
        &[".hidden"],
        &["below/file"],
        &["model.safetensors"],
    ] {
        for (way, write) in every_way() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("ck");
            for name in names {
                put(&path.join(name));
            }
            let before = tree(&path);
            refused(write(&path), way);
            assert_eq!(tree(&path), before, "{way}: {names:?}");
        }
    }
}

#[test]
fn names_beside_the_path_that_look_like_a_save_s_stay() {
    let token = "0123456789abcdef";
    let names: [String; 9] = [
        ".model.mine.partial/file".into(),
        ".model.notes.partial".into(),
        ".model.replaced/file".into(),
        ".model.17-0.partial".into(),
        format!(".model.{token}.partial"),
        format!(".model.{token}.lock"),
        format!(".model.{token}.replaced"),
        ".model.fedcba9876543210.partial/file".into(),
        ".model.fedcba9876543210.replaced/manifest.fabric".into(),
    ];
    for (way, write) in every_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        for name in &names {
            put(&directory.path().join(name));
        }
        for round in 0..2 {
            write(&path).unwrap_or_else(|error| panic!("{way}, {round}: {error}"));
            on(Local::new()).save(&path, &State::new(3)).unwrap();
            ranks().save(&path, &State::new(4)).unwrap();
            for name in &names {
                let found = fs::read(directory.path().join(name)).unwrap();
                assert_eq!(found, PRECIOUS, "{way}: {name}");
            }
        }
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.retain(|name| !name.to_str().unwrap().starts_with('.'));
        left.retain(|name| name != "source");
        assert_eq!(left, ["model"], "{way}");
    }
}

#[test]
fn a_regular_file_is_replaced_whatever_it_holds() {
    for (way, write) in every_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        put(&path);
        write(&path).unwrap();
        on(Local::new()).open(&path).unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.retain(|name| name != "source");
        assert_eq!(left, ["model"], "{way}");
    }
}

#[test]
fn an_empty_directory_takes_a_checkpoint_of_ranks_and_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ck");
    fs::create_dir(&path).unwrap();
    let said = refused(on(Local::new()).save(&path, &State::new(1)).map(drop), "a file");
    assert!(said.contains("give the name of a file in it"), "{said}");
    ranks().save(&path, &State::new(1)).unwrap();
    on(Local::new()).open(&path).unwrap();
}

#[test]
fn a_generation_that_was_moved_away_and_linked_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ck");
    ranks().save(&path, &State::new(1)).unwrap();
    let (link, elsewhere) = (path.join(generation(&path)), directory.path().join("elsewhere"));
    fs::rename(&link, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    let before = tree(&elsewhere);
    refused(on(Local::new()).save(&path, &State::new(2)).map(drop), "a file");
    ranks().save(&path, &State::new(2)).unwrap();
    ranks().save(&path, &State::new(3)).unwrap();
    assert_eq!(tree(&elsewhere), before);
    assert!(link.is_symlink());
    on(Local::new()).load(&path, &mut State::new(0)).unwrap();
}
