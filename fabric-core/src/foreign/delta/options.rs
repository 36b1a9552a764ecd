//! The options and the reports of deltas.

use crate::entry::DType;
use crate::options::Durability;
use crate::progress::{Callback, Progress};

/// The options of a delta. By default, the new file has all tensors of the checkpoint, with their element types.
///
/// The options are those of the export that a delta stands for: [`ExportOptions`](crate::ExportOptions) with the same subtree and
/// the same element type.
///
/// ```
/// use fabric_core::{DType, DeltaOptions};
///
/// let weights = DeltaOptions::new().subtree("model").dtype(DType::BF16);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to a call"]
pub struct DeltaOptions {
    pub(crate) subtree: Option<String>,
    pub(crate) dtype: Option<DType>,
    pub(crate) durability: Durability,
    pub(crate) progress: Option<Callback>,
}

impl DeltaOptions {
    /// The new file has all tensors, with their element types.
    pub fn new() -> Self {
        Self::default()
    }

    /// The new file has the tensors below `name`, named relative to it, as [`ExportOptions::subtree`](crate::ExportOptions::subtree)
    /// writes them.
    pub fn subtree(mut self, name: impl Into<String>) -> Self {
        self.subtree = Some(name.into());
        self
    }

    /// Converts tensors of floats to this element type, as [`ExportOptions::dtype`](crate::ExportOptions::dtype) does.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// Tells `callback` how many bytes of the checkpoint's tensors were compared, about once for each MiB. It must not use the
    /// Fabric that writes the delta. If it panics, nothing was written, and the panic unwinds out of the call.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }

    /// Sets whether the delta is synced to the device before the call returns.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// The options for applying a delta.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to a call"]
pub struct ApplyOptions {
    pub(crate) durability: Durability,
    pub(crate) progress: Option<Callback>,
}

impl ApplyOptions {
    /// The new file is synced to the device before the call returns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `callback` how many bytes of the new file's tensors were written, about once for each MiB. It must not use the
    /// Fabric that applies the delta. If it panics, nothing was changed, and the panic unwinds out of the call.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }

    /// Sets whether the new file is synced to the device before the call returns.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// The report of a delta that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeltaReport {
    /// The length of the delta in bytes.
    pub bytes: u64,
    /// The length in bytes of the file that the delta makes, which is that of a full export.
    pub full_bytes: u64,
    /// The number of tensors of that file.
    pub tensors: usize,
    /// The number of these that are not equal to the base's.
    pub changed_tensors: usize,
    /// The number of elements. A complex number counts as two, and the elements in one byte count as one.
    pub elements: u64,
    /// The number of elements that are not equal to the base's, those of [`whole`](Self::whole) tensors among them.
    pub changed_elements: u64,
    /// The names of the tensors that the delta has whole, sorted: the base lacks them, or has them with another shape or element
    /// type.
    pub whole: Vec<String>,
    /// The names of the tensors of the base that the new file lacks, sorted.
    pub removed: Vec<String>,
    /// The names of the checkpoint's values, which a safetensors file has no place for, sorted.
    pub left_out: Vec<String>,
    /// The names of the tensors with finite numbers that became infinite, sorted: with [`DeltaOptions::dtype`].
    pub overflowed: Vec<String>,
}

/// The report of a delta that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyReport {
    /// The number of tensors of the new file.
    pub tensors: usize,
    /// The length of the new file in bytes.
    pub bytes: u64,
    /// The length of the delta in bytes.
    pub delta_bytes: u64,
}
