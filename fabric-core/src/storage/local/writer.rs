//! Writes a file, with ordinary writes or with direct writes by way of blocks.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::{freeing, limits, os};
use crate::io::direct::{DirectWriter, StartThread};
use crate::io::read_back;
use crate::storage::WriteFile;
use crate::threads;

/// Starts a thread that writes a block, or that reads a written file.
const START: StartThread = |work| threads::start("fabric-file", work);

/// The shortest file in bytes with direct writes. For a shorter one they save nothing: its sync takes as long either
/// way.
const LONG: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Writer {
    file: Arc<File>,
    /// The direct writer, if any, and the announced length of the file.
    staged: Option<(DirectWriter, u64)>,
    /// The number of bytes accepted.
    len: u64,
    failed: bool,
    /// A file that was written around the page cache is read back into it when the writer is dropped.
    reads_back: bool,
    /// The file was written around the page cache and is durable.
    is_uncached: bool,
}

impl Writer {
    /// A writer of a new file, on which the caller holds the lock.
    pub(super) fn new(file: File, reads_back: bool) -> Self {
        Self {
            file: Arc::new(file),
            staged: None,
            len: 0,
            failed: false,
            reads_back,
            is_uncached: false,
        }
    }

    /// Runs a step that must not be repeated once it has failed, because the contents of the file are unknown then.
    ///
    /// A failed fsync above all must not be repeated: the kernel may mark the lost pages as clean, so that the second
    /// fsync succeeds (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
    fn once(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other(
                "an earlier write or sync of this file failed: what it holds is unknown",
            ));
        }
        let done = step(self);
        self.failed = done.is_err();
        done
    }

    /// Waits until the direct writer has written everything.
    fn finish_direct_writes(&mut self) -> io::Result<()> {
        let Some((staged, announced)) = self.staged.take() else {
            return Ok(());
        };
        let written = staged.finish()?;
        if written < announced {
            // The reserved space counts as the file's length until it is cut off.
            self.file.set_len(written)?;
        }
        // Direct writes do not move the file's own position.
        (&*self.file).seek(SeekFrom::Start(written))?;
        Ok(())
    }
}

impl WriteFile for Writer {
    fn announce(&mut self, len: u64) -> io::Result<()> {
        self.once(|writer| {
            if len < LONG || writer.staged.is_some() {
                return Ok(());
            }
            limits::check_length(writer.len.saturating_add(len))?;
            // If no thread or no memory is available, the file is written with ordinary writes.
            read_back::give_way();
            let staged = freeing::with_room(|| DirectWriter::begin(&writer.file, len, START))?;
            writer.staged = staged.map(|staged| (staged, len));
            Ok(())
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.once(|writer| {
            writer.len = writer.len.saturating_add(bytes.len() as u64);
            limits::check_length(writer.len)?;
            match &mut writer.staged {
                Some((staged, _)) => staged.write_all(bytes),
                None => write_all(&writer.file, bytes),
            }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.once(|writer| {
            let is_staged = writer.staged.is_some();
            writer.finish_direct_writes()?;
            writer.file.sync_all()?;
            writer.is_uncached |= is_staged;
            Ok(())
        })
    }
}

/// Writes all of `bytes` at the file's own position.
fn write_all(mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match freeing::with_room(|| file.write(bytes)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Drop for Writer {
    /// Unlocks the file: a child process forked meanwhile would keep the lock if the file were only closed.
    fn drop(&mut self) {
        // The writing threads end before the lock does.
        drop(self.staged.take());
        // A file system without locks returns an error, which has no consequence.
        let _ = self.file.unlock();
        if self.reads_back && self.is_uncached && !self.failed && !os::is_nameless(&self.file) {
            read_back::start(&self.file, START);
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::OpenOptions;

    use super::super::{Local, claim};
    use super::*;
    #[cfg(all(fabric_linux, fabric_x86_64))]
    use crate::io::{free_memory::free_memory, mapped::is_cached};
    use crate::storage::Storage;

    #[test]
    fn a_sync_that_failed_once_fails_ever_after() {
        // Linux and macOS return an error for a sync of this device.
        let mut writer = Writer::new(OpenOptions::new().write(true).open("/dev/null").unwrap(), false);
        writer.sync().unwrap_err();

        writer.file = Arc::new(tempfile::tempfile().unwrap());
        writer.sync().unwrap_err();
        writer.write_all(b"bytes").unwrap_err();
    }

    #[test]
    fn a_forked_child_does_not_hold_the_files_of_its_parent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for announced in [0, 2 * LONG] {
            let mut writer = Writer::new(File::create_new(&path).unwrap(), false);
            assert!(claim::claim(&writer.file, &path).unwrap());
            writer.announce(announced).unwrap();
            writer.write_all(b"bytes").unwrap();
            // A fork duplicates the handle like this.
            let _inherited = writer.file.try_clone().unwrap();
            assert!(!Local::new().remove_if_abandoned(&path).unwrap());
            drop(writer);
            assert!(Local::new().remove_if_abandoned(&path).unwrap());
        }
    }

    #[test]
    fn only_a_long_file_is_staged() {
        for (len, staged) in [(0, false), (LONG - 1, false), (LONG, true)] {
            let mut writer = Writer::new(tempfile::tempfile().unwrap(), false);
            writer.announce(len).unwrap();
            assert_eq!(writer.staged.is_some(), staged, "{len} bytes");
        }
    }

    #[cfg(fabric_linux)]
    #[test]
    fn an_error_of_the_thread_is_that_of_the_sync_and_lasts() {
        // This device returns `ENOSPC` when the thread writes the first byte.
        let mut writer = Writer::new(OpenOptions::new().write(true).open("/dev/full").unwrap(), false);
        writer.announce(LONG).unwrap();
        assert!(writer.staged.is_some());
        writer.write_all(b"bytes").unwrap();
        assert_eq!(writer.sync().unwrap_err().kind(), io::ErrorKind::StorageFull);
        writer.sync().unwrap_err();
        writer.write_all(b"more").unwrap_err();
    }

    #[cfg(fabric_linux)]
    #[test]
    fn what_cannot_fit_is_refused_before_it_is_written() {
        let mut writer = Writer::new(tempfile::tempfile().unwrap(), false);
        let refused = writer.announce(1 << 62).unwrap_err().kind();
        assert!(
            matches!(refused, io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge),
            "{refused:?}"
        );
        writer.write_all(b"bytes").unwrap_err();
    }

    /// A file of 4 MiB that was written around the cache. `None` on a file system without direct writes.
    #[cfg(all(fabric_linux, fabric_x86_64))]
    fn written(reads_back: bool) -> Option<tempfile::NamedTempFile> {
        let file = tempfile::NamedTempFile::new().expect("a file of a test");
        let mut writer = Writer::new(file.reopen().expect("a file of a test"), reads_back);
        writer.announce(4 * LONG).expect("a file of a test");
        writer.write_all(&vec![7; 4 << 20]).expect("a file of a test");
        writer.sync().expect("a file of a test");
        (!is_cached(file.as_file(), 0)).then_some(file)
    }

    /// Other tests of this process write around the cache as well, and each ends the reading of earlier files. So files
    /// are written until one is read to its end.
    #[cfg(all(fabric_linux, fabric_x86_64))]
    #[test]
    fn a_file_that_was_written_around_the_cache_is_read_back() {
        if !read_back::has_room(4 * LONG, free_memory()) {
            return;
        }
        let is_read = (0..100).any(|_| {
            let Some(file) = written(true) else { return true };
            (0..500).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                is_cached(file.as_file(), 4 * LONG - 1)
            })
        });
        assert!(is_read);
    }

    #[cfg(all(fabric_linux, fabric_x86_64))]
    #[test]
    fn a_storage_that_does_not_read_back_leaves_the_cache_alone() {
        if let Some(file) = written(false) {
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert!(!is_cached(file.as_file(), 0) && !is_cached(file.as_file(), 4 * LONG - 1));
        }
    }
}
