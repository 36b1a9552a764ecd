//! The options of a conversion into another layout.

use crate::entry::DType;
use crate::options::Durability;
use crate::progress::{Callback, Progress};

/// How to copy a checkpoint into another layout: all of it, as it is, unless said otherwise.
///
/// ```
/// use fabric_core::{DType, ReshardOptions};
///
/// let small = ReshardOptions::new().subtree("model").dtype(DType::BF16);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to a call"]
pub struct ReshardOptions {
    pub(crate) dtype: Option<DType>,
    pub(crate) subtree: Option<String>,
    pub(crate) durability: Durability,
    pub(crate) dry_run: bool,
    pub(crate) progress: Option<Callback>,
}

impl ReshardOptions {
    /// All entries, durably, with their element types.
    pub fn new() -> Self {
        Self::default()
    }

    /// Converts tensors of floats to this element type: F16, BF16, F32 or F64. Integers, values, tensors of F4, F6 and
    /// `F8_E8M0`, and tensors without dimensions (counts, scales) stay. Numbers are rounded to the nearest, ties to even, as candle does;
    /// [`SaveReport::overflowed`](crate::SaveReport::overflowed) names the tensors with finite numbers that became infinite.
    ///
    /// An optimizer whose moments are in another type than its parameters does not load without
    /// [`LoadOptions::cast`](crate::LoadOptions::cast).
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// Copies the entries below `name`, named relative to it.
    pub fn subtree(mut self, name: impl Into<String>) -> Self {
        self.subtree = Some(name.into());
        self
    }

    /// Sets whether the files are synced to the device before the call returns.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// With `true`, the call writes nothing and reads no tensor; its report has the numbers of entries and bytes that it would
    /// write. `false` by default.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Tells `callback` how many bytes of tensors were read and handed on, about once for each MiB, as
    /// [`SaveOptions::progress`](crate::SaveOptions::progress) does for a save. It must not use the Fabric that makes the call.
    /// If it panics, nothing was saved, and the panic unwinds out of the call.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }
}
