//! The system calls of Windows.

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

/// `None`: the standard library has no identity of a file on Windows.
#[expect(clippy::unnecessary_wraps, reason = "the Unix version has this signature")]
pub(in super::super) fn identity(_file: &File) -> io::Result<Option<[u64; 4]>> {
    Ok(None)
}

/// Returns true if the path names a file. The standard library cannot tell if it is this one.
pub(in super::super) fn is_named(_file: &File, path: &Path) -> io::Result<bool> {
    fs::exists(path)
}

/// False: Windows keeps the name of a file that is open.
pub(in super::super) fn is_nameless(_file: &File) -> bool {
    false
}

/// `None`: a file is freed at once.
pub(in super::super) fn hold(_path: &Path) -> Option<File> {
    None
}

/// # Errors
/// Always: Windows has no such call.
pub(in super::super) fn exchange(_a: &Path, _b: &Path, _held: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing: Windows opens no directory as a file, and has no call that makes names durable.
#[expect(clippy::unnecessary_wraps, reason = "the Unix version has this signature")]
pub(in super::super) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// The unit in which the system counts the length of a name.
pub(in super::super) const UNIT_OF_NAMES: &str = "words of 16 bits";

pub(in super::super) fn length_of_name(name: &OsStr) -> usize {
    name.encode_wide().count()
}

/// The name of a file type other than regular file and directory.
pub(in super::super) fn name_of_kind(_kind: FileType) -> &'static str {
    "a special file"
}

/// Access rights to keep. It has no values: a new file on Windows gets the access control list of its directory.
#[derive(Debug)]
pub(in super::super) struct Access(Infallible);

#[expect(clippy::unnecessary_wraps, reason = "the Unix versions have these signatures")]
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
