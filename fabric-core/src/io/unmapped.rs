//! The portable version of mapped reads: no bytes are lent, and `pread` reads all of them.

use std::fs::File;

/// An open file that never lends its bytes.
#[derive(Debug)]
pub(crate) struct Mapped(File);

impl Mapped {
    pub(crate) fn new(file: File) -> Self {
        #[cfg(fabric_linux)]
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        Self(file)
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    #[expect(clippy::unused_self, reason = "the Linux version has this signature")]
    pub(crate) fn lend(&self, _offset: u64, _len: usize, _take: &mut dyn FnMut(&[u8])) -> bool {
        false
    }
}
