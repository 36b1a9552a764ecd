//! What the file system of a Unix machine adds: modes, symbolic links, writers in other processes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use fabric_core::storage::{FileKind, Local, Storage};

use super::suite::{read, write};

/// Tells a test that it runs in a child process, and where.
const CHILD: &str = "FABRIC_STORAGE_TEST_DIRECTORY";

fn child_directory() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Runs one test of this program in a process of its own, with another umask.
fn run_in_child(test: &str, umask: &str, directory: &Path) -> std::process::ExitStatus {
    let script = format!(r#"umask {umask} && exec "$0" --exact "$1""#);
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("sh");
    child.arg("-c").arg(script).arg(program).arg(test).env(CHILD, directory);
    child.output().unwrap().status
}

#[test]
fn the_mode_follows_the_umask() {
    if let Some(directory) = child_directory() {
        write(&Local::new(), &directory.join("file"), b"");
        let mut announced = Local::new().create(&directory.join("announced")).unwrap();
        announced.announce(2 << 20).unwrap();
        announced.write_all(b"bytes").unwrap();
        announced.sync().unwrap();
        return;
    }
    for (umask, mode) in [("022", 0o644), ("027", 0o640), ("077", 0o600)] {
        let directory = tempfile::tempdir().unwrap();
        assert!(run_in_child("storage::local::the_mode_follows_the_umask", umask, directory.path()).success());
        for name in ["file", "announced"] {
            let found = fs::metadata(directory.path().join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, mode, "{name}, umask {umask}");
        }
    }
}

#[test]
fn a_killed_writer_leaves_an_abandoned_file() {
    if let Some(directory) = child_directory() {
        let mut file = Local::new().create(&directory.join("file")).unwrap();
        file.write_all(b"half of a checkpoint").unwrap();
        assert!(!Local::new().remove_if_abandoned(&directory.join("file")).unwrap());
        std::process::abort();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let status = run_in_child(
        "storage::local::a_killed_writer_leaves_an_abandoned_file",
        "022",
        directory.path(),
    );
    assert_eq!(status.code(), None, "it died of a signal");
    assert_eq!(read(&Local::new(), &path).unwrap(), b"half of a checkpoint");
    assert!(Local::new().remove_if_abandoned(&path).unwrap());
    assert!(!path.exists());
}

#[test]
fn a_new_file_is_never_taken_for_abandoned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                Local::new().remove_if_abandoned(&path).unwrap();
            }
        });
        let created = (0..1000).map(|_| {
            let file = Local::new().create(&path)?;
            let lives = path.exists();
            fs::remove_file(&path)?;
            drop(file);
            Ok(lives)
        });
        let created: std::io::Result<Vec<bool>> = created.collect();
        done.store(true, Ordering::Relaxed);
        assert!(created.unwrap().into_iter().all(|lives| lives));
    });
}

#[test]
fn a_link_is_no_abandoned_file() {
    let directory = tempfile::tempdir().unwrap();
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    write(&Local::new(), &target, b"bytes");
    symlink(&target, &link).unwrap();
    assert!(!Local::new().remove_if_abandoned(&link).unwrap());
    assert!(link.exists());
}

#[test]
fn a_chain_of_links_resolves_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("below")).unwrap();
    write(&Local::new(), &at("below/file"), b"");
    symlink("file", at("below/relative")).unwrap();
    symlink(at("below/relative"), at("absolute")).unwrap();
    symlink("../absolute", at("below/up")).unwrap();
    assert_eq!(Local::new().resolve(&at("below/up")).unwrap(), at("below/file"));
}

#[test]
fn a_link_to_nothing_resolves_to_where_it_points() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    symlink("not/yet", &link).unwrap();
    assert_eq!(Local::new().resolve(&link).unwrap(), directory.path().join("not/yet"));
}

#[test]
fn a_loop_of_links_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    symlink("b", at("a")).unwrap();
    symlink("a", at("b")).unwrap();
    Local::new().resolve(&at("a")).unwrap_err();
    symlink("self", at("self")).unwrap();
    Local::new().resolve(&at("self")).unwrap_err();
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let at = |number: u32| directory.path().join(number.to_string());
    for number in 0..41 {
        symlink(at(number), at(number + 1)).unwrap();
    }
    assert_eq!(Local::new().resolve(&at(40)).unwrap(), at(0));
    Local::new().resolve(&at(41)).unwrap_err();
}

#[test]
fn kind_follows_links() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    symlink("nothing", &link).unwrap();
    assert_eq!(Local::new().kind(&link).unwrap(), None);
    Local::new().kind(directory.path()).unwrap().unwrap();
}

#[test]
fn create_does_not_write_through_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    symlink(&target, &link).unwrap();
    assert_eq!(
        Local::new().create(&link).unwrap_err().kind(),
        std::io::ErrorKind::AlreadyExists
    );
    assert!(!target.exists());
}

#[test]
fn a_name_that_is_not_utf_8_is_listed_as_the_system_has_it() {
    use std::os::unix::ffi::OsStrExt;

    let directory = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(directory.path().join(name), b"").unwrap();
    assert_eq!(Local::new().list_os(directory.path()).unwrap(), [name]);
    assert!(Local::new().list(directory.path()).unwrap().is_empty());
}

#[test]
fn a_socket_is_another_kind_and_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(Local::new().kind(&path).unwrap(), Some(FileKind::Other));
    let error = Local::new().open(&path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("it is a socket"), "{error}");
    assert!(!Local::new().remove_if_abandoned(&path).unwrap());
    assert!(Local::new().take_over(&path).unwrap().is_none());
}

#[test]
fn a_path_that_no_system_holds_does_not_resolve() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["x".repeat(256), "d/".repeat(2100), "\0".to_owned()] {
        let error = Local::new().resolve(&directory.path().join(name)).unwrap_err();
        let kind = error.kind();
        assert!(
            [std::io::ErrorKind::InvalidFilename, std::io::ErrorKind::InvalidInput].contains(&kind),
            "{error}"
        );
    }
}
