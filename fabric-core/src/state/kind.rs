//! The kind of a type: one value, one tensor, or several entries.

/// The kind of a type, which also decides the kind of a container of it: a `Vec<f32>` is one value, which a load
/// replaces as a whole; a `Vec<Linear>` is a component, whose entries a load matches one by one.
///
/// No other crate can name this type, so a hand-written implementation of [`Checkpoint`](super::Checkpoint) is always a
/// component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, `bool`, text, or a container of such values.
    Value,
    /// One tensor, whose entry has exactly the name of the field.
    Tensor,
    /// A struct, a module, an optimizer, or a container of components, each with named entries.
    Component,
}

impl Kind {
    /// The kind of a container whose parts have these two kinds: a value only if both are values.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Value, Self::Value) => Self::Value,
            _ => Self::Component,
        }
    }

    /// The kind of a type that shows the entries of this kind, and is never part of a value.
    #[must_use]
    pub const fn of_entries(self) -> Self {
        match self {
            Self::Tensor => Self::Tensor,
            Self::Value | Self::Component => Self::Component,
        }
    }

    /// Returns true for one plain value.
    #[must_use]
    pub const fn is_value(self) -> bool {
        matches!(self, Self::Value)
    }

    /// Returns true for one tensor.
    #[must_use]
    pub const fn is_tensor(self) -> bool {
        matches!(self, Self::Tensor)
    }
}

/// An argument type that no other crate can name, so that no other crate overrides the method.
#[derive(Clone, Copy, Debug)]
pub struct Sealed;
