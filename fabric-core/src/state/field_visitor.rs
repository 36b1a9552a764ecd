//! A field of a hand-written implementation, and the methods that set its attributes.

use std::fmt;
use std::panic::Location;

use candle_core::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attributes::{Attributes, Origin};
use super::{Checkpoint, OptimizerState, Sealed, Visitor, VisitorMut};
use crate::entry::{TensorInfo, join};
use crate::filter::Filter;

/// A field of a hand-written implementation, from [`Visitor::field`]. Call its attributes first, then the method that
/// shows its contents.
///
/// ```
/// use candle_core::Tensor;
/// use fabric_core::{Checkpoint, Visitor, VisitorMut};
///
/// /// The columns that this rank holds of a linear layer.
/// struct ColumnParallel { weight: Tensor, bias: Tensor }
///
/// impl Checkpoint for ColumnParallel {
///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
///         entries.field("weight").shard_over(0, "tp").alias("kernel").tensor(&self.weight);
///         entries.field("bias").shard_over(0, "tp").optional().tensor(&self.bias);
///     }
///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
///         entries.field("weight").shard_over(0, "tp").alias("kernel").tensor(&self.weight);
///         entries.field("bias").shard_over(0, "tp").optional().tensor(&self.bias);
///     }
/// }
/// ```
#[must_use = "a field is part of the checkpoint when a method has shown its contents"]
pub struct FieldVisitor<'v, 'a> {
    pub(super) visitor: &'v mut Visitor<'a>,
    pub(super) name: &'v str,
    pub(super) aliases: Vec<&'v str>,
    pub(super) attributes: Attributes,
    pub(super) line: &'static Location<'static>,
}

/// A field of a hand-written implementation, from [`VisitorMut::field`]; see [`FieldVisitor`].
#[must_use = "a field is part of the checkpoint when a method has shown its place"]
pub struct FieldVisitorMut<'v, 'a> {
    pub(super) visitor: &'v mut VisitorMut<'a>,
    pub(super) name: &'v str,
    pub(super) aliases: Vec<&'v str>,
    pub(super) attributes: Attributes,
    pub(super) line: &'static Location<'static>,
}

/// Refuses at compile time a type with several entries.
macro_rules! only_values {
    ($T:ident) => {
        const {
            assert!(
                $T::KIND.is_value(),
                "this type has entries of its own; show it with `component` in place of `value`"
            );
        }
    };
}

/// The attributes, and the methods that do not differ between a save and a load.
macro_rules! both_directions {
    ($field:ident, $visitor:ident) => {
        impl<'v, 'a> $field<'v, 'a> {
            /// Adds a name that a load accepts beside the field's name. Repeat the call for further names.
            pub fn alias(mut self, name: &'v str) -> Self {
                self.aliases.push(name);
                self
            }

            /// Lets a load accept a file that lacks the field; the load then leaves the field unchanged.
            pub fn optional(mut self) -> Self {
                self.attributes.optional = true;
                self
            }

            /// Joins the entries of the field to the present level. Only messages use the field's name.
            pub fn flatten(mut self) -> Self {
                self.attributes.flatten = true;
                self
            }

            /// Declares the field's tensors as this rank's part, split along `dim` over the strategy's shard axis.
            pub fn shard(mut self, dim: usize) -> Self {
                self.attributes.shard(dim, None);
                self
            }

            /// Declares the field's tensors as this rank's part, split along `dim` over the mesh axis `axis`. Repeat
            /// the call for further axes; the axis of the first call splits first.
            pub fn shard_over(mut self, dim: usize, axis: &'static str) -> Self {
                self.attributes.shard(dim, Some(axis));
                self
            }

            /// Declares that the field's value differs by rank: each rank saves its value, and a load gives it back to
            /// that rank.
            pub fn per_rank(mut self) -> Self {
                self.attributes.per_rank = true;
                self
            }

            /// Declares the field's tensors as buffers, which are saved and not learned. Buffers may differ between
            /// ranks; the file holds those of rank 0.
            pub fn buffer(mut self) -> Self {
                self.attributes.buffer = true;
                self
            }

            /// Keeps only tensors whose name, relative to the field, contains one of these texts.
            pub fn filter_text(self, any_of: &'static [&'static str]) -> Self {
                self.filtered(Filter::text(any_of))
            }

            /// Keeps only tensors whose name, relative to the field, matches one of these shell patterns; `*` also
            /// matches dots.
            pub fn filter_glob(self, any_of: &'static [&'static str]) -> Self {
                self.filtered(Filter::glob(any_of))
            }

            /// Keeps only tensors for which `keep` returns true. `keep` gets the name relative to the field, and the
            /// dtype and shape of the whole tensor.
            pub fn filter(self, keep: impl Fn(&str, &TensorInfo) -> bool + Send + Sync + 'static) -> Self {
                self.filtered(Filter::closure(keep))
            }

            fn filtered(mut self, filter: Filter) -> Self {
                self.attributes.filter = Some(filter);
                self
            }

            /// Shows a tensor.
            pub fn tensor(self, tensor: &Tensor) {
                self.show(|entries| entries.tensor("", tensor));
            }

            /// Shows the entries of a level below the field.
            pub fn nested(self, below: impl FnOnce(&mut $visitor<'a>)) {
                let is_refused = self.name.is_empty() && !self.attributes.flatten;
                self.show(|entries| {
                    if is_refused {
                        entries.walk.refuse_empty_name();
                    }
                    below(entries);
                });
            }

            /// Enters the field, calls `below`, and returns to the level around the field.
            pub(super) fn show(self, below: impl FnOnce(&mut $visitor<'a>)) {
                let entries = self.visitor;
                let is_filtered = self.attributes.filter.is_some();
                let declared = is_filtered.then(|| join(entries.walk.level().0, self.name));
                let outer = if self.attributes.flatten {
                    entries.walk.below("", &[])
                } else {
                    entries.walk.below(self.name, &self.aliases)
                };
                let origin = Origin::ByHand(self.line);
                entries
                    .walk
                    .apply(&self.attributes, origin, declared.as_deref().unwrap_or_default());
                below(entries);
                entries.walk.back_to(outer);
            }
        }

        impl fmt::Debug for $field<'_, '_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($field))
                    .field("name", &self.name)
                    .finish_non_exhaustive()
            }
        }
    };
}

both_directions!(FieldVisitor, Visitor);
both_directions!(FieldVisitorMut, VisitorMut);

impl<'a> FieldVisitor<'_, 'a> {
    /// Shows a plain value: a number, `bool`, text, path, time, `DType`, or a container of those.
    pub fn value<T: Checkpoint>(self, value: &'a T) {
        only_values!(T);
        self.show(|entries| value.visit(entries));
    }

    /// Shows a serde value.
    pub fn metadata<T: Serialize + DeserializeOwned>(self, value: &'a T) {
        self.show(|entries| entries.readable(value));
    }

    /// Shows an optimizer.
    pub fn optimizer(self, optimizer: &'a dyn OptimizerState) {
        self.show(|entries| entries.push_optimizer(optimizer));
    }

    /// Shows a part that implements [`Checkpoint`].
    pub fn component<T: Checkpoint + ?Sized>(self, part: &'a T) {
        self.nested(|entries| part.visit_part(entries, Sealed));
    }
}

impl<'a> FieldVisitorMut<'_, 'a> {
    /// Shows the place of a plain value, which a load replaces as a whole.
    pub fn value<T: Checkpoint>(self, place: &'a mut T) {
        only_values!(T);
        self.show(|entries| place.visit_mut(entries));
    }

    /// Shows the place of a serde value, which a load replaces as a whole.
    pub fn metadata<T: Serialize + DeserializeOwned>(self, place: &'a mut T) {
        self.show(|entries| entries.readable(place));
    }

    /// Shows an optimizer.
    pub fn optimizer(self, optimizer: &'a mut dyn OptimizerState) {
        self.show(|entries| entries.push_optimizer(optimizer));
    }

    /// Shows a part that implements [`Checkpoint`].
    pub fn component<T: Checkpoint + ?Sized>(self, part: &'a mut T) {
        self.nested(|entries| part.visit_part_mut(entries, Sealed));
    }
}
