//! A field of a hand-written implementation, with what attributes say of it.

use std::fmt;
use std::panic::Location;

use candle_core::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attributes::{Attributes, Origin};
use super::{Checkpoint, OptimizerState, Visitor, VisitorMut};
use crate::entry::{TensorInfo, join};
use crate::filter::Filter;

/// A field that [`Visitor::field`] began: attributes first, then the method that shows its contents.
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

/// A field that [`VisitorMut::field`] began; see [`FieldVisitor`].
#[must_use = "a field is part of the checkpoint when a method has shown its place"]
pub struct FieldVisitorMut<'v, 'a> {
    pub(super) visitor: &'v mut VisitorMut<'a>,
    pub(super) name: &'v str,
    pub(super) aliases: Vec<&'v str>,
    pub(super) attributes: Attributes,
    pub(super) line: &'static Location<'static>,
}

/// Refuses at compile time what is made of several entries.
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

/// The attributes, and the methods that are the same in both directions.
macro_rules! both_directions {
    ($field:ident, $visitor:ident) => {
        impl<'v, 'a> $field<'v, 'a> {
            /// A further name that a load accepts; may be repeated.
            pub fn alias(mut self, name: &'v str) -> Self {
                self.aliases.push(name);
                self
            }

            /// A file may lack the field; a load then leaves it unchanged.
            pub fn optional(mut self) -> Self {
                self.attributes.optional = true;
                self
            }

            /// The entries of the field join the present level. Messages alone use its name.
            pub fn flatten(mut self) -> Self {
                self.attributes.flatten = true;
                self
            }

            /// The tensors of the field are this rank's part, split along `dim` over the strategy's shard axis.
            pub fn shard(mut self, dim: usize) -> Self {
                self.attributes.shard(dim, None);
                self
            }

            /// The tensors of the field are this rank's part, split along `dim` over the axis of the mesh called `axis`.
            /// May be repeated for further axes; the first cuts first.
            pub fn shard_over(mut self, dim: usize, axis: &'static str) -> Self {
                self.attributes.shard(dim, Some(axis));
                self
            }

            /// The value of the field differs by rank: each rank stores its own and is given it back.
            pub fn per_rank(mut self) -> Self {
                self.attributes.per_rank = true;
                self
            }

            /// The tensors of the field are kept and not learned: ranks may hold different ones, and rank 0's are saved.
            pub fn buffer(mut self) -> Self {
                self.attributes.buffer = true;
                self
            }

            /// Only tensors whose name, relative to the field, contains one of these texts belong to the checkpoint.
            pub fn filter_text(self, any_of: &'static [&'static str]) -> Self {
                self.filtered(Filter::text(any_of))
            }

            /// Only tensors whose name, relative to the field, matches one of these shell patterns belong to the
            /// checkpoint; `*` crosses dots.
            pub fn filter_glob(self, any_of: &'static [&'static str]) -> Self {
                self.filtered(Filter::glob(any_of))
            }

            /// Only tensors for which `keep` returns true belong to the checkpoint. It is given the name relative to the
            /// field, and the dtype and shape of the whole tensor.
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

            /// Shows entries of a further level.
            pub fn nested(self, below: impl FnOnce(&mut $visitor<'a>)) {
                let is_refused = self.name.is_empty() && !self.attributes.flatten;
                self.show(|entries| {
                    if is_refused {
                        entries.walk.refuse_empty_name();
                    }
                    below(entries);
                });
            }

            /// Goes down to the field, and comes back.
            fn show(self, below: impl FnOnce(&mut $visitor<'a>)) {
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
    /// Shows a plain value: a number, `bool`, `char`, `String`, or a container of those.
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

    /// Shows a part that implements [`Checkpoint`] itself.
    pub fn component<T: Checkpoint + ?Sized>(self, part: &'a T) {
        self.nested(|entries| part.visit(entries));
    }
}

impl<'a> FieldVisitorMut<'_, 'a> {
    /// Shows the place of a plain value, which a load replaces whole.
    pub fn value<T: Checkpoint>(self, place: &'a mut T) {
        only_values!(T);
        self.show(|entries| place.visit_mut(entries));
    }

    /// Shows the place of a serde value, which a load replaces whole.
    pub fn metadata<T: Serialize + DeserializeOwned>(self, place: &'a mut T) {
        self.show(|entries| entries.readable(place));
    }

    /// Shows an optimizer.
    pub fn optimizer(self, optimizer: &'a mut dyn OptimizerState) {
        self.show(|entries| entries.push_optimizer(optimizer));
    }

    /// Shows a part that implements [`Checkpoint`] itself.
    pub fn component<T: Checkpoint + ?Sized>(self, part: &'a mut T) {
        self.nested(|entries| part.visit_mut(entries));
    }
}
