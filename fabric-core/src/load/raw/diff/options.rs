//! The options of a comparison.

use crate::error::{Error, Result};
use crate::progress::{Callback, Progress};

/// The options of [`RawCheckpoint::diff`](crate::RawCheckpoint::diff): by default, contents are compared, and every difference
/// counts.
///
/// ```
/// use fabric_core::DiffOptions;
///
/// let options = DiffOptions::new().tolerance(1e-6);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to a comparison"]
pub struct DiffOptions {
    pub(super) rule: Rule,
    pub(super) progress: Option<Callback>,
}

/// The differences that count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rule {
    pub(super) names_only: bool,
    pub(super) tolerance: f64,
}

impl DiffOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `true`, compares the names of all entries, and the element types and shapes of tensors. No tensor is read, and no
    /// value is compared.
    pub fn names_only(mut self, names_only: bool) -> Self {
        self.rule.names_only = names_only;
        self
    }

    /// The largest relative change that counts as equal, a ratio; 0 by default. It applies to each tensor as a whole
    /// ([`TensorChange::relative`](crate::TensorChange::relative)), and to each number of a value, `|b - a| / |a|`, if one of the two
    /// is a float. Tensors whose elements are not compared as numbers differ if any byte does.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.rule.tolerance = tolerance;
        self
    }

    /// Calls `callback` about once for each MiB that was read. The threads that read call it, one at a time;
    /// [`bytes_in_all`](Progress::bytes_in_all) has the bytes of both checkpoints that have to be read.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }
}

impl Rule {
    /// # Errors
    /// If the tolerance is negative or no number.
    pub(super) fn check(&self) -> Result<()> {
        if self.tolerance >= 0. {
            return Ok(());
        }
        let what = format!(
            "DiffOptions::tolerance({}) is no ratio; give 0 or a positive number",
            self.tolerance
        );
        Err(Error::Options(what))
    }
}
