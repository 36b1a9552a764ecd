//! The kind of a type: one value, one tensor, or several entries.

/// The kind of a type, which also decides the kind of a container of it: a `Vec<f32>` is one value, which a load
/// replaces as a whole; a `Vec<Linear>` is a component, whose entries a load matches one by one.
///
/// Only generated code names this type, so a hand-written implementation of [`Checkpoint`](super::Checkpoint) is always a
/// component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, `bool`, text, or a container of such values.
    Value,
    /// A shared borrow of a value, or a container of such borrows: a save stores it, and a load cannot replace it.
    SharedValue,
    /// One value with an entry of its own, also inside of a container: behind a mutable borrow, or a newtype with attributes.
    Entry,
    /// A type without contents, such as `()`: no entry, and null inside a value.
    Nothing,
    /// One tensor, whose entry has exactly the name of the field.
    Tensor,
    /// A struct, a module, an optimizer, or a container of components, each with named entries.
    Component,
}

impl Kind {
    /// The kind of a container whose parts have these two kinds: a value only if both are values or hold nothing.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Value | Self::Nothing, Self::Value | Self::Nothing) => Self::Value,
            (Self::Value | Self::SharedValue | Self::Nothing, Self::Value | Self::SharedValue | Self::Nothing) => {
                Self::SharedValue
            }
            _ => Self::Component,
        }
    }

    /// The kind of an `Option` of a type: an `Option` of nothing is a value, `Some` or `None`.
    #[must_use]
    pub const fn in_an_option(self) -> Self {
        match self {
            Self::Nothing => Self::Value,
            kind => kind,
        }
    }

    /// The kind of a set of a type.
    ///
    /// # Panics
    /// If the type is no plain value; in a constant, this is a compile error.
    #[must_use]
    pub const fn in_a_set(self) -> Self {
        let kind = Self::Value.and(self);
        assert!(
            kind.is_value(),
            "a set in a checkpoint holds plain values, which a load replaces whole; keep components in a map or a list"
        );
        kind
    }

    /// The kind of a mutable borrow, or of a newtype with attributes, which shows the entries of this kind, and is never part of a
    /// value.
    #[must_use]
    pub const fn of_entries(self) -> Self {
        match self {
            Self::Tensor => Self::Tensor,
            Self::Value | Self::SharedValue | Self::Entry => Self::Entry,
            Self::Nothing | Self::Component => Self::Component,
        }
    }

    /// The kind of a shared borrow.
    #[must_use]
    pub const fn shared(self) -> Self {
        match self {
            Self::Value => Self::SharedValue,
            kind => kind,
        }
    }

    /// Returns true for one value, also for one with an entry of its own inside of a container.
    #[must_use]
    pub const fn is_one_value(self) -> bool {
        matches!(self, Self::Value | Self::SharedValue | Self::Entry)
    }

    /// Returns true for one plain value.
    #[must_use]
    pub const fn is_value(self) -> bool {
        matches!(self, Self::Value | Self::SharedValue)
    }

    /// Returns true for one tensor.
    #[must_use]
    pub const fn is_tensor(self) -> bool {
        matches!(self, Self::Tensor)
    }
}

/// An argument type that only generated code names, so that no hand-written implementation overrides the method.
#[derive(Clone, Copy, Debug)]
pub struct Sealed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a set in a checkpoint holds plain values")]
    fn a_set_of_components_does_not_compile() {
        let _ = Kind::Component.in_a_set();
    }

    #[test]
    fn a_container_with_a_shared_value_is_a_shared_value_and_one_with_a_component_a_component() {
        let value = Kind::Value.and(Kind::Nothing);
        assert_eq!(value, Kind::Value);
        assert_eq!(value.and(Kind::Value.shared()), Kind::SharedValue);
        assert_eq!(Kind::SharedValue.and(Kind::Component), Kind::Component);
        assert_eq!(Kind::Nothing.in_an_option().and(Kind::Tensor), Kind::Component);
    }
}
