//! The options of a verification.

use crate::progress::{Callback, Progress};

/// How to verify a checkpoint: every byte, unless said otherwise.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to a verification"]
pub struct VerifyOptions {
    pub(crate) quick: bool,
    pub(crate) progress: Option<Callback>,
}

impl VerifyOptions {
    /// Reads every byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `true`, the verification reads headers and manifests only, in a directory those of every rank's file. It finds files that
    /// are missing, cut off, or of another save, and no damage inside of tensors. `false` by default.
    pub fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// Tells `callback` how far the verification has come, as [`LoadOptions::progress`](crate::LoadOptions::progress) does for a
    /// load. It must not use the Fabric that verifies: such a call returns [`Error::Nested`](crate::Error::Nested). If it
    /// panics, the panic unwinds out of the verification.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }
}
