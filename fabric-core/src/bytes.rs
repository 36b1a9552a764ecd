//! The memory of a CPU tensor, as bytes: elements packed, in native order.

use std::collections::TryReserveError;

use candle_core::{CpuStorage, DType};

use crate::blank::{Blank, extend};
use crate::pages::reserved;

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

/// Room for `len` bytes of elements of this type, and none of them. `None` for a type that we do not know.
pub(crate) fn reserve(dtype: DType, len: usize) -> Result<Option<CpuStorage>, TryReserveError> {
    let elements = len / dtype.size_in_bytes().max(1);
    Ok(Some(match dtype {
        DType::U8 => CpuStorage::U8(reserved(len)?),
        DType::U32 => CpuStorage::U32(reserved(elements)?),
        DType::I16 => CpuStorage::I16(reserved(elements)?),
        DType::I32 => CpuStorage::I32(reserved(elements)?),
        DType::I64 => CpuStorage::I64(reserved(elements)?),
        DType::BF16 => CpuStorage::BF16(reserved(elements)?),
        DType::F16 => CpuStorage::F16(reserved(elements)?),
        DType::F32 => CpuStorage::F32(reserved(elements)?),
        DType::F64 => CpuStorage::F64(reserved(elements)?),
        DType::F8E4M3 => CpuStorage::F8E4M3(reserved(elements)?),
        // These are bytes to candle.
        DType::F6E2M3 => CpuStorage::F6E2M3(reserved(len)?),
        DType::F6E3M2 => CpuStorage::F6E3M2(reserved(len)?),
        DType::F4 => CpuStorage::F4(reserved(len)?),
        DType::F8E8M0 => CpuStorage::F8E8M0(reserved(len)?),
        _ => return Ok(None),
    }))
}

/// Has `len` bytes of elements written where there are none. Whether all were: if not, there are none still.
pub(crate) fn fill<E>(
    storage: &mut CpuStorage,
    len: usize,
    write: impl FnOnce(Blank<'_>) -> Result<(), E>,
) -> Result<bool, E> {
    match storage {
        CpuStorage::U8(v)
        | CpuStorage::F6E2M3(v)
        | CpuStorage::F6E3M2(v)
        | CpuStorage::F4(v)
        | CpuStorage::F8E8M0(v) => extend(v, len, write),
        CpuStorage::U32(v) => extend(v, len / 4, write),
        CpuStorage::I16(v) => extend(v, len / 2, write),
        CpuStorage::I32(v) => extend(v, len / 4, write),
        CpuStorage::I64(v) => extend(v, len / 8, write),
        CpuStorage::BF16(v) => extend(v, len / 2, write),
        CpuStorage::F16(v) => extend(v, len / 2, write),
        CpuStorage::F32(v) => extend(v, len / 4, write),
        CpuStorage::F64(v) => extend(v, len / 8, write),
        CpuStorage::F8E4M3(v) => extend(v, len, write),
    }
}
