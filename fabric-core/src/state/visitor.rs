//! The visitor that collects the entries of a state for a save.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::both_visitors::both_directions;
use super::walk::{Walk, Walked};
use super::{Checkpoint, FieldVisitor, OptimizerDescription, OptimizerState, Sealed};
use crate::value::{Value, ValueError};

/// The walk of a save, which collects encoded values and borrowed optimizers.
type Read<'a> = Walk<Result<Value, ValueError>, &'a dyn OptimizerState>;

/// Takes the entries of a state for a save. [`Checkpoint::visit`] calls its methods.
///
/// The first argument of every method is the name of the entry in the file, relative to the present level. The empty
/// name means the present level itself; [`component`](Self::component) and [`nested`](Self::nested) refuse it.
///
/// [`field`](Self::field) gives a hand-written implementation all attributes of the derive macro:
///
/// | derived | by hand |
/// |---|---|
/// | `weight: Tensor` | `entries.tensor("weight", &self.weight)` |
/// | `fc1: Linear` | `entries.component("fc1", &self.fc1)` |
/// | `step: u64` | `entries.value("step", &self.step)` |
/// | `metadata` | `entries.metadata("hparams", &self.hparams)` |
/// | `rename = "w"` | another name |
/// | `alias = "w"` | `entries.field("weight").alias("w").tensor(&self.weight)` |
/// | `optional` | `entries.field("weight").optional().tensor(&self.weight)` |
/// | `default = one` | `entries.field("scale").value_or(&self.scale, one)` |
/// | `metadata, default = narrow` | `entries.field("hparams").metadata_or(&self.hparams, narrow)` |
/// | `filter = "weight"` | `entries.field("fc1").filter_text(&["weight"]).component(&self.fc1)` |
/// | `flatten` | `entries.field("counters").flatten().component(&self.counters)` |
/// | `shard(dim = 0)` | `entries.field("weight").shard(0).tensor(&self.weight)` |
/// | `shard(dim = 1, axis = "tp")` | `entries.field("weight").shard_over(1, "tp").tensor(&self.weight)` |
/// | `per_rank` | `entries.field("seed").per_rank().value(&self.seed)` |
/// | `buffer` | `entries.buffer("mean", &self.mean)` |
/// | `skip` | no call |
/// | `version = 2` of the struct | `const VERSION: u32 = 2;` in the implementation |
/// | `migrate = path` of the struct | `fn recipe(m: &mut Migrations)` in the implementation |
pub struct Visitor<'a> {
    pub(super) walk: Read<'a>,
    /// True if the walk encodes values and describes optimizers.
    encodes: bool,
}

both_directions!(Visitor, FieldVisitor);

impl<'a> Visitor<'a> {
    /// A visitor for a save.
    pub(crate) fn new() -> Self {
        Self {
            walk: Walk::new(),
            encodes: true,
        }
    }

    /// A visitor that lists names and tensors. It neither encodes values nor describes optimizers, and it lists a value
    /// that is `None` as an entry.
    pub(crate) fn listing() -> Self {
        Self {
            encodes: false,
            ..Self::new()
        }
    }

    pub(crate) fn finish(self) -> Walked<Result<Value, ValueError>, &'a dyn OptimizerState> {
        self.walk.finish()
    }

    /// Shows a plain value: a number, `bool`, text, path, time, `DType`, or a container of these.
    ///
    /// ```
    /// use fabric_core::{Checkpoint, Visitor, VisitorMut};
    ///
    /// struct Epoch(u64);
    ///
    /// struct Progress { epoch: Epoch, losses: Vec<f64> }
    ///
    /// impl Checkpoint for Epoch {
    ///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
    ///         entries.value("", &self.0);
    ///     }
    ///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
    ///         entries.value("", &mut self.0);
    ///     }
    /// }
    ///
    /// impl Checkpoint for Progress {
    ///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
    ///         entries.component("epoch", &self.epoch);
    ///         entries.value("losses", &self.losses);
    ///     }
    ///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
    ///         entries.component("epoch", &mut self.epoch);
    ///         entries.value("losses", &mut self.losses);
    ///     }
    /// }
    /// ```
    ///
    /// A type with several entries does not compile here; [`component`](Self::component) shows it:
    ///
    /// ```compile_fail
    /// # use candle_core::Tensor;
    /// # use fabric_core::{Checkpoint, Visitor, VisitorMut};
    /// # struct Scale { factor: Tensor }
    /// # impl Checkpoint for Scale {
    /// #     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
    /// entries.value("factor", &self.factor);
    /// #     }
    /// #     fn visit_mut<'a>(&'a mut self, _: &mut VisitorMut<'a>) {}
    /// # }
    /// # let factor = Tensor::new(1f32, &candle_core::Device::Cpu).unwrap();
    /// # fabric_core::named_parameters(&Scale { factor });
    /// ```
    pub fn value<T: Checkpoint>(&mut self, name: &str, value: &'a T) {
        self.field(name).value(value);
    }

    /// Shows a serde value, stored as one self-describing value. A save refuses a value that serde cannot read back.
    pub fn metadata<T: Serialize + DeserializeOwned>(&mut self, name: &str, value: &'a T) {
        self.field(name).metadata(value);
    }

    /// Shows an optimizer.
    ///
    /// ```
    /// use candle_core::Tensor;
    /// use fabric_core::optim::AdamW;
    /// use fabric_core::{Checkpoint, Visitor, VisitorMut};
    ///
    /// struct Averaged { inner: AdamW, average: Tensor }
    ///
    /// impl Checkpoint for Averaged {
    ///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
    ///         entries.optimizer("inner", &self.inner);
    ///         entries.tensor("average", &self.average);
    ///     }
    ///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
    ///         entries.optimizer("inner", &mut self.inner);
    ///         entries.tensor("average", &self.average);
    ///     }
    /// }
    /// ```
    ///
    /// [`OptimizerState`] explains how to show an optimizer of your own.
    pub fn optimizer(&mut self, name: &str, optimizer: &'a dyn OptimizerState) {
        self.field(name).optimizer(optimizer);
    }

    /// Shows a part that implements [`Checkpoint`].
    pub fn component<T: Checkpoint + ?Sized>(&mut self, name: &str, part: &'a T) {
        self.field(name).component(part);
    }

    /// Shows the present level as one plain value.
    pub(crate) fn plain<T: Checkpoint + ?Sized>(&mut self, value: &'a T) {
        self.push_value(|| value.to_value(Sealed));
    }

    /// Shows the present level as a plain value that is `None`, which has no entry in a file.
    pub(super) fn absent(&mut self) {
        if !self.encodes {
            self.walk.push_value(Ok(Value::null()));
        }
    }

    /// Shows the present level as one serde value. A value that serde cannot read back is an error, so that every saved
    /// value can be loaded.
    pub(super) fn readable<T: Serialize + DeserializeOwned>(&mut self, value: &'a T) {
        self.push_value(|| {
            let stored = Value::of(value)?;
            stored.look().map_err(ValueError::no_memory)?;
            match stored.decode_exactly::<T>() {
                Ok(_) => Ok(stored),
                Err(error) => Err(error.said(|error| {
                    format!(
                        "could not be read back: its Deserialize does not accept what its Serialize wrote ({error})"
                    )
                })),
            }
        });
    }

    fn push_value(&mut self, value: impl FnOnce() -> Result<Value, ValueError>) {
        let value = if self.encodes { value() } else { Ok(Value::null()) };
        self.walk.push_value(value);
    }

    /// Shows the present level as an optimizer.
    pub(super) fn push_optimizer(&mut self, optimizer: &'a dyn OptimizerState) {
        let description = if self.encodes {
            optimizer.describe()
        } else {
            OptimizerDescription::new("", Vec::new())
        };
        self.walk.push_optimizer(description, optimizer);
    }

    /// Shows a container: as one value if it holds plain values, else part by part.
    pub(super) fn container<T: Checkpoint + ?Sized>(&mut self, whole: &'a T, parts: impl FnOnce(&mut Self, &'a T)) {
        if T::KIND.is_value() {
            self.plain(whole);
        } else {
            parts(self, whole);
        }
    }
}
