//! Which declaration a field belongs to: types of several modules share names, declarations are shared by none.

use std::any::type_name;
use std::ptr;

/// The place of one `#[derive(Checkpoint)]`: a static in the code that it generates, known by its address.
#[derive(Debug)]
pub struct Declaration {
    name: &'static str,
}

impl Declaration {
    /// The declaration of a struct of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }
}

/// A declared struct, with one choice of its generic parameters. Two are equal if they are the same type.
///
/// Lifetimes keep [`TypeId`](std::any::TypeId) out of reach, and names alone do not tell local structs of two blocks apart;
/// the place of the declaration and the name of the type together do.
#[derive(Clone, Copy)]
pub struct Schema {
    declaration: &'static Declaration,
    type_name: fn() -> &'static str,
}

impl Schema {
    /// The struct `S`, declared there.
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

    /// The name of the struct alone.
    pub(crate) fn short_name(&self) -> &'static str {
        self.declaration.name
    }

    /// Whether both come from one declaration, whatever their generic arguments are.
    pub(crate) fn is_declared_with(&self, other: &Self) -> bool {
        ptr::eq(self.declaration, other.declaration)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.is_declared_with(other) && self.type_name() == other.type_name()
    }
}

/// The same text in every process that runs the program: ranks compare options by it.
impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name())
    }
}
