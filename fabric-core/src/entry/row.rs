//! The row of one tensor, which a save, a save in the background, `reshard` and `consolidate` carry from the walk over
//! the state or from the source to the file.

use std::sync::Arc;

use super::{Region, TensorInfo};

/// A tensor of a checkpoint, and a box of it.
#[derive(Clone, Debug)]
pub(crate) struct Row<T> {
    /// The name of the entry.
    pub(crate) name: Arc<str>,
    /// The element type and the shape of the whole tensor.
    pub(crate) whole: TensorInfo,
    /// The box of the whole tensor; `None`: the whole tensor.
    pub(crate) region: Option<Region>,
    /// The source of the bytes of that box: a live tensor, or a file.
    pub(crate) bytes: T,
}

impl<T> Row<T> {
    /// The element type and the shape of the box.
    pub(crate) fn info(&self) -> TensorInfo {
        match &self.region {
            Some(region) => TensorInfo::of(self.whole.dtype(), &region.size),
            None => self.whole.clone(),
        }
    }

    /// The length of the box in bytes.
    pub(crate) fn len(&self) -> usize {
        self.info().byte_len().unwrap_or_default()
    }

    /// The row without the place of its bytes.
    pub(crate) fn head(&self) -> Row<()> {
        Row {
            name: self.name.clone(),
            whole: self.whole.clone(),
            region: self.region.clone(),
            bytes: (),
        }
    }
}
