//! Which tensors are the same memory.

use candle_core::{Layout, Tensor};

use crate::entry::Dims;

/// The allocation behind a tensor and the window that the tensor shows of it.
///
/// The address of the storage behind the read guard is equal for clones, views and detached copies of a handle, and
/// different for any two allocations that are alive together; data pointers are not, because empty tensors share one.
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

    /// The allocation alone, whatever is shown of it.
    pub(crate) fn storage(&self) -> usize {
        self.storage
    }
}

/// The stride of a dimension of one element says nothing.
fn strides_that_matter(layout: &Layout) -> Dims {
    let dims = layout.dims().iter();
    let strides = layout.stride().iter();
    dims.zip(strides).map(|(&d, &s)| if d > 1 { s } else { 0 }).collect()
}

/// Whether two tensors are the same elements of the same allocation, in the same order.
pub(crate) fn same_view(a: &Tensor, b: &Tensor) -> bool {
    StorageKey::of(a) == StorageKey::of(b)
}
