//! The options and the report of an export.

use std::path::Path;

use crate::entry::DType;
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::progress::{Callback, Progress};

/// A file format that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A plain safetensors file: tensors under their names. The export leaves out values, and writes a tied tensor once
    /// for each name, since the format has no ties.
    Safetensors,
    /// The zip archive of `torch.save`: tensors and values in nested dicts. `torch.load(path, weights_only=True)` opens
    /// it.
    Torch,
}

impl ExportFormat {
    /// The format that belongs to the extension of a file's name.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "safetensors" => Ok(Self::Safetensors),
            "pt" | "pth" | "bin" | "ckpt" => Ok(Self::Torch),
            _ => Err(Error::destination(
                path,
                "the name does not say in which format to export; end it in .safetensors, or in .pt, .pth, .bin or .ckpt \
                 for PyTorch, or choose one with ExportOptions::format",
            )),
        }
    }
}

/// The options of an export. The default is to export all entries, in the format that the extension of the file's name
/// stands for.
///
/// ```
/// use fabric_core::ExportOptions;
///
/// let weights = ExportOptions::new().subtree("model");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to an export"]
pub struct ExportOptions {
    pub(crate) format: Option<ExportFormat>,
    pub(crate) subtree: Option<String>,
    pub(crate) bare: Option<bool>,
    pub(crate) parameter_names: bool,
    pub(crate) durability: Durability,
    pub(crate) dtype: Option<DType>,
    pub(crate) dry_run: bool,
    pub(crate) progress: Option<Callback>,
}

impl ExportOptions {
    /// Exports all entries. The extension of the file's name selects the format: `.safetensors`, or `.pt`, `.pth`,
    /// `.bin`, `.ckpt`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the format. The extension of the file's name has no effect then.
    pub fn format(mut self, format: ExportFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Exports the entries below `name`, named relative to it. `"model"` writes a file of bare weights.
    pub fn subtree(mut self, name: impl Into<String>) -> Self {
        self.subtree = Some(name.into());
        self
    }

    /// For [`ExportFormat::Torch`]: selects the form of the file. `true` writes one module, as a flat state dict
    /// (`fc1.weight`). `false` writes a state with components as keys (`{"model": {"fc1.weight": ...}}`).
    ///
    /// By default, tensors without an optimizer among them are exported as one module. A whole checkpoint with a value
    /// at its first level (`iteration`) is exported as a state. Call `bare(false)` for a state that consists of modules
    /// only, and `bare(true)` for a single module that has a value at its first level.
    pub fn bare(mut self, bare: bool) -> Self {
        self.bare = Some(bare);
        self
    }

    /// For [`ExportFormat::Torch`]: `true` keys optimizer state by the names of parameters, as
    /// `torch.distributed.checkpoint.state_dict` does. The default, `false`, numbers parameters for `torch.optim`, and
    /// stores the names as `param_names`.
    pub fn parameter_names(mut self, parameter_names: bool) -> Self {
        self.parameter_names = parameter_names;
        self
    }

    /// Converts tensors of floats to this element type, as [`ReshardOptions::dtype`](crate::ReshardOptions::dtype) does.
    /// [`ExportReport::overflowed`] names the tensors with finite numbers that became infinite.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// With `true`, the export writes nothing and reads no tensor; its report has the numbers and names that it would write.
    /// `false` by default.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Tells `callback` how many bytes of tensors were read and handed on, about once for each MiB. It must not use the Fabric
    /// that exports. If it panics, nothing was written, and the panic unwinds out of the export.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }

    /// Sets whether the file is synced to the device before the export returns.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// The report of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// The number of tensors written.
    pub tensors: usize,
    /// The number of values written.
    pub values: usize,
    /// The length of the file in bytes.
    pub bytes: u64,
    /// The names of the entries that the format has no place for, sorted: for safetensors, values; for PyTorch, an
    /// optimizer's `kind`, and the plain values inside a module that is exported by itself.
    pub left_out: Vec<String>,
    /// The names of the tensors that the export added because PyTorch's modules expect them: `num_batches_tracked` of
    /// each `BatchNorm`, with the value 0.
    pub added: Vec<String>,
    /// The names of the tensors with finite numbers that became infinite, sorted: of an export with
    /// [`ExportOptions::dtype`].
    pub overflowed: Vec<String>,
    /// The names of the values that this library cannot read (a sparse tensor, an object of a Python class), wholly or in part,
    /// sorted. The file does not have them.
    pub not_read: Vec<String>,
}
