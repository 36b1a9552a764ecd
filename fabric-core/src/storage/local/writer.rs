//! Writes a file, with ordinary writes or with direct writes by way of blocks.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::limits;
use crate::io::direct::DirectWriter;
use crate::storage::WriteFile;
use crate::threads;

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
}

impl Writer {
    /// A writer of a new file, on which the caller holds the lock.
    pub(super) fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            staged: None,
            len: 0,
            failed: false,
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
            let staged = DirectWriter::begin(&writer.file, len, |write| threads::start("fabric-write", write))?;
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
                None => (&*writer.file).write_all(bytes),
            }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.once(|writer| {
            writer.finish_direct_writes()?;
            writer.file.sync_all()
        })
    }
}

impl Drop for Writer {
    /// Unlocks the file: a child process forked meanwhile would keep the lock if the file were only closed.
    fn drop(&mut self) {
        // The writing threads end before the lock does.
        drop(self.staged.take());
        // A file system without locks returns an error, which has no consequence.
        let _ = self.file.unlock();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::OpenOptions;

    use super::super::{Local, claim};
    use super::*;
    use crate::storage::Storage;

    #[test]
    fn a_sync_that_failed_once_fails_ever_after() {
        // Linux and macOS return an error for a sync of this device.
        let mut writer = Writer::new(OpenOptions::new().write(true).open("/dev/null").unwrap());
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
            let mut writer = Writer::new(File::create_new(&path).unwrap());
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
            let mut writer = Writer::new(tempfile::tempfile().unwrap());
            writer.announce(len).unwrap();
            assert_eq!(writer.staged.is_some(), staged, "{len} bytes");
        }
    }

    #[cfg(fabric_linux)]
    #[test]
    fn an_error_of_the_thread_is_that_of_the_sync_and_lasts() {
        // This device returns `ENOSPC` when the thread writes the first byte.
        let mut writer = Writer::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
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
        let mut writer = Writer::new(tempfile::tempfile().unwrap());
        let refused = writer.announce(1 << 62).unwrap_err().kind();
        assert!(
            matches!(refused, io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge),
            "{refused:?}"
        );
        writer.write_all(b"bytes").unwrap_err();
    }
}
