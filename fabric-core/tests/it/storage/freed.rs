//! Long files that lose their name on a file system of Linux are freed behind the call.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use fabric_core::storage::{Local, Storage};

use super::suite::write;

/// Contents of a file that is long enough to be freed by a thread.
fn long(byte: u8) -> Vec<u8> {
    vec![byte; 3 << 20]
}

/// Waits until this process holds no file of the directory open. A held file is not freed.
fn wait_until_freed(directory: &Path) {
    let is_held = || {
        let handles = fs::read_dir("/proc/self/fd").expect("the handles of this process");
        let targets = handles.filter_map(|handle| fs::read_link(handle.ok()?.path()).ok());
        targets.into_iter().any(|target| target.starts_with(directory))
    };
    let freed = (0..10_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        !is_held()
    });
    assert!(freed, "a removed file is held for ever");
}

fn names(directory: &Path) -> Vec<String> {
    Local::new().list(directory).unwrap()
}

#[test]
fn a_long_file_replaces_a_long_file_and_leaves_nothing_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (old, new) in [
        (long(1), long(2)),
        (long(1), b"short".to_vec()),
        (b"short".to_vec(), long(2)),
    ] {
        write(&Local::new(), &at("old"), &old);
        write(&Local::new(), &at("new"), &new);
        let inode = fs::metadata(at("new")).unwrap().ino();
        Local::new().rename(&at("new"), &at("old")).unwrap();
        assert_eq!(fs::read(at("old")).unwrap(), new);
        assert_eq!(fs::metadata(at("old")).unwrap().ino(), inode);
        assert_eq!(names(directory.path()), ["old"]);
        wait_until_freed(directory.path());
        fs::remove_file(at("old")).unwrap();
    }
}

#[test]
fn a_long_file_that_is_removed_is_freed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    write(&Local::new(), &path, &long(1));
    Local::new().remove_file(&path).unwrap();
    assert!(!path.exists());
    wait_until_freed(directory.path());
}

#[test]
fn two_names_of_one_long_file_stay() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(&Local::new(), &at("a"), &long(1));
    fs::hard_link(at("a"), at("b")).unwrap();
    for (from, to) in [("a", "b"), ("a", "a")] {
        Local::new().rename(&at(from), &at(to)).unwrap();
        assert_eq!(names(directory.path()), ["a", "b"], "{from} to {to}");
        assert_eq!(fs::read(at("b")).unwrap(), long(1));
    }
    // A name that the file keeps elsewhere is no reason to lose the new file.
    write(&Local::new(), &at("new"), &long(2));
    Local::new().rename(&at("new"), &at("b")).unwrap();
    assert_eq!(
        (fs::read(at("a")).unwrap(), fs::read(at("b")).unwrap()),
        (long(1), long(2))
    );
    Local::new().remove_file(&at("a")).unwrap();
    wait_until_freed(directory.path());
}

#[test]
fn a_link_is_replaced_and_the_long_file_behind_it_stays() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(&Local::new(), &at("file"), &long(1));
    symlink(at("file"), at("link")).unwrap();
    write(&Local::new(), &at("new"), &long(2));
    Local::new().rename(&at("new"), &at("link")).unwrap();
    assert!(!at("link").is_symlink());
    assert_eq!(
        (fs::read(at("file")).unwrap(), fs::read(at("link")).unwrap()),
        (long(1), long(2))
    );

    symlink(at("file"), at("other")).unwrap();
    Local::new().rename(&at("other"), &at("link")).unwrap();
    assert!(at("link").is_symlink(), "a link replaces a long file");
    Local::new().remove_file(&at("link")).unwrap();
    assert_eq!(names(directory.path()), ["file"]);
}

#[test]
fn a_directory_does_not_replace_a_long_file_nor_the_reverse() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    write(&Local::new(), &at("file"), &long(1));
    Local::new().rename(&at("directory"), &at("file")).unwrap_err();
    Local::new().rename(&at("file"), &at("directory")).unwrap_err();
    Local::new().rename(&at("nothing"), &at("file")).unwrap_err();
    assert_eq!(names(directory.path()), ["directory", "file"]);
    assert_eq!(fs::read(at("file")).unwrap(), long(1));
}

#[test]
fn many_threads_that_replace_one_file_leave_one_of_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(&Local::new(), &at("file"), &long(0));
    std::thread::scope(|scope| {
        for byte in 1..=4 {
            let (from, to) = (at(&byte.to_string()), at("file"));
            scope.spawn(move || {
                for _ in 0..20 {
                    write(&Local::new(), &from, &long(byte));
                    Local::new().rename(&from, &to).unwrap();
                }
            });
        }
    });
    let left = fs::read(at("file")).unwrap();
    assert!((1..=4).any(|byte| left == long(byte)));
    assert_eq!(names(directory.path()), ["file"]);
    wait_until_freed(directory.path());
}
