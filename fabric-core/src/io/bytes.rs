//! The memory of a CPU tensor as bytes: packed elements in native byte order.

use std::io;

use candle_core::{CpuStorage, DType};

use crate::io::pages;

/// The bytes for reading.
pub(crate) fn of(storage: &CpuStorage) -> &[u8] {
    match storage {
        CpuStorage::U8(v)
        | CpuStorage::F6E2M3(v)
        | CpuStorage::F6E3M2(v)
        | CpuStorage::F4(v)
        | CpuStorage::F8E8M0(v) => v,
        CpuStorage::U32(v) => bytemuck::cast_slice(v),
        CpuStorage::I16(v) => bytemuck::cast_slice(v),
        CpuStorage::I32(v) => bytemuck::cast_slice(v),
        CpuStorage::I64(v) => bytemuck::cast_slice(v),
        CpuStorage::BF16(v) => bytemuck::cast_slice(v),
        CpuStorage::F16(v) => bytemuck::cast_slice(v),
        CpuStorage::F32(v) => bytemuck::cast_slice(v),
        CpuStorage::F64(v) => bytemuck::cast_slice(v),
        CpuStorage::F8E4M3(v) => bytemuck::cast_slice(v),
    }
}

/// The bytes for writing.
pub(crate) fn of_mut(storage: &mut CpuStorage) -> &mut [u8] {
    match storage {
        CpuStorage::U8(v)
        | CpuStorage::F6E2M3(v)
        | CpuStorage::F6E3M2(v)
        | CpuStorage::F4(v)
        | CpuStorage::F8E8M0(v) => v,
        CpuStorage::U32(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::I16(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::I32(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::I64(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::BF16(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::F16(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::F32(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::F64(v) => bytemuck::cast_slice_mut(v),
        CpuStorage::F8E4M3(v) => bytemuck::cast_slice_mut(v),
    }
}

/// A zeroed storage of this element type and of `len` bytes; `None` for an element type that the library does not know.
///
/// # Errors
/// If the system lacks the memory.
pub(crate) fn zeroed(dtype: DType, len: usize) -> io::Result<Option<CpuStorage>> {
    let elements = len / dtype.size_in_bytes().max(1);
    Ok(Some(match dtype {
        DType::U8 => CpuStorage::U8(pages::zeroed(len)?),
        DType::U32 => CpuStorage::U32(pages::zeroed(elements)?),
        DType::I16 => CpuStorage::I16(pages::zeroed(elements)?),
        DType::I32 => CpuStorage::I32(pages::zeroed(elements)?),
        DType::I64 => CpuStorage::I64(pages::zeroed(elements)?),
        DType::BF16 => CpuStorage::BF16(pages::zeroed(elements)?),
        DType::F16 => CpuStorage::F16(pages::zeroed(elements)?),
        DType::F32 => CpuStorage::F32(pages::zeroed(elements)?),
        DType::F64 => CpuStorage::F64(pages::zeroed(elements)?),
        DType::F8E4M3 => CpuStorage::F8E4M3(pages::zeroed(elements)?),
        // Candle stores elements of types smaller than a byte as bytes.
        DType::F6E2M3 => CpuStorage::F6E2M3(pages::zeroed(len)?),
        DType::F6E3M2 => CpuStorage::F6E3M2(pages::zeroed(len)?),
        DType::F4 => CpuStorage::F4(pages::zeroed(len)?),
        DType::F8E8M0 => CpuStorage::F8E8M0(pages::zeroed(len)?),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_every_type_take_the_bytes_that_were_asked_for() {
        for (dtype, len) in [
            (DType::F32, 12),
            (DType::BF16, 6),
            (DType::F8E4M3, 3),
            (DType::F4, 5),
            (DType::I64, 0),
        ] {
            let mut memory = zeroed(dtype, len).unwrap().unwrap();
            assert_eq!(of(&memory), vec![0; len], "{dtype:?}");
            of_mut(&mut memory).fill(9);
            assert_eq!(of(&memory), vec![9; len], "{dtype:?}");
        }
    }
}
