//! Windows.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::{self, File, FileType};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::FileExt;
use std::path::Path;

pub(in super::super) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek_read(into, at)
}

/// The standard library shows no number of a file.
#[expect(clippy::unnecessary_wraps, reason = "the signature of the Unix one")]
pub(in super::super) fn identity(_file: &File) -> io::Result<Option<[u64; 4]>> {
    Ok(None)
}

/// Whether the path names a file. The standard library does not tell whether it is this very one.
pub(in super::super) fn is_named(_file: &File, path: &Path) -> io::Result<bool> {
    fs::exists(path)
}

/// Windows opens no directory as a file, and has no call that makes names durable.
#[expect(clippy::unnecessary_wraps, reason = "the signature of the Unix one")]
pub(in super::super) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// What the system counts of a name.
pub(in super::super) const UNIT_OF_NAMES: &str = "words of 16 bits";

pub(in super::super) fn length_of_name(name: &OsStr) -> usize {
    name.encode_wide().count()
}

/// What a file is that is neither regular nor a directory.
pub(in super::super) fn name_of_kind(_kind: FileType) -> &'static str {
    "a special file"
}

/// A new file gets its access control list from its directory, whatever it takes the place of.
#[derive(Debug)]
pub(in super::super) struct Access(Infallible);

#[expect(clippy::unnecessary_wraps, reason = "the signatures of the Unix ones")]
impl Access {
    pub(in super::super) fn of(_path: &Path) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(in super::super) fn create(&self, _path: &Path) -> io::Result<File> {
        match self.0 {}
    }

    pub(in super::super) fn create_dir(&self, _path: &Path) -> io::Result<()> {
        match self.0 {}
    }

    pub(in super::super) fn give(&self, _file: &File) -> io::Result<()> {
        match self.0 {}
    }
}
