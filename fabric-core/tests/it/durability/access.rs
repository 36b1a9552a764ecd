//! A checkpoint that is saved again has the same readers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use fabric_core::storage::{Local, Storage};
use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::state::{State, on};
use super::users_files::ranks;

const LIST: &str = "system.posix_acl_access";

/// Every file at or below a path.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| files(&path)).collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn the_mode_of_a_replaced_checkpoint_is_kept_whatever_its_kind() {
    for wanted in [0o600, 0o640, 0o444, 0o666] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("last");
        on(Local::new()).save(&path, &State::new(1)).unwrap();
        set_mode(&path, wanted);
        for round in 0..6 {
            match round {
                0 | 3 => on(Local::new()).save(&path, &State::new(2)).map(drop),
                1 => on(Local::new())
                    .save_async(&path, &State::new(2))
                    .and_then(|saving| saving.wait().map(drop)),
                _ => ranks().save(&path, &State::new(2)).map(drop),
            }
            .unwrap();
            for file in files(&path) {
                assert_eq!(mode(&file), wanted, "round {round}: {}", file.display());
            }
        }
    }
}

#[test]
fn the_mode_of_a_folder_that_is_replaced_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last");
    ranks().save(&path, &State::new(1)).unwrap();
    let folder = || {
        let mut entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
        entries.find(|path| path.is_dir()).unwrap()
    };
    set_mode(&folder(), 0o750);
    let before = folder();
    ranks().save(&path, &State::new(2)).unwrap();
    assert_ne!(folder(), before);
    assert_eq!(mode(&folder()), 0o750);
}

#[test]
fn a_file_that_replaces_a_directory_has_no_more_readers_than_the_directory_had() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last");
    // The modes of the directory and of the folder in it, where the files have 644.
    for (outer, inner, wanted) in [
        (0o700, 0o755, 0o600),
        (0o755, 0o700, 0o600),
        (0o750, 0o755, 0o640),
        (0o711, 0o755, 0o644),
    ] {
        ranks().save(&path, &State::new(1)).unwrap();
        for file in files(&path) {
            set_mode(&file, 0o644);
            let folder = file.parent().unwrap();
            set_mode(folder, if folder == path { outer } else { inner });
        }
        on(Local::new()).save(&path, &State::new(2)).unwrap();
        assert_eq!(mode(&path), wanted, "{outer:o}, {inner:o}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_new_file_has_its_mode_before_it_has_contents() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for wanted in [0o600, 0o400, 0o660] {
        fs::write(at("old"), b"secret").unwrap();
        set_mode(&at("old"), wanted);
        let file = Local::new().create_like(&at("new"), &at("old")).unwrap();
        assert_eq!((mode(&at("new")), fs::metadata(at("new")).unwrap().len()), (wanted, 0));
        drop(file);
        fs::remove_file(at("new")).unwrap();
        fs::remove_file(at("old")).unwrap();
    }
}

#[test]
fn the_owner_of_a_replaced_file_is_kept_by_the_superuser() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last");
    for save in [0, 1, 2] {
        on(Local::new()).save(&path, &State::new(1)).unwrap();
        if chown(&path, Some(4321), Some(8765)).is_err() {
            // Nobody else may give files away.
            return;
        }
        match save {
            0 => on(Local::new()).save(&path, &State::new(2)).map(drop).unwrap(),
            1 => ranks().save(&path, &State::new(2)).map(drop).unwrap(),
            _ => {
                ranks().save(&path, &State::new(2)).unwrap();
                ranks().save(&path, &State::new(2)).unwrap();
            }
        }
        for file in files(&path) {
            let found = fs::metadata(&file).unwrap();
            assert_eq!((found.uid(), found.gid()), (4321, 8765), "{}", file.display());
        }
        on(Local::new()).save(&path, &State::new(2)).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (4321, 8765));
    }
}

/// A list as the system stores it: user 1234 may read; version 2, then tag, permissions and number of each entry.
fn list() -> Vec<u8> {
    let nobody = u32::MAX;
    let entries = [
        (0x01, 6, nobody),
        (0x02, 4, 1234),
        (0x04, 0, nobody),
        (0x10, 4, nobody),
        (0x20, 0, nobody),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, number) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(permissions));
        bytes.extend(u32::to_le_bytes(number));
    }
    bytes
}

#[test]
fn the_access_control_list_of_a_replaced_file_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last");
    on(Local::new()).save(&path, &State::new(1)).unwrap();
    if setxattr(&path, LIST, &list(), XattrFlags::empty()).is_err() {
        // This file system has no lists.
        return;
    }
    let found = |path: &Path| {
        let mut bytes = vec![0; 4096];
        let len = getxattr(path, LIST, &mut bytes[..]).unwrap();
        bytes.truncate(len);
        bytes
    };
    on(Local::new()).save(&path, &State::new(2)).unwrap();
    assert_eq!((found(&path), mode(&path)), (list(), 0o640));
    ranks().save(&path, &State::new(2)).unwrap();
    for file in files(&path) {
        assert_eq!(found(&file), list(), "{}", file.display());
    }
    on(Local::new()).save(&path, &State::new(2)).unwrap();
    assert_eq!(found(&path), list());
}
