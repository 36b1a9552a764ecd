//! The trait `Checkpoint`, the visitors that walk over a state, and the implementations for common types.

mod aliases;
mod any;
mod attributes;
mod both_visitors;
pub(crate) mod both_ways;
mod collisions;
mod components;
mod containers;
pub mod default;
mod field;
mod field_visitor;
mod filtering;
mod found;
mod handle;
mod identity;
mod keys;
mod kind;
mod map_key;
mod message;
mod metadata;
mod modules;
mod names;
mod optimizer;
mod optional;
mod parameters;
mod parts;
mod pytorch;
mod recording;
pub(crate) mod refused;
mod resolve;
mod schema;
mod shard;
mod slot;
mod structs;
mod tensors;
mod type_walk;
mod types;
mod values;
pub mod variant;
mod visitor;
mod visitor_mut;
mod walk;

pub(crate) use any::{AnyState, AnyStateMut, StateMut, StateRef};
pub use both_visitors::Walking;
pub(crate) use components::Fields;
pub use field::FieldSchema;
pub use field_visitor::{FieldVisitor, FieldVisitorMut};
pub(crate) use filtering::FilterUse;
pub(crate) use found::{FieldNames, FileNames};
pub use handle::{Field, Part};
pub(crate) use identity::{StorageKey, same_view};
pub use keys::Keys;
pub use kind::{Kind, Sealed};
pub use map_key::MapKey;
pub use message::Message;
pub use metadata::Metadata;
pub use optimizer::{OptimizerDescription, OptimizerState, ParamGroup, ParamState};
pub(crate) use optional::OptionalField;
pub use parameters::named_parameters;
pub use recording::Recording;
pub(crate) use refused::refused;
pub(crate) use resolve::{NamedOptimizer, NamedParameter, Resolved, resolve};
pub use schema::{Declaration, Schema};
#[cfg(test)]
pub(crate) use shard::Shard;
pub(crate) use shard::{CutParameter, Shards};
pub(crate) use slot::{AnySlot, ValueSlot};
pub use structs::Recorded;
pub(crate) use structs::StructPlace;
pub use type_walk::TypeWalk;
pub use types::Types;
pub(crate) use values::{plain_value, plain_values};
pub use visitor::Visitor;
pub use visitor_mut::VisitorMut;
pub(crate) use walk::{Content, Item, OptimizerPart, Role, Scope, Walked};

use crate::migrate::Migrations;
use crate::value::{Value, ValueError};

/// A state, or a part of one: a type with named entries that can be saved and restored in place.
///
/// Derive it. Implement it by hand for a type that hides its fields, or for a list of trait
/// objects. [`visit`](Self::visit) shows the entries to a save, which has a shared borrow of the state.
/// [`visit_mut`](Self::visit_mut) shows them in the same order to a load, which replaces values. [`Visitor`] has a
/// method for each attribute of the derive macro, and an example for each kind of entry.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use candle_core::Tensor;
/// use fabric_core::{Checkpoint, Visitor, VisitorMut};
///
/// /// An exponential moving average of weights.
/// struct Ema { decay: f64, updates: u64, shadow: BTreeMap<String, Tensor> }
///
/// impl Checkpoint for Ema {
///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
///         entries.value("decay", &self.decay);
///         entries.field("updates").alias("steps").value(&self.updates);
///         entries.field("shadow").buffer().component(&self.shadow);
///     }
///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
///         entries.value("decay", &mut self.decay);
///         entries.field("updates").alias("steps").value(&mut self.updates);
///         entries.field("shadow").buffer().component(&mut self.shadow);
///     }
/// }
/// ```
///
/// A load of a state with a hand-written implementation calls both methods and compares their entries. If they differ,
/// it returns [`StateError::Asymmetric`](crate::StateError::Asymmetric) and changes nothing.
/// `testing::assert_symmetric`, of the feature `testing`, makes this comparison in a unit test.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a checkpoint",
    label = "this type has no checkpoint representation",
    note = "if `{Self}` is a struct or an enum of tensors, modules or values, add #[derive(Checkpoint)] to it",
    note = "if `{Self}` implements serde's Serialize and DeserializeOwned, mark the field #[checkpoint(metadata)]",
    note = "if `{Self}` need not be restored, mark the field #[checkpoint(skip)]"
)]
pub trait Checkpoint {
    /// The kind of the type: one plain value, one tensor, or named entries. No other crate can name [`Kind`] and
    /// override it.
    #[doc(hidden)]
    const KIND: Kind = Kind::Component;

    /// The keys that the type uses at its own level, if they are known. Only derived implementations override it.
    #[doc(hidden)]
    const KEYS: Keys = Keys::UNKNOWN;

    /// The code that records the type among the structs of a state. No other crate can name [`Recorded`] and override it.
    #[doc(hidden)]
    const RECORDED: Recorded = Recorded::WhereShown;

    /// The version of the type's entries, which the file records. `#[checkpoint(version = n)]` sets it; the default is
    /// 1.
    const VERSION: u32 = 1;

    /// The recipe for files of older versions: `m.from(1, …)` and the words after it bring the entries of version 1 to version
    /// 2. `#[checkpoint(version = n, migrate = path)]` calls the function at the path; a hand-written implementation overrides
    /// this method beside [`VERSION`](Self::VERSION). The default has no steps.
    ///
    /// ```
    /// use candle_core::Tensor;
    /// use fabric_core::{Checkpoint, Migrations, Visitor, VisitorMut};
    ///
    /// struct Scale { factor: Tensor }
    ///
    /// impl Checkpoint for Scale {
    ///     const VERSION: u32 = 2;
    ///
    ///     fn recipe(m: &mut Migrations) {
    ///         m.from(1, "a clearer name").rename("s", "factor");
    ///     }
    ///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
    ///         entries.tensor("factor", &self.factor);
    ///     }
    ///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
    ///         entries.tensor("factor", &self.factor);
    ///     }
    /// }
    /// ```
    fn recipe(m: &mut Migrations) {
        let _ = m;
    }

    /// Returns true if `visit` and `visit_mut` may show different entries: the type or the type of a part has a hand-written
    /// implementation. `types` are the derived structs that the question has reached. No other crate can name [`Types`]
    /// and override it.
    #[doc(hidden)]
    fn may_differ(types: &mut Types) -> bool {
        let _ = types;
        true
    }

    /// Finds the structs of the type that a file has, without a state. No other crate can name [`TypeWalk`] and override it, so the walk
    /// does not see the structs inside of a hand-written implementation.
    #[doc(hidden)]
    fn structs(types: &mut TypeWalk<'_>) {
        if Self::RECORDED != Recorded::Never {
            types.record::<Self>();
        }
    }

    /// Shows every entry to `entries`, in declared order.
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>);

    /// Shows every entry to `entries`, in the same order and under the same names as [`visit`](Self::visit), with
    /// values that can be replaced.
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>);

    /// Shows the type as a part of a state: records it among the structs if the implementation is hand-written, and calls
    /// [`visit`](Self::visit). No other crate can name [`Sealed`] and override it.
    #[doc(hidden)]
    fn visit_part<'a>(&'a self, entries: &mut Visitor<'a>, _: Sealed) {
        if Self::RECORDED == Recorded::WhereShown {
            Walking::record::<Self>(entries);
        }
        self.visit(entries);
    }

    /// As [`visit_part`](Self::visit_part), by [`visit_mut`](Self::visit_mut).
    #[doc(hidden)]
    fn visit_part_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>, _: Sealed) {
        if Self::RECORDED == Recorded::WhereShown {
            Walking::record::<Self>(entries);
        }
        self.visit_mut(entries);
    }

    /// The stored form of a plain value. No other crate can name [`Sealed`] and override it.
    #[doc(hidden)]
    fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
        Err(ValueError::new("is made of several entries"))
    }

    /// The plain value of a stored form. No other crate can name [`Sealed`] and override it.
    #[doc(hidden)]
    fn from_value(_: &Value, _: Sealed) -> Result<Self, ValueError>
    where
        Self: Sized,
    {
        Err(ValueError::new("is made of several entries"))
    }

    /// The value of a field that a file lacks; `Option` has one, and types around one. No other crate can name [`Sealed`] and override
    /// it.
    #[doc(hidden)]
    #[must_use]
    fn when_absent(_: Sealed) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}
