//! The memory of a CPU tensor, as bytes: elements packed, in native order.

use candle_core::{CpuStorage, DType};
use float8::F8E4M3;
use half::vec::HalfBitsVecExt;

use crate::pages::zeroed;

/// To read.
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

/// To write into.
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

/// New memory of `len` bytes for elements of this type, all of them zero. `None` for a type that we do not know.
pub(crate) fn new(dtype: DType, len: usize) -> Option<CpuStorage> {
    let elements = len / dtype.size_in_bytes().max(1);
    Some(match dtype {
        DType::U8 => CpuStorage::U8(zeroed(len)),
        DType::U32 => CpuStorage::U32(zeroed(elements)),
        DType::I16 => CpuStorage::I16(zeroed(elements)),
        DType::I32 => CpuStorage::I32(zeroed(elements)),
        DType::I64 => CpuStorage::I64(zeroed(elements)),
        DType::BF16 => CpuStorage::BF16(zeroed::<u16>(elements).reinterpret_into()),
        DType::F16 => CpuStorage::F16(zeroed::<u16>(elements).reinterpret_into()),
        DType::F32 => CpuStorage::F32(zeroed(elements)),
        DType::F64 => CpuStorage::F64(zeroed(elements)),
        DType::F8E4M3 => CpuStorage::F8E4M3(zeroed(len).into_iter().map(F8E4M3::from_bits).collect()),
        // These are bytes to candle.
        DType::F6E2M3 => CpuStorage::F6E2M3(zeroed(len)),
        DType::F6E3M2 => CpuStorage::F6E3M2(zeroed(len)),
        DType::F4 => CpuStorage::F4(zeroed(len)),
        DType::F8E8M0 => CpuStorage::F8E8M0(zeroed(len)),
        _ => return None,
    })
}
