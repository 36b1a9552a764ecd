//! New memory for many bytes: zeroed, in large pages, and an error where there is none.
//!
//! **Gain.** A program that reads all tensors of a file (`RawCheckpoint::tensors`), as inference and evaluation do: 1 GiB in 64
//! tensors takes 184 to 203 ms in memory that is new from the system, and `std::fs::read` takes 570 to 640 ms. Elsewhere than on Linux
//! the memory has the pages that the allocator gives it.
//!
//! The system hands out memory page by page when it is first touched. With pages of 4 KiB that takes longer than reading
//! a cached file into them; with large ones it does not. Most Linux systems use large pages where a program asks for
//! them.

use std::cell::Cell;
use std::io;

use bytemuck::Zeroable;

/// Whoever asks for more than this leaves [`SPARE`].
const LONG: usize = 1 << 20;

/// What stays free beside a long piece of memory: a small piece that cannot be had ends the process.
const SPARE: usize = 4 << 20;

/// `len` zeros.
///
/// # Errors
/// `OutOfMemory` if the system does not have as much, or would have next to nothing left.
#[expect(
    unsafe_code,
    reason = "the standard library has zeros that nobody writes, or an error, and not both"
)]
pub(crate) fn zeroed<T: Zeroable>(len: usize) -> io::Result<Vec<T>> {
    let layout = std::alloc::Layout::array::<T>(len).map_err(|_| missing(len.saturating_mul(size_of::<T>())))?;
    let size = layout.size();
    if len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout is not of nothing.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    if memory.is_null() {
        return Err(missing(size));
    }
    // SAFETY: the global allocator gave this memory for as many elements, zeros are elements, and nobody else has it.
    let mut elements = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory.cast::<T>(), len)) }.into_vec();
    leave_some(size)?;
    prefer_large(&mut elements);
    Ok(elements)
}

/// Room for `len` elements.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn reserved<T>(len: usize) -> io::Result<Vec<T>> {
    let mut elements = Vec::new();
    let size = len.saturating_mul(size_of::<T>());
    elements.try_reserve_exact(len).map_err(|_| missing(size))?;
    leave_some(size)?;
    prefer_large(elements.spare_capacity_mut());
    Ok(elements)
}

/// Makes room for `more` elements behind those that are there.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn grow<T>(elements: &mut Vec<T>, more: usize) -> io::Result<()> {
    if elements.capacity() - elements.len() >= more {
        return Ok(());
    }
    let size = elements.len().saturating_add(more).saturating_mul(size_of::<T>());
    elements.try_reserve(more).map_err(|_| missing(size))?;
    leave_some(size)
}

/// Adds an element behind those that are there.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn push<T>(elements: &mut Vec<T>, element: T) -> io::Result<()> {
    grow(elements, 1)?;
    elements.push(element);
    Ok(())
}

/// The same bytes in memory of their own.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn copied(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut copy = Vec::new();
    append(&mut copy, bytes)?;
    Ok(copy)
}

/// Adds bytes behind those that are there.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn append(to: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    grow(to, bytes.len())?;
    to.extend_from_slice(bytes);
    Ok(())
}

/// Counts what this thread takes in pieces too small to look for, and looks once for every MiB of them.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn count(len: usize) -> io::Result<()> {
    thread_local!(static COUNTED: Cell<usize> = const { Cell::new(0) });
    let counted = COUNTED.get().saturating_add(len);
    COUNTED.set(if counted > LONG { 0 } else { counted });
    look(counted)
}

/// Bytes that grow while they are written, where there is memory for them.
#[derive(Debug, Default)]
pub(crate) struct Growing(pub(crate) Vec<u8>);

impl io::Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        append(&mut self.0, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes `bytes` this long; what is added is zero.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn resize(bytes: &mut Vec<u8>, len: usize) -> io::Result<()> {
    grow(bytes, len.saturating_sub(bytes.len()))?;
    bytes.resize(len, 0);
    Ok(())
}

/// Looks whether memory for `len` bytes is there, for whoever leaves the asking to others. Little is not looked for.
///
/// # Errors
/// As [`zeroed`].
pub(crate) fn look(len: usize) -> io::Result<()> {
    if len <= LONG || is_there(len) {
        return Ok(());
    }
    Err(missing(len))
}

/// Whether the system would give this much memory now, and have some left.
pub(crate) fn is_there(len: usize) -> bool {
    len.checked_add(SPARE).is_some_and(is_available)
}

fn leave_some(len: usize) -> io::Result<()> {
    if len <= LONG || is_available(SPARE) {
        return Ok(());
    }
    Err(missing(len))
}

fn missing(len: usize) -> io::Error {
    let what = format!("the system has no memory for {len} bytes more");
    io::Error::new(io::ErrorKind::OutOfMemory, what)
}

/// Maps as much for a moment: no page of it is touched, so it costs a microsecond, and limits of the process count.
#[cfg(fabric_linux)]
#[expect(
    unsafe_code,
    reason = "an allocator that is asked instead changes how it treats pieces of that size later"
)]
fn is_available(len: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new map, of which the system chooses the place, changes nothing that is there.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: it is the map that was made above, and nobody knows of it.
    let unmapped = unsafe { libc::munmap(memory, len) };
    unmapped == 0
}

/// Allocates as much for a moment, and touches none of it.
#[cfg(not(fabric_linux))]
#[expect(
    unsafe_code,
    reason = "an allocator of the program's own may count, or keep, what is only looked for"
)]
fn is_available(len: usize) -> bool {
    use std::alloc::{GlobalAlloc, Layout, System};

    let Ok(layout) = Layout::array::<u8>(len.max(1)) else {
        return false;
    };
    // SAFETY: the layout is not of nothing.
    let memory = unsafe { System.alloc(layout) };
    // The compiler may leave an allocation out that nobody sees.
    if std::hint::black_box(memory).is_null() {
        return false;
    }
    // SAFETY: the allocator gave this memory for the same layout, and nobody else has it.
    unsafe { System.dealloc(memory, layout) };
    true
}

/// Asks for large pages under memory that has not been touched yet. A wish: whether it came true cannot be seen.
#[cfg(fabric_linux)]
#[expect(unsafe_code, reason = "small pages are what reading into new memory costs most")]
fn prefer_large<T>(elements: &mut [T]) {
    /// Below that no page can be large.
    const LARGE: usize = 2 << 20;
    const SMALL: usize = 4096;

    let len = size_of_val(elements);
    if len < LARGE {
        return;
    }
    // Whole pages: neighbours that ask too are one piece of memory to the system then, and it lets a process have only so many.
    let first = elements.as_mut_ptr().cast::<u8>();
    let before = first.addr() % SMALL;
    let whole = (before + len).next_multiple_of(SMALL);
    // SAFETY: every page of the range holds a byte of the slice at least, so it is mapped. This advice changes by how many
    // pages the memory is backed, and neither its contents nor where it lies; what else is in the first page and the last
    // stays what it is.
    let advised = unsafe { libc::madvise(first.wrapping_sub(before).cast(), whole, libc::MADV_HUGEPAGE) };
    // A system without large pages, or with pages that are no multiple of ours, refuses. The memory is as good.
    let _ = advised;
}

#[cfg(not(fabric_linux))]
fn prefer_large<T>(_elements: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_every_length_is_zero_and_can_be_written() {
        for len in [
            0,
            1,
            4095,
            1 << 20,
            (2 << 20) - 1,
            2 << 20,
            (2 << 20) + 4096,
            (5 << 20) + 3,
        ] {
            let mut bytes: Vec<u8> = zeroed(len).expect("memory");
            assert_eq!(bytes.len(), len);
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
            assert!(bytes.iter().all(|byte| *byte == 7));
        }
        assert!(reserved::<f64>(1 << 20).is_ok_and(|room| room.is_empty() && room.capacity() >= 1 << 20));
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        let kinds = [
            reserved::<f64>(usize::MAX / 8).map(drop),
            reserved::<f64>(usize::MAX).map(drop),
            zeroed::<u64>(usize::MAX / 8).map(drop),
            zeroed::<u8>(usize::MAX).map(drop),
            grow(&mut vec![1u8], usize::MAX / 4),
            resize(&mut vec![1], usize::MAX / 4),
        ]
        .map(|outcome| outcome.map_err(|error| error.kind()));
        assert_eq!(kinds, [Err(io::ErrorKind::OutOfMemory); 6]);
        assert!(look(usize::MAX / 4).is_err() && look(1 << 20).is_ok());
        assert!(!is_there(usize::MAX) && !is_there(usize::MAX / 4) && is_there(1 << 20));
    }

    /// As the system tells, where it tells.
    #[cfg(fabric_linux)]
    #[test]
    fn a_long_vector_has_asked_for_large_pages() {
        let mut bytes: Vec<u8> = zeroed(64 << 20).expect("memory");
        bytes.fill(1);
        let inside = bytes[32 << 20..].as_ptr().addr();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let mut flags = None;
        let mut here = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = range.map(|(a, b)| (usize::from_str_radix(a, 16), usize::from_str_radix(b, 16)));
            if let Some((Ok(from), Ok(to))) = ends {
                here = (from..to).contains(&inside);
            } else if here && line.starts_with("VmFlags:") {
                flags = Some(line.split_whitespace().any(|flag| flag == "hg"));
            }
        }
        let supported = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        assert_eq!(flags.unwrap_or(supported), supported);
    }
}
