//! What a caller may ask of an export.

use std::path::Path;

use crate::error::{Error, Result};
use crate::options::Durability;

/// A kind of file that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A plain safetensors file: tensors under their names, and nothing else. Values are left out. Tied tensors are
    /// written once for each name, as the format has no ties.
    Safetensors,
    /// What `torch.save` writes, and `torch.load(path, weights_only=True)` opens: tensors and values in nested dicts.
    Torch,
}

impl ExportFormat {
    /// The format that a file's name asks for.
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

/// How to export: everything, in the format that the file's name asks for, unless said otherwise.
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
}

impl ExportOptions {
    /// Everything, in the format that the file's name asks for: `.safetensors`, or `.pt`, `.pth`, `.bin`, `.ckpt`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The format, whatever the file is called.
    pub fn format(mut self, format: ExportFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Only what lies below `name`, and named relative to it: `"model"` makes a file of bare weights.
    pub fn subtree(mut self, name: impl Into<String>) -> Self {
        self.subtree = Some(name.into());
        self
    }

    /// For [`ExportFormat::Torch`]: whether what is exported is one module, a flat state dict (`fc1.weight`), or a state
    /// whose components are keys (`{"model": {"fc1.weight": ...}}`).
    ///
    /// Unless said, tensors without an optimizer among them are a module; but a whole checkpoint with a value at its
    /// first level (`iteration`) is a state. So a state that has modules only needs `bare(false)`, and a module with
    /// a value of its own that was saved by itself needs `bare(true)`.
    pub fn bare(mut self, bare: bool) -> Self {
        self.bare = Some(bare);
        self
    }

    /// For [`ExportFormat::Torch`]: whether optimizer state is keyed by the names of parameters, as
    /// `torch.distributed.checkpoint.state_dict` does. Off by default: `torch.optim` counts parameters, and gets the names
    /// as `param_names` besides.
    pub fn parameter_names(mut self, parameter_names: bool) -> Self {
        self.parameter_names = parameter_names;
        self
    }

    /// How durable the file is when the export returns.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// What an export wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// The entries written that are tensors.
    pub tensors: usize,
    /// The entries written that are values.
    pub values: usize,
    /// The length of the file in bytes.
    pub bytes: u64,
    /// The entries that the format has no place for, sorted: values in safetensors; for PyTorch, an optimizer's `kind`,
    /// and the plain values inside a module that is exported by itself.
    pub left_out: Vec<String>,
    /// Tensors that PyTorch's modules expect and candle's do not have: the `num_batches_tracked` of each `BatchNorm`,
    /// written as 0.
    pub added: Vec<String>,
}
