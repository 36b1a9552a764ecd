//! What other systems than Linux do in the place of `direct.rs`: nothing that would be worth the trouble.

use std::fs::File;
use std::io;

#[expect(clippy::unnecessary_wraps, reason = "the signature of the Linux one")]
pub(super) fn reserve(_file: &File, _len: u64) -> io::Result<()> {
    Ok(())
}

pub(super) fn begin(_file: &File) -> bool {
    false
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of the Linux one")]
pub(super) fn end(_file: &File) -> io::Result<()> {
    Ok(())
}

pub(super) fn refuses(_error: &io::Error) -> bool {
    false
}

pub(super) fn expect_sequential(_file: &File) {}
