//! Writes into a live tensor. Its identity, its variable, its gradients and its ties stay.

#[cfg(feature = "cuda")]
mod cuda;
mod in_place;
#[cfg(any(test, feature = "cuda"))]
mod lanes;
mod large_pages;
mod new;
mod plain;

pub(crate) use large_pages::prefer_large_pages;
pub(crate) use new::new_tensor;
pub(crate) use plain::with_plain;

use std::borrow::Cow;

use candle_core::{Device, Layout, Tensor};

use self::in_place::in_place;
use crate::entry::DType;
use crate::error::{Error, Result, StateError};
use crate::io::bytes;
use crate::io::pages;
use crate::source::read::{PartialSums, read_noting, stream_noting};
use crate::source::{Source, StoredTensor};

/// Fills `tensor` from the source. The shapes are equal; the element types are equal unless `cast` is set.
pub(crate) fn write(
    source: &dyn Source,
    name: &str,
    tensor: &Tensor,
    stored: &StoredTensor,
    cast: bool,
    threads: usize,
    sums: &PartialSums,
) -> Result<()> {
    if tensor.elem_count() == 0 {
        // Candle gives some tensors without elements a stride of 0, and refuses to write through it.
        return Ok(());
    }
    #[cfg(feature = "cuda")]
    if let Some(run) = cuda::run_of(tensor).filter(|_| !cast) {
        return cuda::write(source, name, (tensor, run), stored, threads, sums);
    }
    if !tensor.device().is_cpu() {
        return write_to_device(source, name, tensor, stored, sums);
    }
    if !cast && window(tensor.layout(), tensor.dtype().into()).is_some() {
        return in_place(name, tensor, |bytes, _| {
            read_noting(source, name, stored, bytes, threads, sums)
        });
    }
    let mut elements = Elements::new(tensor.layout());
    stream_noting(source, name, stored, sums, |block| {
        let converted = cast
            .then(|| convert(name, block, stored.info.dtype(), tensor))
            .transpose()?;
        let block = converted.as_deref().unwrap_or(block);
        put(name, tensor, &mut elements, block)
    })
}

/// Fills `tensor` with bytes of its element type, in row-major order.
pub(crate) fn write_bytes(name: &str, tensor: &Tensor, bytes: &[u8]) -> Result<()> {
    if tensor.elem_count() == 0 {
        return Ok(());
    }
    #[cfg(feature = "cuda")]
    if let Some(run) = cuda::run_of(tensor) {
        return cuda::write_bytes(name, tensor, run, bytes);
    }
    if !tensor.device().is_cpu() {
        put_on_device(name, tensor, bytes, tensor.dtype(), 0)?;
        return arrived(name, tensor);
    }
    if window(tensor.layout(), tensor.dtype().into()).is_some() {
        return in_place(name, tensor, |into, _| {
            if into.len() != bytes.len() {
                let what = format!(
                    "{} bytes came for entry `{name}`, which has {}",
                    bytes.len(),
                    into.len()
                );
                return Err(Error::Internal(what));
            }
            into.copy_from_slice(bytes);
            Ok(())
        });
    }
    put(name, tensor, &mut Elements::new(tensor.layout()), bytes)
}

/// The range of bytes in the storage that a tensor shows; `None` if its elements are not contiguous whole bytes.
pub(crate) fn window(layout: &Layout, dtype: DType) -> Option<std::ops::Range<usize>> {
    let (start, end) = layout.contiguous_offsets()?;
    let (start, end) = (start * dtype.bits(), end * dtype.bits());
    (start % 8 == 0).then(|| start / 8..end.div_ceil(8))
}

/// The positions of a strided tensor's elements in its storage, in row-major order.
pub(crate) struct Elements {
    dims: Vec<usize>,
    stride: Vec<usize>,
    index: Vec<usize>,
    at: usize,
}

impl Elements {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            dims: layout.dims().to_vec(),
            stride: layout.stride().to_vec(),
            index: vec![0; layout.dims().len()],
            at: layout.start_offset(),
        }
    }

    /// The positions from the element with this row-major number on.
    pub(crate) fn from(layout: &Layout, mut element: usize) -> Self {
        let mut elements = Self::new(layout);
        for d in (0..elements.dims.len()).rev() {
            let dim = elements.dims[d].max(1);
            elements.index[d] = element % dim;
            elements.at += elements.index[d] * elements.stride[d];
            element /= dim;
        }
        elements
    }

    pub(crate) fn next(&mut self) -> usize {
        let now = self.at;
        for d in (0..self.dims.len()).rev() {
            self.index[d] += 1;
            self.at += self.stride[d];
            if self.index[d] < self.dims[d] {
                break;
            }
            self.at -= self.stride[d] * self.dims[d];
            self.index[d] = 0;
        }
        now
    }
}

/// Writes the next elements of a tensor that is not contiguous.
fn put(name: &str, tensor: &Tensor, elements: &mut Elements, block: &[u8]) -> Result<()> {
    let item = DType::from(tensor.dtype()).bits() / 8;
    if item == 0 {
        let what = "has elements smaller than a byte that are no plain run of memory".to_owned();
        return Err(StateError::Tensor {
            name: name.to_owned(),
            what,
        }
        .into());
    }
    let shifted = window(tensor.layout(), tensor.dtype().into()).map_or(0, |window| window.start);
    in_place(name, tensor, |bytes, _| {
        for element in block.chunks_exact(item) {
            let at = elements.next() * item - shifted;
            bytes[at..at + item].copy_from_slice(element);
        }
        Ok(())
    })
}

/// The memory of a block during candle's conversions, as a multiple of its bytes: 8-bit floats become 64-bit floats by
/// way of 32 bits, and are copied.
const CONVERTED: usize = 32;

/// Converts one block to the tensor's element type, with candle's conversion.
pub(crate) fn convert(name: &str, block: &[u8], from: DType, tensor: &Tensor) -> Result<Vec<u8>> {
    convert_to(name, block, from, tensor.dtype())
}

/// Converts one block to an element type, with candle's conversion.
pub(crate) fn convert_to(name: &str, block: &[u8], from: DType, to: candle_core::DType) -> Result<Vec<u8>> {
    // Candle ends the process if an allocation fails, so the memory is checked first.
    pages::look(block.len().saturating_mul(CONVERTED)).map_err(|source| Error::Memory {
        purpose: format!("convert `{name}`"),
        source,
    })?;
    let converted = from_bytes(name, block, from, &Device::Cpu)?;
    let converted = to_dtype(&converted, to).map_err(Error::candle(name))?;
    let (guard, _) = converted.storage_and_layout();
    match &*guard {
        candle_core::Storage::Cpu(storage) => Ok(bytes::of(storage).to_vec()),
        _ => Ok(Vec::new()),
    }
}

/// Converts with candle, and by way of `f32` for 8-bit floats: the direct conversion of candle 0.11 between those and
/// `f64` never returns.
pub(crate) fn to_dtype(tensor: &Tensor, dtype: candle_core::DType) -> candle_core::Result<Tensor> {
    use candle_core::DType::{F8E4M3, F32};
    if tensor.dtype() != dtype && (tensor.dtype() == F8E4M3 || dtype == F8E4M3) {
        return tensor.to_dtype(F32)?.to_dtype(dtype);
    }
    tensor.to_dtype(dtype)
}

fn from_bytes(name: &str, block: &[u8], dtype: DType, device: &Device) -> Result<Tensor> {
    let candle = dtype.widened().ok_or_else(|| Error::WrongType {
        name: name.to_owned(),
        what: format!("has element type {dtype}, which candle's tensors do not have"),
    })?;
    let elements = block.len() * 8 / dtype.bits().max(1);
    let block = widen(dtype, block);
    Tensor::from_raw_buffer(&block, candle, &[elements], device).map_err(Error::candle(name))
}

/// Converts elements of a type that candle lacks to the type of [`DType::widened`], without loss.
fn widen(dtype: DType, block: &[u8]) -> Cow<'_, [u8]> {
    match dtype {
        DType::I8 => {
            let bytes = block.iter().map(|byte| i64::from(byte.cast_signed()).to_le_bytes());
            Cow::Owned(bytes.flatten().collect())
        }
        DType::U16 => {
            let (numbers, _) = block.as_chunks::<2>();
            Cow::Owned(numbers.iter().flat_map(|&[low, high]| [low, high, 0, 0]).collect())
        }
        // An F8E5M2 is the upper byte of an F16.
        DType::F8E5M2 => Cow::Owned(block.iter().flat_map(|&byte| [0, byte]).collect()),
        _ => Cow::Borrowed(block),
    }
}

/// Fills a tensor on another device block by block, with candle's copies.
fn write_to_device(
    source: &dyn Source,
    name: &str,
    tensor: &Tensor,
    stored: &StoredTensor,
    sums: &PartialSums,
) -> Result<()> {
    let own = stored.info.dtype();
    let dtype = own.widened().unwrap_or(tensor.dtype());
    let mut from = 0;
    stream_noting(source, name, stored, sums, |block| {
        from = put_on_device(name, tensor, &widen(own, block), dtype, from)?;
        Ok(())
    })?;
    arrived(name, tensor)
}

/// Waits until the tensor's device has done this thread's work, since the next thread that uses the tensor does not
/// wait for it.
fn arrived(name: &str, tensor: &Tensor) -> Result<()> {
    tensor.device().synchronize().map_err(Error::candle(name))
}

fn put_on_device(name: &str, tensor: &Tensor, block: &[u8], dtype: candle_core::DType, from: usize) -> Result<usize> {
    if !tensor.is_contiguous() {
        let what = "is a strided view on an accelerator; keep the tensor it is a view of in the state".to_owned();
        return Err(StateError::Tensor {
            name: name.to_owned(),
            what,
        }
        .into());
    }
    let put = || {
        let block = Tensor::from_raw_buffer(
            block,
            dtype,
            &[block.len() * 8 / DType::from(dtype).bits()],
            tensor.device(),
        )?;
        let block = to_dtype(&block, tensor.dtype())?;
        if block.elem_count() > 0 {
            tensor.flatten_all()?.slice_set(&block, 0, from)?;
        }
        Ok(from + block.elem_count())
    };
    put().map_err(Error::candle(name))
}

#[cfg(test)]
mod tests {
    use candle_core::DType as C;

    use super::*;

    #[test]
    fn every_conversion_between_numbers_comes_to_an_end() {
        let types = [
            C::U8,
            C::U32,
            C::I16,
            C::I32,
            C::I64,
            C::F8E4M3,
            C::F16,
            C::BF16,
            C::F32,
            C::F64,
        ];
        for from in types {
            let ones = Tensor::ones(3, C::F32, &Device::Cpu).unwrap();
            let ones = to_dtype(&ones, from).unwrap();
            for to in types {
                let converted = to_dtype(&ones, to).unwrap();
                let sum = to_dtype(&converted, C::F32).unwrap().sum_all().unwrap();
                assert_eq!(
                    sum.to_scalar::<f32>().unwrap().to_bits(),
                    3f32.to_bits(),
                    "{from:?} to {to:?}"
                );
            }
        }
    }
}
