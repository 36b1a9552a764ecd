use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::fstatfs;

use super::*;

/// A new file of `len` bytes that are in the cache, with its directory and its bytes.
fn file_of(len: usize) -> (tempfile::TempDir, Mapped, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
    std::fs::write(directory.path().join("file"), &bytes).unwrap();
    let file = Mapped::new(File::open(directory.path().join("file")).unwrap());
    wait_for_other_writers(&file);
    (directory, file, bytes)
}

/// Waits until no other process has the file open for writing: a process that another test starts inherits its
/// descriptors for a moment.
fn wait_for_other_writers(file: &Mapped) {
    for _ in 0..5000 {
        if !must_have_leases(file) || lent(file, 0, LEAST).is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn lent(file: &Mapped, offset: usize, len: usize) -> Option<Vec<u8>> {
    let mut bytes = None;
    let lent = file.lend(offset as u64, len, &mut |lent| {
        assert!(bytes.replace(lent.to_vec()).is_none(), "it is called once");
    });
    assert_eq!(lent, bytes.is_some());
    bytes
}

/// True on ext4, tmpfs and XFS, where a lease must succeed. The directory for temporary files may be on any file
/// system.
fn must_have_leases(file: &Mapped) -> bool {
    let kind = fstatfs(file.file()).unwrap().f_type;
    [0xef53, 0x0102_1994, 0x5846_5342].contains(&kind)
}

/// Returns true if leases work on the file, which must have no writer.
fn has_leases(file: &Mapped) -> bool {
    must_have_leases(file) || lent(file, 0, LEAST).is_some()
}

#[test]
fn any_range_of_a_cached_file_is_lent() {
    let (_directory, file, bytes) = file_of(3 * LEAST + 5);
    let leases = has_leases(&file);
    for (offset, len) in [
        (0, LEAST),
        (0, bytes.len()),
        (1, LEAST),
        (PAGE / 2, 2 * LEAST + 1),
        (PAGE, LEAST),
        (LEAST + 5, 2 * LEAST),
    ] {
        match lent(&file, offset, len) {
            Some(found) => assert!(found == bytes[offset..offset + len], "{len} bytes from {offset}"),
            None => assert!(!leases, "{len} bytes from {offset} are in the cache"),
        }
    }
}

#[test]
fn little_and_what_is_not_in_the_file_is_not_lent() {
    let (_directory, file, bytes) = file_of(2 * LEAST);
    for (offset, len) in [
        (0, LEAST - 1),
        (1, bytes.len()),
        (bytes.len(), LEAST),
        (usize::MAX, LEAST),
        (PAGE, usize::MAX),
    ] {
        assert_eq!(lent(&file, offset, len), None, "{len} bytes from {offset}");
    }
}

/// Removes the file from the cache, except its first bytes. Returns true if the file is on a device.
fn forget(file: &Mapped) -> bool {
    file.file().sync_all().unwrap();
    fadvise(file.file(), LEAST as u64, None, Advice::DontNeed).unwrap();
    fstatfs(file.file()).unwrap().f_type != 0x0102_1994
}

#[test]
fn a_little_that_is_on_the_device_only_is_not_lent() {
    let (_directory, file, _) = file_of(2 * LEAST);
    if forget(&file) {
        assert_eq!(lent(&file, LEAST, LEAST), None);
    }
}

#[test]
fn much_that_is_on_the_device_only_is_read_and_lent_and_then_in_the_cache() {
    let (_directory, file, bytes) = file_of(4 * LEAST);
    let leases = has_leases(&file);
    forget(&file);
    for (offset, len) in [(LEAST + 5, LEAST_READ), (2 * LEAST, LEAST), (3 * LEAST - 1, LEAST)] {
        let found = lent(&file, offset, len);
        assert_eq!(found.is_some(), leases, "{len} bytes from {offset}");
        assert!(found.is_none_or(|found| found == bytes[offset..offset + len]));
    }
}

#[test]
fn a_file_that_is_open_for_writing_is_not_lent() {
    let (directory, file, _) = file_of(LEAST);
    let leases = has_leases(&file);
    let writer = OpenOptions::new()
        .append(true)
        .open(directory.path().join("file"))
        .unwrap();
    assert_eq!(lent(&file, 0, LEAST), None);
    drop(writer);
    wait_for_other_writers(&file);
    assert_eq!(lent(&file, 0, LEAST).is_some(), leases);
}

/// The signal of the lease reaches this process and does not end it.
#[test]
fn truncating_a_lent_file_waits_until_the_lease_ends_and_nothing_is_lent_meanwhile() {
    let (directory, file, bytes) = file_of(2 * LEAST);
    let leases = has_leases(&file);
    let path = directory.path().join("file");
    let begun = Barrier::new(2);
    std::thread::scope(|scope| {
        let cutting = scope.spawn(|| {
            begun.wait();
            let mut cut = OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
            cut.write_all(b"short").unwrap();
        });
        let lent_once = file.lend(0, bytes.len(), &mut |lent_bytes| {
            begun.wait();
            // Waits until the writer is known to wait.
            while lent(&file, 0, LEAST).is_some() {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(lent_bytes == bytes);
            assert_eq!(file.file().metadata().unwrap().len(), bytes.len() as u64);
        });
        assert_eq!(lent_once, leases);
        if !lent_once {
            begun.wait();
        }
        cutting.join().unwrap();
    });
    assert_eq!(std::fs::read(&path).unwrap(), b"short");
    assert_eq!(lent(&file, 0, LEAST), None);
}

#[test]
fn several_threads_are_lent_one_file_at_once() {
    let (_directory, file, bytes) = file_of(4 * LEAST);
    let leases = has_leases(&file);
    let here = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for at in 0..4 {
            let (file, bytes, here) = (&file, &bytes, &here);
            scope.spawn(move || {
                let lent = file.lend((at * LEAST) as u64, LEAST, &mut |lent| {
                    here.fetch_add(1, Ordering::SeqCst);
                    // Waits until all threads have arrived, or until it is clear that one never will.
                    let waited = (0..5000).find(|_| {
                        std::thread::sleep(Duration::from_millis(1));
                        here.load(Ordering::SeqCst) == 4
                    });
                    assert!(waited.is_some(), "all at once");
                    assert!(lent == &bytes[at * LEAST..(at + 1) * LEAST]);
                });
                assert_eq!(lent, leases);
            });
        }
    });
}

#[test]
fn a_panic_gives_the_file_back() {
    let (directory, file, _) = file_of(LEAST);
    let leases = has_leases(&file);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        file.lend(0, LEAST, &mut |_| panic!("in the middle"))
    }));
    assert_eq!(panicked.is_err(), leases);
    // Without the check, this open would wait for 45 seconds.
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(directory.path().join("file"));
    assert!(opened.is_ok(), "{opened:?}");
}
