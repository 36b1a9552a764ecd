//! A number for the bytes of a tensor, by which ranks compare replicas without sending them: of all bytes of a small
//! tensor, of a sample of a large one.

use candle_core::{Device, Storage as CandleStorage, Tensor};

use crate::entry::{DType, TensorInfo};
use crate::error::{Error, Result};
use crate::io::bytes;
use crate::io::checksum::Running;
use crate::load::target::{Elements, window};
use crate::save::contents::read_out;

/// The fingerprint of a tensor of up to this many bytes covers all bytes.
const SMALL: usize = 64 << 10;

/// The length of one line of a sample in bytes.
const LINE: usize = 64;

/// The distance between two lines of a sample in bytes: 65 lines of each block of 1 MiB. The distance is a prime number
/// of lines, so that the lines lie in different columns from row to row of a matrix.
const STRIDE: usize = 251 * LINE;

/// The fingerprint of the bytes of a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Equal bytes have equal numbers. The number of a tensor of up to eight bytes is its bytes, padded with zeros.
    pub(crate) number: u64,
    /// True if the number covers every byte.
    pub(crate) is_exact: bool,
}

impl Fingerprint {
    /// # Errors
    /// If candle cannot read the tensor.
    pub(crate) fn of(name: &str, tensor: &Tensor, whole: bool) -> Result<Self> {
        let len = TensorInfo::from(tensor).byte_len().unwrap_or_default();
        let mut sum = Running::new();
        if len <= size_of::<u64>() {
            return few(name, tensor);
        }
        let is_exact = whole || len <= SMALL;
        if is_exact {
            read_out(name, tensor, &mut |bytes| {
                sum.update(bytes);
                Ok(())
            })?;
        } else if tensor.device().is_cpu() {
            sample(name, tensor, len, &mut sum)?;
        } else {
            sample_on_device(name, tensor, &mut sum)?;
        }
        Ok(Self {
            number: sum.finish(),
            is_exact,
        })
    }
}

/// The fingerprint of a tensor of up to eight bytes: the bytes themselves.
fn few(name: &str, tensor: &Tensor) -> Result<Fingerprint> {
    let mut number = [0; size_of::<u64>()];
    let mut at = 0;
    read_out(name, tensor, &mut |bytes| {
        for byte in bytes {
            if let Some(place) = number.get_mut(at) {
                *place = *byte;
            }
            at += 1;
        }
        Ok(())
    })?;
    Ok(Fingerprint {
        number: u64::from_le_bytes(number),
        is_exact: true,
    })
}

/// The byte ranges of the lines of a sample, in row-major order: one for each stride, and the last line of the tensor.
fn lines(len: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = (0..len).step_by(STRIDE).chain([len.saturating_sub(LINE)]);
    starts.map(move |start| (start, len.min(start + LINE)))
}

/// Adds a sample of a tensor in main memory.
fn sample(name: &str, tensor: &Tensor, len: usize, sum: &mut Running) -> Result<()> {
    let dtype = DType::from(tensor.dtype());
    let (guard, layout) = tensor.storage_and_layout();
    let CandleStorage::Cpu(storage) = &*guard else {
        return Err(Error::Internal(format!(
            "tensor `{name}` is on the CPU, and its storage is not"
        )));
    };
    let storage = bytes::of(storage);
    // Lines are collected first: a checksum call for each line takes longer than reading the line.
    let mut gathered = Vec::with_capacity(64 * LINE);
    let mut add = |line: &[u8]| {
        gathered.extend_from_slice(line);
        if gathered.len() >= 63 * LINE {
            sum.update(&gathered);
            gathered.clear();
        }
    };
    if let Some(bytes) = window(layout, dtype).and_then(|window| storage.get(window)) {
        for (start, end) in lines(len) {
            add(bytes.get(start..end).unwrap_or_default());
        }
    } else {
        let item = (dtype.bits() / 8).max(1);
        for (start, end) in lines(len) {
            let mut elements = Elements::from(layout, start / item);
            for _ in 0..(end - start) / item {
                let at = elements.next() * item;
                add(storage.get(at..at + item).unwrap_or_default());
            }
        }
    }
    sum.update(&gathered);
    Ok(())
}

/// Adds a sample of a tensor on an accelerator, which gathers the lines of [`sample`]: a copy for each line would take
/// longer than to save the tensor.
fn sample_on_device(name: &str, tensor: &Tensor, sum: &mut Running) -> Result<()> {
    let item = (DType::from(tensor.dtype()).bits() / 8).max(1);
    let (line, stride) = (LINE / item, STRIDE / item);
    let gather = || {
        let flat = tensor.flatten_all()?;
        let total = flat.elem_count();
        let rows = total / stride;
        let regular = flat.narrow(0, 0, rows * stride)?.reshape((rows, stride))?;
        let mut parts = vec![regular.narrow(1, 0, line)?];
        let rest = total - rows * stride;
        if rest > 0 {
            parts.push(flat.narrow(0, rows * stride, rest.min(line))?);
        }
        parts.push(flat.narrow(0, total - line, line)?);
        let copies = parts
            .iter()
            .map(|part| part.force_contiguous()?.to_device(&Device::Cpu));
        copies.collect::<candle_core::Result<Vec<Tensor>>>()
    };
    for part in gather().map_err(Error::candle(name))? {
        read_out(name, &part, &mut |bytes| {
            sum.update(bytes);
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize, seed: usize) -> Vec<u8> {
        (0..len)
            .map(|at| ((at * 31 + at / 256 + seed) % 251).to_le_bytes()[0])
            .collect()
    }

    fn of(bytes: &[u8], shape: &[usize]) -> Fingerprint {
        let tensor = Tensor::from_slice(bytes, shape, &Device::Cpu).unwrap();
        Fingerprint::of("w", &tensor, false).unwrap()
    }

    #[test]
    fn the_first_and_last_line_and_65_lines_of_every_block_are_sampled() {
        let len = (3 << 20) + 17;
        let found: Vec<(usize, usize)> = lines(len).collect();
        assert_eq!((found[0], found[found.len() - 1]), ((0, LINE), (len - LINE, len)));
        for block in 0..3 {
            let inside = |(start, end): &&(usize, usize)| *start >= block << 20 && *end <= (block + 1) << 20;
            assert!(found.iter().filter(inside).count() >= 65);
        }
    }

    #[test]
    fn a_small_tensor_is_compared_whole_and_a_large_one_by_its_lines() {
        let small = bytes(SMALL, 0);
        let mut other = small.clone();
        other[SMALL / 2] ^= 1;
        assert!(of(&small, &[SMALL]).is_exact);
        assert_ne!(of(&small, &[SMALL]).number, of(&other, &[SMALL]).number);
        let large = bytes(2 << 20, 0);
        let mut outside = large.clone();
        outside[STRIDE - 1] ^= 1;
        assert_eq!(of(&large, &[2 << 20]), of(&outside, &[2 << 20]));
        let mut inside = large.clone();
        inside[3 * STRIDE + LINE - 1] ^= 1;
        assert_ne!(of(&large, &[2 << 20]), of(&inside, &[2 << 20]));
    }

    #[test]
    fn how_a_tensor_lies_in_memory_does_not_matter() {
        for (rows, columns) in [(1000, 1001), (4, 2), (70, 1000)] {
            let values: Vec<u32> = (0u32..rows * columns).map(|n| n.wrapping_mul(2_654_435_761)).collect();
            let shape = (rows as usize, columns as usize);
            let plain = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            let turned = plain.t().unwrap().contiguous().unwrap().t().unwrap();
            assert!(!turned.is_contiguous());
            let print = |tensor: &Tensor| Fingerprint::of("w", tensor, false).unwrap();
            assert_eq!(print(&plain), print(&turned));
            let mut on_device = Running::new();
            if plain.elem_count() * 4 > STRIDE {
                sample_on_device("w", &plain, &mut on_device).unwrap();
                let mut here = Running::new();
                sample("w", &turned, plain.elem_count() * 4, &mut here).unwrap();
                assert_eq!(on_device.finish(), here.finish());
            }
        }
    }

    #[test]
    fn a_tensor_of_eight_bytes_is_its_own_fingerprint() {
        let tensor = Tensor::new(-2i64, &Device::Cpu).unwrap();
        let found = Fingerprint::of("n", &tensor, false).unwrap();
        assert_eq!((found.number.cast_signed(), found.is_exact), (-2, true));
    }
}
