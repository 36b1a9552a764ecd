//! New memory for many bytes.
//!
//! The system hands out memory page by page when it is first touched. With pages of 4 KiB that takes longer than reading
//! a cached file into them; with large ones it does not. Most Linux systems use large pages where a program asks for
//! them.

use std::collections::TryReserveError;

/// `len` zeros.
pub(crate) fn zeroed(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    prefer_large(&mut bytes);
    bytes
}

/// Room for `len` elements.
///
/// # Errors
/// If there is not as much memory.
pub(crate) fn reserved<T>(len: usize) -> Result<Vec<T>, TryReserveError> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(len)?;
    prefer_large(elements.spare_capacity_mut());
    Ok(elements)
}

/// Asks for large pages under memory that has not been touched yet. A wish: whether it came true cannot be seen.
#[cfg(target_os = "linux")]
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

#[cfg(not(target_os = "linux"))]
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
            let mut bytes = zeroed(len);
            assert_eq!(bytes.len(), len);
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
            assert!(bytes.iter().all(|byte| *byte == 7));
        }
        assert!(reserved::<f64>(1 << 20).is_ok_and(|room| room.is_empty() && room.capacity() >= 1 << 20));
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        assert!(reserved::<f64>(usize::MAX / 8).is_err());
    }

    /// As the system tells, where it tells.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_long_vector_has_asked_for_large_pages() {
        let mut bytes = zeroed(64 << 20);
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
