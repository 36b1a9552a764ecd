//! Calls of Linux that the standard library does not have; elsewhere they say so.

pub(crate) use calls::*;
#[cfg(unix)]
pub(crate) use std::os::unix::fs::FileExt;
#[cfg(windows)]
pub(crate) use windows::FileExt;

#[cfg(target_os = "linux")]
mod calls {
    use std::fs::File;
    use std::io::Result;
    use std::path::Path;

    use rustix::fs::{Advice, FallocateFlags, Mode, OFlags, fadvise, fallocate, open, statfs};

    /// Whether the files of a directory are in memory, where syncing means nothing.
    pub(crate) fn is_in_memory(directory: &Path) -> Result<bool> {
        const TMPFS: i64 = 0x0102_1994;
        Ok(statfs(directory)?.f_type == TMPFS)
    }

    /// Opens a file to be read past the page cache.
    pub(crate) fn open_direct(path: &Path) -> Result<File> {
        Ok(open(path, OFlags::RDONLY | OFlags::DIRECT, Mode::empty())?.into())
    }

    /// Makes a file of this size that is written past the page cache.
    pub(crate) fn create_direct(path: &Path, len: u64) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::DIRECT;
        let file = open(path, flags, Mode::RUSR | Mode::WUSR)?;
        fallocate(&file, FallocateFlags::empty(), 0, len)?;
        Ok(file.into())
    }

    /// Takes the pages of a file out of the page cache.
    pub(crate) fn forget_pages(file: &File) -> Result<()> {
        Ok(fadvise(file, 0, None, Advice::DontNeed)?)
    }

    /// Writes whatever waits to be written.
    pub(crate) fn sync() {
        rustix::fs::sync();
    }

    /// Makes sure that the system has so many bytes of memory ready, and that what the program allocates next is new to it.
    ///
    /// A virtual machine may have given its free memory back to the host, in large pages, and gets it again when it is touched,
    /// which takes as long as all that is measured here. So as much is touched now, and given to the system.
    #[expect(unsafe_code, reason = "no library asks for this")]
    pub(crate) fn ready_memory(bytes: usize) {
        let mut memory = Vec::<u8>::with_capacity(bytes);
        let room = memory.spare_capacity_mut();
        let page = room.as_ptr().align_offset(4096);
        if page < room.len() {
            let pages = &mut room[page..];
            // SAFETY: the advice is about memory of ours, and changes nothing that it holds.
            unsafe {
                libc::madvise(
                    pages.as_mut_ptr().cast(),
                    pages.len() / 4096 * 4096,
                    libc::MADV_HUGEPAGE,
                )
            };
        }
        memory.resize(bytes, 1);
        drop(std::hint::black_box(memory));
        // SAFETY: it gives back what nobody uses.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
    }

    /// Lets pieces of memory from 6 MiB on begin in pages of their own, and keeps the memory of smaller ones for the next.
    ///
    /// Otherwise the allocator puts large pieces one behind the other after the first of them was given back. They begin at other
    /// places of their pages then, to which a copy may take twice as long.
    #[cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "no library asks for this"))]
    pub(crate) fn separate_large_memory() {
        // SAFETY: the settings are about memory that the allocator gives out or takes back from now on.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 6 << 20);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 12 << 20);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod calls {
    use std::fs::File;
    use std::io::{ErrorKind, Result};
    use std::path::Path;

    pub(crate) fn is_in_memory(_: &Path) -> Result<bool> {
        Ok(false)
    }

    pub(crate) fn open_direct(_: &Path) -> Result<File> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(crate) fn create_direct(_: &Path, _: u64) -> Result<File> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(crate) fn forget_pages(_: &File) -> Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(crate) fn sync() {}

    pub(crate) fn ready_memory(_: usize) {}

    pub(crate) fn separate_large_memory() {}
}

#[cfg(windows)]
mod windows {
    use std::fs::File;
    use std::io::{ErrorKind, Result};
    use std::os::windows::fs::FileExt as At;

    /// Reading and writing at a place, by the names that Unix has for it.
    pub(crate) trait FileExt {
        fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> Result<()>;
        fn write_all_at(&self, bytes: &[u8], at: u64) -> Result<()>;
    }

    impl FileExt for File {
        fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> Result<()> {
            let mut done = 0;
            while done < bytes.len() {
                match self.seek_read(&mut bytes[done..], at + done as u64)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    read => done += read,
                }
            }
            Ok(())
        }

        fn write_all_at(&self, bytes: &[u8], at: u64) -> Result<()> {
            let mut done = 0;
            while done < bytes.len() {
                done += self.seek_write(&bytes[done..], at + done as u64)?;
            }
            Ok(())
        }
    }
}
