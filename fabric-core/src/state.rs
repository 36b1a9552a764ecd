//! The trait that makes a type a state, and its implementations.

mod any;
mod components;
mod containers;
mod field;
mod filtering;
mod handle;
mod identity;
mod keys;
mod message;
mod metadata;
mod modules;
mod names;
mod optimizer;
mod optional;
mod pytorch;
mod recording;
pub(crate) mod refused;
mod resolve;
mod schema;
mod shard;
mod slot;
mod tensors;
mod values;
mod walk;

pub(crate) use any::{AnyState, AnyStateMut, StateMut, StateRef};
pub(crate) use components::Fields;
pub use field::FieldSchema;
pub(crate) use filtering::FilterUse;
pub use handle::Field;
pub(crate) use handle::Handle;
pub(crate) use identity::{StorageKey, same_view};
pub use keys::Keys;
pub use message::Message;
pub use metadata::Metadata;
pub use optimizer::{OptimizerDescription, OptimizerState, ParamGroup, ParamState};
pub(crate) use optional::OptionalField;
pub use recording::Recording;
pub(crate) use refused::refused;
pub(crate) use resolve::{NamedOptimizer, NamedParameter, Resolved, resolve};
pub use schema::{Declaration, Schema};
#[cfg(test)]
pub(crate) use shard::Shard;
pub(crate) use shard::{CutParameter, Shards};
pub use slot::ValueSlot;
pub(crate) use walk::{Content, Item, OptimizerPart, Scope, Walked};
pub use walk::{Role, Visitor, VisitorMut, Walk};

use crate::value::{Value, ValueError};

/// Whether a type is one plain value, or is made of named entries.
///
/// Decides what a container of it is: a `Vec<f32>` is one value that is replaced whole, a `Vec<Linear>` is a component
/// whose entries are matched one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, `bool`, text, or a container of those.
    Value,
    /// Tensors, modules, optimizers, structs: entries with names of their own.
    Component,
}

impl Kind {
    /// The kind of something that holds both: a value only if each part is.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Value, Self::Value) => Self::Value,
            _ => Self::Component,
        }
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn is_value(self) -> bool {
        matches!(self, Self::Value)
    }
}

/// A state, or a part of one: something with named entries that can be saved and restored in place.
///
/// Derive it. A hand-written implementation, for a type that hides its fields, visits the same entries in the same
/// order from both methods:
///
/// ```
/// use candle_core::Tensor;
/// use fabric_core::{Checkpoint, Visitor, VisitorMut};
///
/// struct Scale { factor: Tensor, calls: u64 }
///
/// impl Checkpoint for Scale {
///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
///         entries.tensor("factor", &self.factor);
///         entries.nested("calls", |entries| self.calls.visit(entries));
///     }
///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
///         entries.tensor("factor", &self.factor);
///         entries.nested("calls", |entries| self.calls.visit_mut(entries));
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a checkpoint",
    label = "this type has no checkpoint representation",
    note = "if `{Self}` is a struct of tensors, modules or values, add #[derive(Checkpoint)] to it",
    note = "if `{Self}` implements serde's Serialize and DeserializeOwned, mark the field #[checkpoint(metadata)]",
    note = "if `{Self}` need not be restored, mark the field #[checkpoint(skip)]"
)]
pub trait Checkpoint {
    /// One plain value, or named entries.
    #[doc(hidden)]
    const KIND: Kind = Kind::Component;

    /// Whether this is one tensor, whose entry has the name of the field and no other.
    #[doc(hidden)]
    const IS_TENSOR: bool = false;

    /// The keys that the type is known to use at its own level.
    #[doc(hidden)]
    const KEYS: Keys = Keys::UNKNOWN;

    /// The version that `#[checkpoint(version = n)]` declares, recorded in the file.
    #[doc(hidden)]
    const VERSION: u32 = 1;

    /// Shows every entry to `entries`, in declared order.
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>);

    /// Shows every entry to `entries`, in the same order and under the same names as [`visit`](Self::visit), with
    /// values that can be replaced.
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>);

    /// A plain value's stored form.
    #[doc(hidden)]
    fn to_value(&self) -> Result<Value, ValueError> {
        Err(ValueError::new("is made of several entries"))
    }

    /// A plain value from its stored form.
    #[doc(hidden)]
    fn from_value(_: &Value) -> Result<Self, ValueError>
    where
        Self: Sized,
    {
        Err(ValueError::new("is made of several entries"))
    }

    /// The value to assume when a file has no entry for it; only `Option` has one.
    #[doc(hidden)]
    #[must_use]
    fn when_absent() -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}
