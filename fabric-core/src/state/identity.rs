//! Compares tensors by their memory.

use candle_core::{Layout, Tensor};

use crate::entry::Dims;

/// The storage of a tensor, and the view that the tensor shows of it.
///
/// The address of the storage behind the read guard is equal for clones, views and detached copies of a tensor, and
/// differs between any two storages that exist at the same time. Data pointers do not tell storages apart, because
/// empty tensors share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StorageKey {
    storage: usize,
    start: usize,
    shape: Dims,
    stride: Dims,
}

impl StorageKey {
    pub(crate) fn of(tensor: &Tensor) -> Self {
        let (guard, layout) = tensor.storage_and_layout();
        let storage = std::ptr::from_ref(&*guard).addr();
        Self {
            storage,
            start: layout.start_offset(),
            shape: Dims::from_slice(layout.dims()),
            stride: strides_that_matter(layout),
        }
    }

    /// The address of the storage, which all views share.
    pub(crate) fn storage(&self) -> usize {
        self.storage
    }
}

/// The strides, with 0 for dimensions of length 1, whose stride has no effect.
fn strides_that_matter(layout: &Layout) -> Dims {
    let dims = layout.dims().iter();
    let strides = layout.stride().iter();
    dims.zip(strides).map(|(&d, &s)| if d > 1 { s } else { 0 }).collect()
}

/// Returns true if two tensors show the same elements of the same storage, in the same order.
pub(crate) fn same_view(a: &Tensor, b: &Tensor) -> bool {
    StorageKey::of(a) == StorageKey::of(b)
}
