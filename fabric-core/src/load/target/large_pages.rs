//! Large pages under the tensors that a load fills.

use std::ops::Range;

use candle_core::{Storage, Tensor};

use super::window;
use crate::io::{bytes, pages};

/// The least mean length in bytes of tensors for which the advice pays: shorter ones take longer to look at than their
/// pages take.
const LEAST: u64 = 4 << 10;

/// Asks for large pages under tensors in main memory, which a load fills with `total` bytes. The memory of a new tensor
/// of zeros has no pages yet.
pub(crate) fn prefer_large_pages<'t>(tensors: impl ExactSizeIterator<Item = &'t Tensor>, total: u64) {
    if total / LEAST < tensors.len() as u64 {
        return;
    }
    let mut pieces: Vec<Range<usize>> = tensors.filter_map(addresses).collect();
    pages::prefer_large_under(&mut pieces);
}

/// The addresses of a tensor's bytes; `None` if they are not contiguous, or not in main memory.
fn addresses(tensor: &Tensor) -> Option<Range<usize>> {
    let (guard, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*guard else { return None };
    let bytes = bytes::of(storage)
        .get(window(layout, tensor.dtype().into())?)?
        .as_ptr_range();
    Some(bytes.start.addr()..bytes.end.addr())
}
