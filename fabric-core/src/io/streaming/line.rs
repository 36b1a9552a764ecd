//! Lines of the cache, which one store of the processor's writes as a whole and past the cache.
//!
//! A streaming store is assembly in the standard library, and no sanitizer sees it. Under the switch
//! `--cfg fabric_ordinary_stores` ordinary ones take the place of all, and ordinary loads that of what is assembly here.

#[cfg(not(fabric_x86_64))]
use crate::io::lent::Lent;

/// What one store of the processor's must not straddle.
pub(crate) const LINE: usize = 64;

/// Memory of one line, which begins where a line does.
#[repr(C, align(64))]
pub(super) struct Line([u8; LINE]);

impl Line {
    pub(super) const ZEROS: Self = Self([0; LINE]);

    /// Divides memory into what is in front of the first line, the lines, and what is behind the last.
    #[expect(unsafe_code, reason = "memory has its lines where it has them")]
    pub(super) fn divide(memory: &mut [u8]) -> (&mut [u8], &mut [Self], &mut [u8]) {
        // SAFETY: a line is so many bytes, whatever they are.
        unsafe { memory.align_to_mut() }
    }

    /// Reads lent bytes into lines, with what the language has. Each line of `kept`, which may be fewer, becomes what its
    /// fellow is.
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

/// Streaming stores on their way. Dropped, all are where everybody sees them.
pub(super) struct Stores;

#[cfg(not(fabric_x86_64))]
impl Drop for Stores {
    /// Ordinary stores need nothing.
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
            // SAFETY: every x86-64 has SSE.
            unsafe { _mm_sfence() }
        }
    }

    /// A line as what every x86-64 can load and store.
    pub(in super::super) type Quarters = [__m128i; LINE / size_of::<__m128i>()];

    #[expect(unsafe_code, reason = "streaming stores")]
    #[expect(clippy::cast_ptr_alignment, reason = "a line is aligned as the widest of these")]
    impl Line {
        /// Writes all of it, past the cache. [`Stores`] must be dropped before anybody looks.
        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in super::super) fn stream(&mut self, bytes: __m512i) {
            #[cfg(fabric_ordinary_stores)]
            self.keep(bytes);
            #[cfg(not(fabric_ordinary_stores))]
            // SAFETY: the line is as wide as what is stored, and aligned. Nobody else has it until the fence of `Stores`.
            unsafe {
                std::arch::x86_64::_mm512_stream_si512(self.0.as_mut_ptr().cast(), bytes);
            }
        }

        /// Writes all of it, in the cache.
        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in super::super) fn keep(&mut self, bytes: __m512i) {
            // SAFETY: the line is as wide as what is stored, and aligned.
            unsafe { std::arch::x86_64::_mm512_store_si512(self.0.as_mut_ptr().cast(), bytes) }
        }

        /// Writes all of it, past the cache, with what every x86-64 has.
        #[inline]
        pub(in super::super) fn stream_quarters(&mut self, bytes: Quarters) {
            #[cfg(fabric_ordinary_stores)]
            self.keep_quarters(bytes);
            #[cfg(not(fabric_ordinary_stores))]
            for (at, quarter) in bytes.into_iter().enumerate() {
                // SAFETY: the line is four quarters, each aligned. Nobody else has it until the fence of `Stores`.
                unsafe { std::arch::x86_64::_mm_stream_si128(self.0.as_mut_ptr().cast::<__m128i>().add(at), quarter) }
            }
        }

        /// Writes all of it, in the cache, with what every x86-64 has.
        #[inline]
        pub(in super::super) fn keep_quarters(&mut self, bytes: Quarters) {
            // SAFETY: the line is four quarters, and aligned as they are.
            unsafe { self.0.as_mut_ptr().cast::<Quarters>().write(bytes) }
        }
    }

    /// Has the line fetched in which the byte is.
    #[expect(unsafe_code, reason = "the processor does not look that far ahead by itself")]
    #[inline]
    pub(in super::super) fn fetch(at: *const u8) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        // SAFETY: a prefetch is advice, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    /// Reads a line, by one load that the compiler can neither repeat nor divide.
    #[target_feature(enable = "avx512f")]
    #[expect(unsafe_code, reason = "there is no such load in the standard library")]
    #[inline]
    pub(in super::super) fn load(line: LentArray<'_, LINE>) -> __m512i {
        #[cfg(fabric_ordinary_stores)]
        // SAFETY: the line is as wide as what is loaded, which needs no alignment.
        return unsafe { std::arch::x86_64::_mm512_loadu_si512(line.as_ptr().cast()) };
        #[cfg(not(fabric_ordinary_stores))]
        {
            let bytes;
            // SAFETY: as above. The processor has AVX-512, and the instruction reads the line and does nothing else.
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

    /// The same with what every x86-64 has: one load for each quarter.
    #[expect(unsafe_code, reason = "there is no such load in the standard library")]
    #[inline]
    pub(in super::super) fn load_quarters(line: LentArray<'_, LINE>) -> Quarters {
        const WIDTH: usize = size_of::<__m128i>();
        std::array::from_fn(|number| {
            let quarter: LentArray<'_, WIDTH> = line.part(number * WIDTH);
            #[cfg(fabric_ordinary_stores)]
            // SAFETY: the quarter is as wide as what is loaded, which needs no alignment.
            return unsafe { std::arch::x86_64::_mm_loadu_si128(quarter.as_ptr().cast()) };
            #[cfg(not(fabric_ordinary_stores))]
            {
                let bytes;
                // SAFETY: as above. The instruction reads the quarter and does nothing else.
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
