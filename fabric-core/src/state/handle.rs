//! Typed handles to fields, whose names the compiler checks.

use std::fmt;
use std::marker::PhantomData;

use super::Schema;
use super::schema::Declaration;

/// A handle to the field `T` of the state `S`, as in `TrainState::FIELDS.model`. The compiler checks the name.
///
/// Handles compose: `TrainState::FIELDS.model.then(Mlp::FIELDS.fc1)` is `model.fc1`. A handle belongs to the type of
/// its first segment: a call that loads or saves a state of another type refuses it.
pub struct Field<S: ?Sized, T: ?Sized> {
    schema: Schema,
    path: Path,
    of: PhantomData<fn(&S) -> &T>,
}

/// The segments of a handle, up to four, so that handles are `Copy` and constant.
#[derive(Clone, Copy)]
struct Path {
    segments: [&'static str; 4],
    len: usize,
}

impl<S: ?Sized, T: ?Sized> Field<S, T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(declaration: &'static Declaration, name: &'static str) -> Self {
        Self {
            schema: Schema::of::<S>(declaration),
            path: Path {
                segments: [name, "", "", ""],
                len: 1,
            },
            of: PhantomData,
        }
    }

    /// The handle of a flattened field. It adds no segment to the name, and leads only to the fields of the flattened
    /// struct.
    #[doc(hidden)]
    #[must_use]
    pub const fn flattened(declaration: &'static Declaration) -> Self {
        Self {
            schema: Schema::of::<S>(declaration),
            path: Path {
                segments: [""; 4],
                len: 0,
            },
            of: PhantomData,
        }
    }

    /// The handle to the field `inner` of this field.
    ///
    /// # Panics
    /// If the handle would have more than four levels; in a constant, this is a compile error.
    #[must_use]
    pub const fn then<U: ?Sized>(self, inner: Field<T, U>) -> Field<S, U> {
        let mut path = self.path;
        let mut at = 0;
        while at < inner.path.len {
            assert!(path.len < 4, "field handles reach four levels deep");
            path.segments[path.len] = inner.path.segments[at];
            path.len += 1;
            at += 1;
        }
        Field {
            schema: self.schema,
            path,
            of: PhantomData,
        }
    }

    /// The name that all entries of this field begin with, such as `"model.fc1"`; empty for a flattened field.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.segments[..self.path.len].join(".")
    }

    /// The handle without its types, as options keep it.
    pub(crate) fn handle(&self) -> Handle {
        Handle {
            schema: self.schema,
            name: self.name(),
        }
    }
}

/// An untyped handle: the state that it belongs to, and the name of the field.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) schema: Schema,
    pub(crate) name: String,
}

impl<S: ?Sized, T: ?Sized> Clone for Field<S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized, T: ?Sized> Copy for Field<S, T> {}

impl<S: ?Sized, T: ?Sized> fmt::Debug for Field<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.name())
    }
}
