//! Deltas between exported files: weights that are sent to inference after each step.

use std::path::Path;

use super::Fabric;
use crate::absolute::Absolute;
use crate::error::{Error, Result};
use crate::foreign::delta::{ApplyOptions, ApplyReport, DeltaOptions, DeltaReport, apply_delta, export_delta};
use crate::source::open;

impl Fabric {
    /// Writes the changes from a file of weights to the newest checkpoint, to send them where that file is.
    ///
    /// `from` is a checkpoint in any format that [`open`](Self::open) reads. `base` is a file that [`export`](Self::export) or
    /// [`apply_delta`](Self::apply_delta) wrote to a name that ends in `.safetensors`, and that inference holds. The delta at `to`
    /// has the elements that differ. [`apply_delta`](Self::apply_delta) makes of `base` and the delta the file that
    /// [`export`](Self::export) of `from` with the same options writes, byte for byte.
    ///
    /// A training with a low learning rate changes few elements of a `bf16` copy of the weights in a step, so a delta is many
    /// times smaller than the file. [`DeltaReport`] has both lengths in bytes.
    ///
    /// Tensors are compared block by block, and the call holds a few blocks of 1 MiB in memory. The file at `to` is replaced
    /// in one step, as by [`save`](Self::save).
    ///
    /// ```
    /// # use candle_core::{Device, Tensor};
    /// # use fabric_core::{Checkpoint, DType, DeltaOptions, ExportOptions, Fabric};
    /// # #[derive(Checkpoint)] struct Model { weight: Tensor }
    /// # #[derive(Checkpoint)] struct State { model: Model, step: u64 }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let at = |name: &str| directory.path().join(name);
    /// # let (last, held, sent) = (at("last.ckpt"), at("weights.safetensors"), at("step-2.delta"));
    /// # let mut state = State { model: Model { weight: Tensor::arange(0f32, 600f32, &Device::Cpu)? }, step: 1 };
    /// let fabric = Fabric::new();
    /// # fabric.save(&last, &state)?;
    /// fabric.export(&last, &held, ExportOptions::new().subtree("model").dtype(DType::BF16))?;
    ///
    /// # state.model.weight = (state.model.weight + 0.01)?;
    /// # fabric.save(&last, &state)?;
    /// // A step later, where the training runs:
    /// let options = DeltaOptions::new().subtree("model").dtype(DType::BF16);
    /// let report = fabric.export_delta(&last, &held, &sent, options)?;
    /// assert!(report.changed_elements < report.elements);
    ///
    /// // Where inference runs, once the delta is there:
    /// fabric.apply_delta(&held, &sent, &held)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`export`](Self::export) of `from` and [`open`](Self::open) of `base`; [`Error::UnknownFormat`] if `base` is no
    /// safetensors file; [`Error::Destination`] if `to` is `from` or `base`. The file at `to` is unchanged then.
    pub fn export_delta(
        &self,
        from: impl AsRef<Path>,
        base: impl AsRef<Path>,
        to: impl AsRef<Path>,
        options: DeltaOptions,
    ) -> Result<DeltaReport> {
        let raw = self.open(&from)?;
        let _within = self.background.enter("Fabric::export_delta")?;
        let [from, base, to] = [from.as_ref(), base.as_ref(), to.as_ref()].map(|path| self.absolute(path));
        let write = || {
            for read in [&from, &base] {
                if self.is_one_file(read, &to)? {
                    let what = "the delta is made of the file there; give the delta a name of its own";
                    return Err(Error::destination(to.given(), what));
                }
            }
            let base = open(&self.storage, base.path()?, self.limit)?;
            export_delta(&*self.storage, &raw, &base, to.path()?, options)
        };
        write().map_err(|error| from.named(base.named(to.named(error))))
    }

    /// Writes to `to` the file that the delta at `delta` makes of the file at `base`: the full
    /// [`export`](Self::export) of the checkpoint that [`export_delta`](Self::export_delta) read, byte for byte.
    ///
    /// `to` may be the path of `base`. The file there is replaced in one step, as by [`save`](Self::save), so a reader finds the
    /// old weights or the new ones. Every byte of the delta, and every block that was read of the base and made of it, is
    /// verified by a checksum before the new file takes its place. The call holds a few blocks of 1 MiB in memory.
    ///
    /// # Errors
    /// [`Error::WrongBase`] if the delta was made against another file, or a block of the base is damaged; [`Error::Corrupt`] if
    /// the delta is damaged; [`Error::Destination`] if `to` is `delta`, or a checkpoint that is the base; [`Error::Limit`] if the new file is far larger than base and delta; and as
    /// [`open`](Self::open) of `base`. The file at `to` is unchanged then.
    pub fn apply_delta(
        &self,
        base: impl AsRef<Path>,
        delta: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> Result<ApplyReport> {
        self.apply_delta_with(base, delta, to, ApplyOptions::new())
    }

    /// Applies a delta as [`apply_delta`](Self::apply_delta) does, with options: progress, durability.
    ///
    /// # Errors
    /// As [`apply_delta`](Self::apply_delta).
    pub fn apply_delta_with(
        &self,
        base: impl AsRef<Path>,
        delta: impl AsRef<Path>,
        to: impl AsRef<Path>,
        options: ApplyOptions,
    ) -> Result<ApplyReport> {
        let _within = self.background.enter("Fabric::apply_delta")?;
        let [base, delta, to] = [base.as_ref(), delta.as_ref(), to.as_ref()].map(|path| self.absolute(path));
        let write = || {
            if self.is_one_file(&delta, &to)? {
                let what = "the delta is there; give the new file a name of its own";
                return Err(Error::destination(to.given(), what));
            }
            let source = open(&self.storage, base.path()?, self.limit)?;
            if !source.index().tensors_only && self.is_one_file(&base, &to)? {
                let what = "the base there is a checkpoint, and the new file would have its weights alone; give the new file a name \
                            of its own";
                return Err(Error::destination(to.given(), what));
            }
            apply_delta(&*self.storage, self.limit, &source, delta.path()?, to.path()?, options)
        };
        write().map_err(|error| base.named(delta.named(to.named(error))))
    }

    /// Returns true if both paths lead to one file.
    fn is_one_file(&self, a: &Absolute, b: &Absolute) -> Result<bool> {
        let resolved = |path: &Path| self.storage.resolve(path).map_err(Error::io("follow", path));
        if resolved(a.path()?)? == resolved(b.path()?)? {
            return Ok(true);
        }
        // A directory on the way may be a link. A file that cannot be opened here is met by the call itself.
        let identity = |path: &Path| {
            self.storage
                .open(path)
                .and_then(|file| file.identity())
                .unwrap_or_default()
        };
        let found = identity(b.path()?);
        Ok(found.is_some() && found == identity(a.path()?))
    }
}
