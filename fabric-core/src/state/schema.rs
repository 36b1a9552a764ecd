//! The declaration that a field belongs to. Types of several modules may share a name; each has its own declaration.

use std::any::type_name;
use std::ptr;

/// One `#[derive(Checkpoint)]` in the source: a static in the generated code, identified by its address.
#[derive(Debug)]
pub struct Declaration {
    name: &'static str,
    is_enum: bool,
}

impl Declaration {
    /// The declaration of the struct `name`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, is_enum: false }
    }

    /// The declaration of the enum `name`.
    #[must_use]
    pub const fn of_enum(name: &'static str) -> Self {
        Self { name, is_enum: true }
    }
}

/// A declared struct with its generic arguments. Two schemas are equal if they are the same type.
///
/// Lifetimes rule out [`TypeId`](std::any::TypeId), and names alone do not tell local structs of two blocks apart; the
/// address of the declaration and the name of the type together do.
#[derive(Clone, Copy)]
pub struct Schema {
    declaration: &'static Declaration,
    type_name: fn() -> &'static str,
}

impl Schema {
    /// The schema of the struct `S`, which `declaration` declares.
    #[must_use]
    pub const fn of<S: ?Sized>(declaration: &'static Declaration) -> Self {
        Self {
            declaration,
            type_name: type_name::<S>,
        }
    }

    /// The path of the type, with its generic arguments.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// The name of the struct without its path and generic arguments.
    pub(crate) fn short_name(&self) -> &'static str {
        self.declaration.name
    }

    /// Returns true for an enum, whose fields have no handles.
    pub(crate) fn is_enum(&self) -> bool {
        self.declaration.is_enum
    }

    /// Returns true if both schemas have one declaration; their generic arguments may differ.
    pub(crate) fn is_declared_with(&self, other: &Self) -> bool {
        ptr::eq(self.declaration, other.declaration)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.is_declared_with(other) && self.type_name() == other.type_name()
    }
}

/// The text is equal in every process that runs the program: ranks compare options by it.
impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name())
    }
}
