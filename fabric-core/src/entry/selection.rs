//! The part of a tensor that is loaded.

use super::{Region, TensorInfo};

/// A box of a tensor, where an entry of a state is not the whole tensor of the file.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The element type and the shape of the whole tensor.
    pub(crate) whole: TensorInfo,
    /// The box of it that the entry holds.
    pub(crate) region: Region,
}
