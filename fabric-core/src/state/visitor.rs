//! The entries of a state on their way to a save, and the methods that are the same in both directions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::field::FieldSchema;
use super::walk::{Walk, Walked};
use super::{Checkpoint, FieldVisitor, OptimizerDescription, OptimizerState, Sealed};
use crate::value::{Value, ValueError};

/// What a walk to save a state finds.
type Read<'a> = Walk<Result<Value, ValueError>, &'a dyn OptimizerState>;

/// Takes the entries of a state for a save. [`Checkpoint::visit`] shows them to it.
///
/// Every method takes the name first: the name of the field in the file, relative to the present level. An empty name is
/// the present level itself; [`component`](Self::component) and [`nested`](Self::nested) refuse it.
///
/// A hand-written implementation says with [`field`](Self::field) what attributes say in a derived one:
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
/// | `filter = "weight"` | `entries.field("fc1").filter_text(&["weight"]).component(&self.fc1)` |
/// | `flatten` | `entries.field("counters").flatten().component(&self.counters)` |
/// | `shard(dim = 0)` | `entries.field("weight").shard(0).tensor(&self.weight)` |
/// | `shard(dim = 1, axis = "tp")` | `entries.field("weight").shard_over(1, "tp").tensor(&self.weight)` |
/// | `per_rank` | `entries.field("seed").per_rank().value(&self.seed)` |
/// | `buffer` | `entries.buffer("mean", &self.mean)` |
/// | `skip` | no call |
/// | `version = 2` of the struct | `const VERSION: u32 = 2;` in the implementation |
pub struct Visitor<'a> {
    pub(super) walk: Read<'a>,
    /// Values are encoded, and optimizers described.
    encodes: bool,
}

/// The methods that are the same in both directions.
macro_rules! both_directions {
    ($visitor:ident, $field:ident) => {
        impl<'a> $visitor<'a> {
            /// A field that attributes are about. The call ends with a method that shows the field's contents.
            #[track_caller]
            pub fn field<'v>(&'v mut self, name: &'v str) -> $field<'v, 'a> {
                $field {
                    visitor: self,
                    name,
                    aliases: Vec::new(),
                    attributes: $crate::state::attributes::Attributes::default(),
                    line: std::panic::Location::caller(),
                }
            }

            /// A learned tensor.
            ///
            /// ```
            /// use candle_core::Tensor;
            /// use fabric_core::{Checkpoint, Visitor, VisitorMut};
            ///
            /// struct Scale { factor: Tensor }
            ///
            /// impl Checkpoint for Scale {
            ///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
            ///         entries.tensor("factor", &self.factor);
            ///     }
            ///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
            ///         entries.tensor("factor", &self.factor);
            ///     }
            /// }
            /// ```
            pub fn tensor(&mut self, name: &str, tensor: &candle_core::Tensor) {
                self.walk
                    .push_tensor(name, tensor, $crate::state::Role::Parameter);
            }

            /// A tensor that is kept and not learned: a running statistic, a mask, positions.
            pub fn buffer(&mut self, name: &str, tensor: &candle_core::Tensor) {
                self.walk.push_tensor(name, tensor, $crate::state::Role::Buffer);
            }

            /// Entries of a further level, whose names begin with `name`.
            ///
            /// ```
            /// use std::collections::BTreeMap;
            ///
            /// use candle_core::Tensor;
            /// use fabric_core::{Checkpoint, Visitor, VisitorMut};
            ///
            /// struct Average { shadow: BTreeMap<String, Tensor> }
            ///
            /// impl Checkpoint for Average {
            ///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
            ///         entries.nested("shadow", |entries| {
            ///             for (name, tensor) in &self.shadow {
            ///                 entries.tensor(name, tensor);
            ///             }
            ///         });
            ///     }
            ///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
            ///         entries.nested("shadow", |entries| {
            ///             for (name, tensor) in &self.shadow {
            ///                 entries.tensor(name, tensor);
            ///             }
            ///         });
            ///     }
            /// }
            /// ```
            pub fn nested(&mut self, name: &str, below: impl FnOnce(&mut Self)) {
                let outer = self.walk.below(name, &[]);
                if name.is_empty() {
                    self.walk.refuse_empty_name();
                }
                below(self);
                self.walk.back_to(outer);
            }
        }

        impl $crate::state::Walking for $visitor<'_> {
            fn enter(&mut self, field: $crate::state::FieldSchema) {
                self.walk.enter(&field);
            }

            fn leave(&mut self) {
                self.walk.leave();
            }
        }

        impl std::fmt::Debug for $visitor<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let (level, entries) = self.walk.level();
                f.debug_struct(stringify!($visitor))
                    .field("level", &level)
                    .field("entries", &entries)
                    .finish_non_exhaustive()
            }
        }
    };
}

both_directions!(Visitor, FieldVisitor);
pub(super) use both_directions;

/// The steps of generated code.
pub trait Walking {
    /// Goes down into a field; [`leave`](Self::leave) comes back.
    fn enter(&mut self, field: FieldSchema);

    /// Comes back from the field that was entered last.
    fn leave(&mut self);
}

impl<'a> Visitor<'a> {
    /// A walk that reads a state.
    pub(crate) fn new() -> Self {
        Self {
            walk: Walk::new(),
            encodes: true,
        }
    }

    /// A walk that lists names and tensors. Values are not encoded, optimizers not described, and a value that is `None`
    /// has its place.
    pub(crate) fn listing() -> Self {
        Self {
            encodes: false,
            ..Self::new()
        }
    }

    pub(crate) fn finish(self) -> Walked<Result<Value, ValueError>, &'a dyn OptimizerState> {
        self.walk.finish()
    }

    /// A plain value: a number, `bool`, `char`, `String`, or a container of those.
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
    /// A part with entries of its own does not compile; [`component`](Self::component) shows it:
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

    /// A serde value, stored as one self-describing value. A save refuses a value that cannot be read back.
    pub fn metadata<T: Serialize + DeserializeOwned>(&mut self, name: &str, value: &'a T) {
        self.field(name).metadata(value);
    }

    /// An optimizer.
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
    /// [`OptimizerState`] shows an optimizer of your own.
    pub fn optimizer(&mut self, name: &str, optimizer: &'a dyn OptimizerState) {
        self.field(name).optimizer(optimizer);
    }

    /// A part that implements [`Checkpoint`] itself.
    pub fn component<T: Checkpoint + ?Sized>(&mut self, name: &str, part: &'a T) {
        self.field(name).component(part);
    }

    /// The present level is one plain value.
    pub(super) fn plain<T: Checkpoint>(&mut self, value: &'a T) {
        self.push_value(|| value.to_value(Sealed));
    }

    /// The present level is a plain value that is `None`, and has no entry in a file.
    pub(super) fn absent(&mut self) {
        if !self.encodes {
            self.walk.push_value(Ok(Value::null()));
        }
    }

    /// The present level is one serde value, which must be readable: what cannot be loaded is not saved.
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

    /// The present level is an optimizer.
    pub(super) fn push_optimizer(&mut self, optimizer: &'a dyn OptimizerState) {
        let description = if self.encodes {
            optimizer.describe()
        } else {
            OptimizerDescription::new("", Vec::new())
        };
        self.walk.push_optimizer(description, optimizer);
    }

    /// Visits a container: as one value if it is made of plain values, else part by part.
    pub(super) fn container<T: Checkpoint>(&mut self, whole: &'a T, parts: impl FnOnce(&mut Self, &'a T)) {
        if T::KIND.is_value() {
            self.plain(whole);
        } else {
            parts(self, whole);
        }
    }
}
