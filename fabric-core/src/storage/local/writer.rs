//! A file that is being written: as it comes, or by way of staging blocks.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::limits;
use crate::io::direct::DirectWriter;
use crate::storage::WriteFile;
use crate::threads;

/// Files from this length on are worth a thread and direct writes; below, a sync costs the same either way.
const LONG: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Writer {
    file: Arc<File>,
    /// What is on its way to the file, and how long it was announced to be.
    staged: Option<(DirectWriter, u64)>,
    /// How many bytes were accepted.
    len: u64,
    failed: bool,
}

impl Writer {
    /// Writes a new file, on which the caller holds the lock.
    pub(super) fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            staged: None,
            len: 0,
            failed: false,
        }
    }

    /// Does what may fail once: after that, what the file holds is unknown.
    ///
    /// A failed fsync above all is not to be repeated: the kernel may count the lost pages as clean, so that the next one
    /// succeeds (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
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

    /// Waits until everything staged is in the file.
    fn settle(&mut self) -> io::Result<()> {
        let Some((staged, announced)) = self.staged.take() else {
            return Ok(());
        };
        let written = staged.finish()?;
        if written < announced {
            // The room that was reserved counts as the file's until it is given back.
            self.file.set_len(written)?;
        }
        // Staged bytes went to their places past the file's own position.
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
            // Without a thread or memory to spare it is written as it comes.
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
            writer.settle()?;
            writer.file.sync_all()
        })
    }
}

impl Drop for Writer {
    /// A child process that was forked meanwhile would hold the lock on, if the file were only closed.
    fn drop(&mut self) {
        // Nothing is written any more once the thread is gone; then the file is nobody's.
        drop(self.staged.take());
        // Where there are no locks, there is nothing to give back.
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
        // Linux and macOS refuse to sync this device.
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
            // What a fork does to the handle.
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
        // This device has no room for a byte, and says so when the thread writes one.
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
