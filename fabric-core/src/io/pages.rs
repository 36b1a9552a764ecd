//! Allocates new memory for many bytes: zeroed, in large pages, and with an error if the system lacks the memory.
//!
//! **Gain.** A program that reads all tensors of a file (`RawCheckpoint::tensors`), as inference and evaluation do: 1
//! GiB in 64 tensors takes 184 to 203 ms in memory that is new from the system, and `std::fs::read` takes 570 to 640
//! ms. On other systems than Linux the memory has the allocator's pages.
//!
//! The system provides each page when it is first touched. With pages of 4 KiB this takes longer than reading a cached
//! file into them; with large pages it does not. Most Linux systems use large pages only for a program that asks for
//! them.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use bytemuck::Zeroable;

/// The longest piece in bytes that is allocated without checking for [`SPARE`].
const LONG: usize = 1 << 20;

/// The memory in bytes that must remain available beside a long piece, because the process aborts if a small piece
/// cannot be allocated.
const SPARE: usize = 4 << 20;

/// A vector of `len` zeros.
///
/// # Errors
/// `OutOfMemory` if the system lacks the memory, or would have less than [`SPARE`] left.
#[expect(
    unsafe_code,
    reason = "the standard library has no call that returns zeroed memory or an error"
)]
pub(crate) fn zeroed<T: Zeroable>(len: usize) -> io::Result<Vec<T>> {
    let layout = std::alloc::Layout::array::<T>(len).map_err(|_| missing(len.saturating_mul(size_of::<T>())))?;
    let size = layout.size();
    if len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the size of the layout is not 0.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    if memory.is_null() {
        return Err(missing(size));
    }
    // SAFETY: the global allocator returned this memory for `len` elements, zero bytes are valid elements, and nothing else
    // points to the memory.
    let mut elements = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory.cast::<T>(), len)) }.into_vec();
    leave_some(size)?;
    prefer_large(&mut elements);
    Ok(elements)
}

/// An empty vector with room for `len` elements.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn reserved<T>(len: usize) -> io::Result<Vec<T>> {
    let mut elements = Vec::new();
    let size = len.saturating_mul(size_of::<T>());
    elements.try_reserve_exact(len).map_err(|_| missing(size))?;
    leave_some(size)?;
    prefer_large(elements.spare_capacity_mut());
    Ok(elements)
}

/// Makes room for `more` further elements.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn grow<T>(elements: &mut Vec<T>, more: usize) -> io::Result<()> {
    if elements.capacity() - elements.len() >= more {
        return Ok(());
    }
    let size = elements.len().saturating_add(more).saturating_mul(size_of::<T>());
    elements.try_reserve(more).map_err(|_| missing(size))?;
    leave_some(size)
}

/// Appends an element.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn push<T>(elements: &mut Vec<T>, element: T) -> io::Result<()> {
    grow(elements, 1)?;
    elements.push(element);
    Ok(())
}

/// A copy of the bytes.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn copied(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut copy = Vec::new();
    append(&mut copy, bytes)?;
    Ok(copy)
}

/// Appends bytes.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn append(to: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    grow(to, bytes.len())?;
    to.extend_from_slice(bytes);
    Ok(())
}

/// Adds `len` to this thread's count of small pieces, and checks the available memory once for every MiB.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn count(len: usize) -> io::Result<()> {
    thread_local!(static COUNTED: Cell<usize> = const { Cell::new(0) });
    let counted = COUNTED.get().saturating_add(len);
    COUNTED.set(if counted > LONG { 0 } else { counted });
    look(counted)
}

/// A writer to growing memory, which returns an error if the system lacks the memory.
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

/// Sets the length of `bytes`; new bytes are zero.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn resize(bytes: &mut Vec<u8>, len: usize) -> io::Result<()> {
    grow(bytes, len.saturating_sub(bytes.len()))?;
    bytes.resize(len, 0);
    Ok(())
}

/// Checks that memory for `len` bytes is available, for code that allocates it without an error result. Up to 1 MiB is
/// not checked.
///
/// # Errors
/// As for [`zeroed`].
pub(crate) fn look(len: usize) -> io::Result<()> {
    if len <= LONG || is_there(len) {
        return Ok(());
    }
    Err(missing(len))
}

/// Returns true if the system could provide `len` bytes now and keep [`SPARE`].
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

/// Maps `len` bytes and unmaps them. It touches no page, so it takes about a microsecond, and it respects the limits of
/// the process.
#[cfg(fabric_linux)]
#[expect(
    unsafe_code,
    reason = "a request to the allocator would change its treatment of later pieces of that size"
)]
fn is_available(len: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new map at an address range that the system chooses changes no existing memory.
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
    // SAFETY: the map was made above, and nothing else points to it.
    let unmapped = unsafe { libc::munmap(memory, len) };
    unmapped == 0
}

/// Allocates `len` bytes and frees them. It touches no page.
#[cfg(not(fabric_linux))]
#[expect(
    unsafe_code,
    reason = "the program's allocator may count or keep memory that is only probed"
)]
fn is_available(len: usize) -> bool {
    use std::alloc::{GlobalAlloc, Layout, System};

    let Ok(layout) = Layout::array::<u8>(len.max(1)) else {
        return false;
    };
    // SAFETY: the size of the layout is not 0.
    let memory = unsafe { System.alloc(layout) };
    // `black_box` keeps the compiler from removing the allocation.
    if std::hint::black_box(memory).is_null() {
        return false;
    }
    // SAFETY: the allocator returned this memory for this layout, and nothing else points to it.
    unsafe { System.dealloc(memory, layout) };
    true
}

/// The size of a large page in bytes; shorter memory has none.
#[cfg(fabric_linux)]
const LARGE: usize = 2 << 20;

/// The size of an ordinary page in bytes.
#[cfg(fabric_linux)]
const SMALL: usize = 4096;

/// The largest number of areas for which a load asks for large pages. Each may be an area of its own to the system, which
/// allows a process 65,530 of them.
#[cfg(fabric_linux)]
const MOST_AREAS: usize = 4096;

/// Asks for large pages under memory that has not been touched yet. The system may ignore the advice.
#[cfg(fabric_linux)]
fn prefer_large<T>(elements: &mut [T]) {
    let first = elements.as_ptr().addr();
    advise(first..first + size_of_val(elements));
}

/// Asks for large pages under pieces of memory, by address, of which some lie beside each other: a model's tensors of
/// less than a large page, for example. The pieces get sorted.
///
/// **Gain.** A program that starts again and loads into the tensors of a new model, whose memory the system has not
/// provided yet: a process that loads 1 GiB in 64 tensors from the page cache and ends takes 304 ms, and 731 ms where the
/// system has no large pages.
#[cfg(fabric_linux)]
pub(crate) fn prefer_large_under(pieces: &mut [Range<usize>]) {
    pieces.sort_unstable_by_key(|piece| piece.start);
    // No page lies between two pieces with a shorter gap, so every page has some byte of a piece.
    let areas = pieces.chunk_by(|before, after| after.start.saturating_sub(before.end) < SMALL);
    let areas = areas.filter_map(|area| {
        let ends = area.iter().map(|piece| piece.end);
        Some(area.first()?.start..ends.max()?)
    });
    areas
        .filter(|area| area.len() >= LARGE)
        .take(MOST_AREAS)
        .for_each(advise);
}

/// Asks for large pages in a range of addresses. A range without memory is an error to the system, and changes nothing.
#[cfg(fabric_linux)]
#[expect(unsafe_code, reason = "small pages take most of the time of a read into new memory")]
fn advise(memory: Range<usize>) {
    if memory.len() < LARGE {
        return;
    }
    // The advice covers whole pages, so that the system merges adjacent allocations into one area: it limits the number
    // of areas of a process.
    let before = memory.start % SMALL;
    let whole = (before + memory.len()).next_multiple_of(SMALL);
    let first = std::ptr::without_provenance_mut(memory.start - before);
    // SAFETY: the advice changes the size of pages only. It keeps the contents and the addresses of all memory in the
    // range, also of memory that is not the caller's, and the call reads and writes none of it.
    let advised = unsafe { libc::madvise(first, whole, libc::MADV_HUGEPAGE) };
    // A system without large pages, or with another page size, returns an error. The memory is usable all the same.
    let _ = advised;
}

#[cfg(not(fabric_linux))]
fn prefer_large<T>(_elements: &mut [T]) {}

#[cfg(not(fabric_linux))]
pub(crate) fn prefer_large_under(_pieces: &mut [Range<usize>]) {}

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

    #[cfg(fabric_linux)]
    #[test]
    fn a_long_vector_has_asked_for_large_pages() {
        let mut bytes: Vec<u8> = zeroed(64 << 20).expect("memory");
        bytes.fill(1);
        assert_eq!(has_asked(bytes[32 << 20..].as_ptr().addr()), Some(has_large_pages()));
    }

    #[cfg(fabric_linux)]
    #[test]
    fn pieces_side_by_side_ask_for_large_pages_together() {
        const PIECE: usize = 128 << 10;
        // The allocator maps memory of this length by itself, without large pages.
        let memory: Vec<u8> = vec![0; 64 << 20];
        let first = memory.as_ptr().addr().next_multiple_of(LARGE);
        let piece = |at: usize| first + at..first + at + PIECE - 16;
        let (near, far) = (8 << 20, 32 << 20);
        let mut pieces: Vec<Range<usize>> = (0..2 * LARGE / PIECE)
            .map(|number| piece(near + number * PIECE))
            .collect();
        pieces.extend((0..64).map(|number| piece(far + number * 2 * PIECE)));
        pieces.reverse();
        prefer_large_under(&mut pieces);
        let asked = has_large_pages();
        assert_eq!(
            has_asked(first + near + LARGE / 2),
            Some(asked),
            "every page has bytes of a piece"
        );
        assert_eq!(
            has_asked(first + far + LARGE / 2),
            Some(false),
            "half of the pages have none"
        );
        assert_eq!(has_asked(first), Some(false));
        prefer_large_under(&mut []);
    }

    #[cfg(fabric_linux)]
    fn has_large_pages() -> bool {
        std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists()
    }

    /// Returns true if the area at the address has the advice, as `/proc/self/smaps` lists it; `None` without such an area.
    #[cfg(fabric_linux)]
    fn has_asked(address: usize) -> Option<bool> {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("the areas of this process");
        let mut here = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = range.map(|(a, b)| (usize::from_str_radix(a, 16), usize::from_str_radix(b, 16)));
            if let Some((Ok(from), Ok(to))) = ends {
                here = (from..to).contains(&address);
            } else if here && line.starts_with("VmFlags:") {
                return Some(line.split_whitespace().any(|flag| flag == "hg"));
            }
        }
        None
    }
}
