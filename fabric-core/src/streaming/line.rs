//! Lines of the cache, which one store of the processor's writes as a whole and past the cache.
//!
//! A streaming store is assembly in the standard library, and no sanitizer sees it. Under the switch
//! `--cfg fabric_ordinary_stores` ordinary ones take the place of all, and ordinary loads that of what is assembly here.

use std::mem::MaybeUninit;

/// What one store of the processor's must not straddle.
pub(crate) const LINE: usize = 64;

/// Memory of one line, which begins where a line does.
#[repr(C, align(64))]
pub(super) struct Line([MaybeUninit<u8>; LINE]);

impl Line {
    /// Divides memory into what is in front of the first line, the lines, and what is behind the last.
    #[expect(unsafe_code, reason = "memory has its lines where it has them")]
    pub(super) fn divide(
        memory: &mut [MaybeUninit<u8>],
    ) -> (&mut [MaybeUninit<u8>], &mut [Self], &mut [MaybeUninit<u8>]) {
        // SAFETY: a line is so many bytes, which need not hold anything.
        unsafe { memory.align_to_mut() }
    }

    /// The bytes of a line.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn bytes(&mut self) -> &mut [MaybeUninit<u8>; LINE] {
        &mut self.0
    }
}

/// Streaming stores on their way. Dropped, all are where everybody sees them.
pub(super) struct Stores;

#[cfg(target_arch = "x86_64")]
pub(super) use x86::load;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m128i, __m512i, _mm_sfence};

    use super::{LINE, Line, Stores};
    use crate::lent::LentArray;

    #[expect(unsafe_code, reason = "the fence that streaming stores need")]
    impl Drop for Stores {
        fn drop(&mut self) {
            // SAFETY: every x86-64 has SSE.
            unsafe { _mm_sfence() }
        }
    }

    #[expect(unsafe_code, reason = "streaming stores")]
    impl Line {
        /// Writes all of it. [`Stores`] must be dropped before anybody looks.
        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in super::super) fn stream(&mut self, bytes: __m512i) {
            #[cfg(fabric_ordinary_stores)]
            use arch::_mm512_store_si512 as store;
            #[cfg(not(fabric_ordinary_stores))]
            use arch::_mm512_stream_si512 as store;
            use std::arch::x86_64 as arch;

            // SAFETY: the line is as wide as what is stored, and aligned. Nobody else has it until the fence of `Stores`.
            unsafe { store(self.0.as_mut_ptr().cast(), bytes) }
        }

        /// The same with what every x86-64 has.
        #[inline]
        pub(in super::super) fn stream_quarters(&mut self, bytes: [__m128i; LINE / size_of::<__m128i>()]) {
            #[cfg(fabric_ordinary_stores)]
            use arch::_mm_store_si128 as store;
            #[cfg(not(fabric_ordinary_stores))]
            use arch::_mm_stream_si128 as store;
            use std::arch::x86_64 as arch;

            let first = self.0.as_mut_ptr().cast::<__m128i>();
            for (at, quarter) in bytes.into_iter().enumerate() {
                // SAFETY: as for the whole line: four quarters of it, each aligned.
                unsafe { store(first.add(at), quarter) }
            }
        }
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
}
