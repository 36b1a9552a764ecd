//! Cache lines, each written past the cache with one store.
//!
//! The standard library implements streaming stores in assembly, which no sanitizer sees. `--cfg
//! fabric_ordinary_stores` replaces them, and the loads in assembly here, by ordinary stores and loads.

#[cfg(not(fabric_x86_64))]
use crate::io::lent::Lent;

/// The length of a cache line in bytes, which a store must not straddle.
pub(crate) const LINE: usize = 64;

/// The aligned memory of one line.
#[repr(C, align(64))]
pub(super) struct Line([u8; LINE]);

impl Line {
    pub(super) const ZEROS: Self = Self([0; LINE]);

    /// Divides memory into the bytes before the first line, the lines, and the bytes after the last.
    #[expect(
        unsafe_code,
        reason = "the standard library has no safe view of bytes as aligned lines"
    )]
    pub(super) fn divide(memory: &mut [u8]) -> (&mut [u8], &mut [Self], &mut [u8]) {
        // SAFETY: any `LINE` aligned bytes are a valid line.
        unsafe { memory.align_to_mut() }
    }

    /// Copies lent bytes to lines with safe loads and stores, and the first lines also to `kept`, which may be shorter
    /// than `into`.
    #[cfg(not(fabric_x86_64))]
    pub(super) fn copy_all(from: Lent<'_>, into: &mut [Self], kept: &mut [Self]) {
        for (number, (from, into)) in from.chunks(LINE).zip(into).enumerate() {
            from.read(&mut into.0);
            if let Some(kept) = kept.get_mut(number) {
                kept.0 = into.0;
            }
        }
    }
}

/// A guard for streaming stores in flight. Its drop makes all of them visible to all threads.
pub(super) struct Stores;

#[cfg(not(fabric_x86_64))]
impl Drop for Stores {
    /// Ordinary stores need no fence.
    fn drop(&mut self) {}
}

#[cfg(fabric_x86_64)]
pub(super) use x86::{fetch, load, load_quarters};

#[cfg(fabric_x86_64)]
mod x86 {
    use std::arch::x86_64::{__m128i, __m512i, _mm_sfence};

    use super::{LINE, Line, Stores};
    use crate::io::lent::LentArray;

    #[expect(unsafe_code, reason = "the fence that streaming stores need")]
    impl Drop for Stores {
        fn drop(&mut self) {
            // SAFETY: every x86-64 processor has SSE.
            unsafe { _mm_sfence() }
        }
    }

    /// A line as four registers of 128 bits, which every x86-64 processor has.
    pub(in super::super) type Quarters = [__m128i; LINE / size_of::<__m128i>()];

    #[expect(unsafe_code, reason = "streaming stores")]
    #[expect(clippy::cast_ptr_alignment, reason = "a line is aligned as the widest of these")]
    impl Line {
        /// Writes the line past the cache. Drop [`Stores`] before reading the line.
        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in super::super) fn stream(&mut self, bytes: __m512i) {
            #[cfg(fabric_ordinary_stores)]
            self.keep(bytes);
            #[cfg(not(fabric_ordinary_stores))]
            // SAFETY: the line has the width of the register and is aligned. `&mut self` is exclusive until the fence
            // of `Stores`.
            unsafe {
                std::arch::x86_64::_mm512_stream_si512(self.0.as_mut_ptr().cast(), bytes);
            }
        }

        /// Writes the line through the cache.
        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in super::super) fn keep(&mut self, bytes: __m512i) {
            // SAFETY: the line has the width of the register and is aligned.
            unsafe { std::arch::x86_64::_mm512_store_si512(self.0.as_mut_ptr().cast(), bytes) }
        }

        /// Writes the line past the cache, with instructions that every x86-64 processor has.
        #[inline]
        pub(in super::super) fn stream_quarters(&mut self, bytes: Quarters) {
            #[cfg(fabric_ordinary_stores)]
            self.keep_quarters(bytes);
            #[cfg(not(fabric_ordinary_stores))]
            for (at, quarter) in bytes.into_iter().enumerate() {
                // SAFETY: the line consists of four aligned quarters. `&mut self` is exclusive until the fence of
                // `Stores`.
                unsafe { std::arch::x86_64::_mm_stream_si128(self.0.as_mut_ptr().cast::<__m128i>().add(at), quarter) }
            }
        }

        /// Writes the line through the cache, with instructions that every x86-64 processor has.
        #[inline]
        pub(in super::super) fn keep_quarters(&mut self, bytes: Quarters) {
            // SAFETY: the line consists of four quarters, with at least their alignment.
            unsafe { self.0.as_mut_ptr().cast::<Quarters>().write(bytes) }
        }
    }

    /// Prefetches the cache line of this byte.
    #[expect(unsafe_code, reason = "the processor does not prefetch that far")]
    #[inline]
    pub(in super::super) fn fetch(at: *const u8) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        // SAFETY: a prefetch is a hint, and valid for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    /// Reads a line with one load, which the compiler can neither repeat nor split.
    #[target_feature(enable = "avx512f")]
    #[expect(unsafe_code, reason = "the standard library has no such load")]
    #[inline]
    pub(in super::super) fn load(line: LentArray<'_, LINE>) -> __m512i {
        #[cfg(fabric_ordinary_stores)]
        // SAFETY: the line has the width of the register, and the load needs no alignment.
        return unsafe { std::arch::x86_64::_mm512_loadu_si512(line.as_ptr().cast()) };
        #[cfg(not(fabric_ordinary_stores))]
        {
            let bytes;
            // SAFETY: as above. The processor has AVX-512, and the instruction only reads the line.
            unsafe {
                std::arch::asm!(
                    "vmovdqu64 {bytes}, [{line}]",
                    bytes = lateout(zmm_reg) bytes,
                    line = in(reg) line.as_ptr(),
                    options(readonly, nostack, preserves_flags),
                );
            }
            bytes
        }
    }

    /// Reads a line with four loads, which the compiler can neither repeat nor split, and which every x86-64 processor
    /// has.
    #[expect(unsafe_code, reason = "the standard library has no such load")]
    #[inline]
    pub(in super::super) fn load_quarters(line: LentArray<'_, LINE>) -> Quarters {
        const WIDTH: usize = size_of::<__m128i>();
        std::array::from_fn(|number| {
            let quarter: LentArray<'_, WIDTH> = line.part(number * WIDTH);
            #[cfg(fabric_ordinary_stores)]
            // SAFETY: the quarter has the width of the register, and the load needs no alignment.
            return unsafe { std::arch::x86_64::_mm_loadu_si128(quarter.as_ptr().cast()) };
            #[cfg(not(fabric_ordinary_stores))]
            {
                let bytes;
                // SAFETY: as above. The instruction only reads the quarter.
                unsafe {
                    std::arch::asm!(
                        "movdqu {bytes}, [{quarter}]",
                        bytes = lateout(xmm_reg) bytes,
                        quarter = in(reg) quarter.as_ptr(),
                        options(readonly, nostack, preserves_flags),
                    );
                }
                bytes
            }
        })
    }
}
