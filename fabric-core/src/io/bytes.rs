//! The memory of a CPU tensor, as bytes: elements packed, in native order.

use std::io;

use bytemuck::AnyBitPattern;
use candle_core::{CpuStorage, DType};

use crate::io::blank::{Blank, write_new};
use crate::io::pages::reserved;

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
///
/// # Errors
/// If there is not as much memory.
pub(crate) fn reserve(dtype: DType, len: usize) -> io::Result<Option<CpuStorage>> {
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

/// Puts `count` elements behind those that are there, if `write` writes all of them as bytes.
#[expect(unsafe_code, reason = "a pass over new memory takes as long as the reading")]
fn extend<T: AnyBitPattern, E>(
    elements: &mut Vec<T>,
    count: usize,
    write: impl FnOnce(Blank<'_>) -> Result<(), E>,
) -> Result<bool, E> {
    elements.reserve(count);
    let room = &mut elements.spare_capacity_mut()[..count];
    let len = size_of_val(room);
    // SAFETY: the bytes of the room, which need not hold anything, before or afterwards.
    let bytes = unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), len) };
    let all = write_new(bytes, write)?;
    if all {
        // SAFETY: there is room for so many, all of it is written, and any bytes are an element.
        unsafe { elements.set_len(elements.len() + count) }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_elements_when_all_bytes_of_them_are_written() {
        for (dtype, len) in [
            (DType::F32, 12),
            (DType::BF16, 6),
            (DType::F8E4M3, 3),
            (DType::F4, 5),
            (DType::I64, 0),
        ] {
            let mut memory = reserve(dtype, len).unwrap().unwrap();
            assert_eq!(fill(&mut memory, len, |_| Err("cannot be read")), Err("cannot be read"));
            let forgotten = fill(&mut memory, len, |into| {
                let (first, _) = into.split_at(len / 2);
                first.into_bytes().fill(7);
                Ok::<_, ()>(())
            });
            assert_eq!((forgotten, of(&memory)), (Ok(len == 0), &[][..]), "{dtype:?}");
            let written = fill(&mut memory, len, |into| {
                into.into_bytes().fill(9);
                Ok::<_, ()>(())
            });
            assert_eq!((written, of(&memory)), (Ok(true), &vec![9; len][..]), "{dtype:?}");
        }
    }
}
