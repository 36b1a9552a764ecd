//! What the machine can do: memory, page cache and device without a library in between.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Outcome;
use crate::system::{FileExt, create_direct, open_direct};

/// Bytes that are read or written with one call.
const BLOCK: usize = 1 << 20;
/// The same past the page cache.
const DIRECT_BLOCK: usize = 8 << 20;
/// Addresses, places and lengths past the page cache are multiples of this.
const PAGE: usize = 4096;

/// Copies memory that was touched before to memory that was touched before.
pub(crate) fn copy(from: &[u8], to: &mut [u8], threads: usize) {
    let part = from.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        for (from, to) in from.chunks(part).zip(to.chunks_mut(part)) {
            scope.spawn(|| to.copy_from_slice(from));
        }
    });
}

/// Reads a file into memory that was touched before.
pub(crate) fn read(path: &Path, into: &mut [u8], threads: usize) -> Outcome {
    let file = File::open(path)?;
    read_parts(&file, into, threads, BLOCK)
}

/// Reads a file past the page cache: the rate of the device. A last part of a page is left out.
pub(crate) fn read_direct(path: &Path, into: &mut Aligned, threads: usize) -> Outcome {
    let file = open_direct(path)?;
    let len = usize::try_from(file.metadata()?.len())?.min(into.len) / PAGE * PAGE;
    read_parts(&file, &mut into.bytes_mut()[..len], threads, DIRECT_BLOCK)
}

fn read_parts(file: &File, into: &mut [u8], threads: usize, block: usize) -> Outcome {
    let part = into.len().div_ceil(threads.max(1)).next_multiple_of(block).max(block);
    let read = |number: usize, part_of: &mut [u8]| -> std::io::Result<()> {
        for (at, bytes) in part_of.chunks_mut(block).enumerate() {
            file.read_exact_at(bytes, (number * part + at * block) as u64)?;
        }
        Ok(())
    };
    let outcomes: Vec<std::io::Result<()>> = std::thread::scope(|scope| {
        let parts = into.chunks_mut(part).enumerate();
        let readers: Vec<_> = parts
            .map(|(number, bytes)| scope.spawn(move || read(number, bytes)))
            .collect();
        readers.into_iter().filter_map(|reader| reader.join().ok()).collect()
    });
    Ok(outcomes.into_iter().collect::<std::io::Result<()>>()?)
}

/// Writes a new file through the page cache, and does not sync it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Outcome<File> {
    let mut file = File::create_new(path)?;
    for block in bytes.chunks(BLOCK) {
        file.write_all(block)?;
    }
    Ok(file)
}

/// Writes a new file past the page cache, into space that was set aside, and syncs it: the floor of a durable save.
pub(crate) fn write_direct(path: &Path, bytes: &Aligned) -> Outcome {
    write_direct_by(path, bytes, 1, DIRECT_BLOCK)
}

/// The same by several threads, that take blocks in turn.
pub(crate) fn write_direct_by(path: &Path, bytes: &Aligned, threads: usize, block: usize) -> Outcome {
    let file = create_direct(path, bytes.len as u64)?;
    let next = AtomicUsize::new(0);
    let write = || -> std::io::Result<()> {
        let blocks = || bytes.bytes().chunks(block).enumerate();
        while let Some((at, bytes)) = blocks().nth(next.fetch_add(1, Ordering::Relaxed)) {
            file.write_all_at(bytes, (at * block) as u64)?;
        }
        Ok(())
    };
    let outcomes: Vec<std::io::Result<()>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads).map(|_| scope.spawn(write)).collect();
        writers.into_iter().filter_map(|writer| writer.join().ok()).collect()
    });
    outcomes.into_iter().collect::<std::io::Result<()>>()?;
    Ok(file.sync_data()?)
}

/// Memory that begins on a page and has been touched.
pub(crate) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` bytes, rounded up to a whole page, of something that no device compresses to nothing.
    pub(crate) fn new(len: usize) -> Self {
        let len = len.next_multiple_of(PAGE);
        let mut memory = vec![0u8; len + PAGE];
        let mut word = 0x9E37_79B9_7F4A_7C15_u64;
        for bytes in memory.chunks_exact_mut(8) {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let start = memory.as_ptr().align_offset(PAGE);
        Self { memory, start, len }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_parts() -> Outcome {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("bytes");
        let bytes = Aligned::new((3 << 20) + 5);
        write(&path, bytes.bytes())?;
        let mut back = vec![0; bytes.len];
        read(&path, &mut back, 2)?;
        assert_eq!(back, bytes.bytes());
        let mut copied = vec![0; bytes.len];
        copy(bytes.bytes(), &mut copied, 2);
        assert_eq!(copied, back);
        Ok(())
    }
}
