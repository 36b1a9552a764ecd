//! What a type is to a walk: one value, one tensor, or several entries.

/// Whether a type is one plain value, one tensor, several tensors, or is made of other types.
///
/// Decides what a container of it is: a `Vec<f32>` is one value that is replaced whole, a `Vec<Linear>` is a component
/// whose entries are matched one by one. No program outside of this crate can name the type, so a hand-written
/// implementation of [`Checkpoint`](super::Checkpoint) is always a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number, `bool`, text, or a container of those.
    Value,
    /// One tensor, whose entry has the name of the field and no other.
    Tensor,
    /// Tensors alone, of a module or a map of this crate: one function shows them in both directions.
    Tensors,
    /// Structs, optimizers, containers of components: entries with names of their own.
    Component,
}

impl Kind {
    /// The kind of something that holds both as parts: a value only if each part is.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Value, Self::Value) => Self::Value,
            _ => Self::Component,
        }
    }

    /// The kind of something that shows the entries of this, and is never a part of a value.
    #[must_use]
    pub const fn of_entries(self) -> Self {
        match self {
            Self::Tensor | Self::Tensors => self,
            Self::Value | Self::Component => Self::Component,
        }
    }

    #[must_use]
    pub const fn is_value(self) -> bool {
        matches!(self, Self::Value)
    }

    /// Whether code outside of this crate may have a part in showing the entries.
    #[must_use]
    pub const fn is_component(self) -> bool {
        matches!(self, Self::Component)
    }

    #[must_use]
    pub const fn is_tensor(self) -> bool {
        matches!(self, Self::Tensor)
    }
}

/// An argument that no program outside of this crate can name, so that no implementation outside overrides the method.
#[derive(Clone, Copy, Debug)]
pub struct Sealed;
