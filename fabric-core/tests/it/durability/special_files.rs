//! Devices, FIFOs and sockets: nothing waits for them, and nothing replaces them. All are made by the tests.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use fabric_core::storage::Local;
use fabric_core::{Error, Fabric};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::state::{State, on};
use super::users_files::ranks;

fn make(path: &Path, kind: FileType) -> bool {
    // The numbers of /dev/null.
    let made = mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), makedev(1, 3));
    assert!(kind == FileType::CharacterDevice || made.is_ok(), "{made:?}");
    made.is_ok()
}

/// The result of `work`; a test fails that waits for it longer than half a minute.
fn soon<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = channel();
    std::thread::spawn(move || done.send(work()));
    is_done
        .recv_timeout(Duration::from_secs(30))
        .unwrap_or_else(|_| panic!("{what} hangs"))
}

#[test]
fn what_is_no_regular_file_is_neither_opened_nor_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut names = vec!["fifo", "socket"];
    make(&at("fifo"), FileType::Fifo);
    let _socket = UnixListener::bind(at("socket")).unwrap();
    if make(&at("device"), FileType::CharacterDevice) {
        names.push("device");
    }
    std::os::unix::fs::symlink("fifo", at("link")).unwrap();
    names.push("link");
    on(Local::new()).save(at("source"), &State::new(1)).unwrap();
    for name in names {
        let kind = fs::metadata(at(name)).unwrap().file_type();
        let (path, source) = (at(name), at("source"));
        let said = soon(name, move || {
            let one: Fabric = on(Local::new());
            let opened = one.open(&path).map(drop);
            assert!(matches!(opened, Err(Error::UnknownFormat { .. })), "{opened:?}");
            one.load(&path, &mut State::new(1)).unwrap_err();
            vec![
                one.save(&path, &State::new(1)).map(drop),
                one.save_async(&path, &State::new(1))
                    .and_then(|saving| saving.wait().map(drop)),
                ranks().save(&path, &State::new(1)).map(drop),
                one.consolidate(&source, &path).map(drop),
                one.reshard(&source, &path, fabric_core::Strategy::fsdp().ranks(2))
                    .map(drop),
            ]
        });
        for outcome in said {
            assert!(matches!(outcome, Err(Error::Destination { .. })), "{name}: {outcome:?}");
        }
        let left = fs::metadata(at(name)).unwrap().file_type();
        assert_eq!(left, kind, "{name}");
        assert!(left.is_fifo() || left.is_socket() || left.is_char_device());
    }
    assert_eq!(
        fs::read_dir(directory.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with('.') })
            .count(),
        0
    );
}

/// Opens a path and reads all that is there, which must fail and not hang.
fn is_refused(path: &Path) -> Error {
    let path = path.to_path_buf();
    soon(&path.display().to_string(), move || {
        let fabric: Fabric = on(Local::new());
        let opened = fabric.open(&path).and_then(|raw| raw.tensors(&Device::Cpu).map(drop));
        opened.expect_err("a FIFO is no checkpoint")
    })
}

#[test]
fn a_fifo_in_a_directory_of_any_program_is_an_error_and_no_wait() {
    let layouts: [&[(&str, Option<&str>)]; 8] = [
        &[("manifest.fabric", None)],
        &[("model.safetensors.index.json", None)],
        &[("model.safetensors", None)],
        &[
            (
                "model.safetensors.index.json",
                Some(r#"{"weight_map":{"a":"model-00001-of-00001.safetensors"}}"#),
            ),
            ("model-00001-of-00001.safetensors", None),
        ],
        &[("model-00001-of-00001.safetensors", None)],
        &[(".metadata", None)],
        &[(".metadata", None), ("__0_0.distcp", None)],
        &[("meta.pt", None), (".metadata", Some("nothing"))],
    ];
    for layout in layouts {
        let directory = tempfile::tempdir().unwrap();
        for (name, contents) in layout {
            match contents {
                Some(contents) => fs::write(directory.path().join(name), contents).unwrap(),
                None => drop(make(&directory.path().join(name), FileType::Fifo)),
            }
        }
        is_refused(directory.path());
    }
}

#[test]
fn a_fifo_in_the_place_of_a_rank_s_file_or_of_the_manifest_is_an_error_and_no_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ck");
    let state =
        || std::collections::BTreeMap::from([("a".to_owned(), Tensor::ones(4, DType::F32, &Device::Cpu).unwrap())]);
    ranks().save(&path, &state()).unwrap();
    let folder = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir());
    let file = folder.unwrap().join("rank-00000.safetensors");
    fs::remove_file(&file).unwrap();
    make(&file, FileType::Fifo);
    let error = is_refused(&path).to_string();
    assert!(error.contains("FIFO"), "{error}");

    fs::remove_file(path.join("manifest.fabric")).unwrap();
    make(&path.join("manifest.fabric"), FileType::Fifo);
    let error = is_refused(&path).to_string();
    assert!(error.contains("FIFO"), "{error}");
    let saved = soon("a save by ranks", move || ranks().save(&path, &state()).map(drop));
    assert!(matches!(saved, Err(Error::Destination { .. })), "{saved:?}");
}
