//! The methods that the visitors of a save and of a load share.

use super::Checkpoint;
use super::field::FieldSchema;

/// The steps that generated code takes through a struct.
pub trait Walking {
    /// Enters a field. [`leave`](Self::leave) returns to the level around it.
    fn enter(&mut self, field: FieldSchema);

    /// Leaves the field that was entered last.
    fn leave(&mut self);

    /// Records that the present level is the struct `T`, unless `T` is one plain value.
    fn record<T: Checkpoint + ?Sized>(&mut self);
}

/// The methods that a save and a load share.
macro_rules! both_directions {
    ($visitor:ident, $field:ident) => {
        impl<'a> $visitor<'a> {
            /// A field with attributes. End the chain of calls with a method that shows the field's contents.
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

            /// Shows a learned tensor.
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

            /// Shows a buffer, which is saved and not learned: a running statistic, a mask, positions.
            pub fn buffer(&mut self, name: &str, tensor: &candle_core::Tensor) {
                self.walk.push_tensor(name, tensor, $crate::state::Role::Buffer);
            }

            /// Shows entries of a level below, whose names begin with `name`.
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

            fn record<T: $crate::state::Checkpoint + ?Sized>(&mut self) {
                self.walk.record::<T>();
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

pub(super) use both_directions;
