//! Typed handles to fields, whose names the compiler checks.

mod containers;
mod part;

use std::fmt;
use std::marker::PhantomData;

pub use self::part::Part;
use super::Schema;
use super::schema::Declaration;

/// A handle to the field `T` of the state `S`, as in `TrainState::FIELDS.model`. The compiler checks the name.
///
/// Handles compose: `TrainState::FIELDS.model.then(Mlp::FIELDS.fc1)` is `model.fc1`. A handle of a container reaches the
/// parts of it: [`some`](Self::some) of an `Option`, [`boxed`](Self::boxed) of a `Box`, [`at`](Self::at) of a list,
/// [`key`](Self::key) of a map, [`element`](Self::element) of a tuple and [`borrowed`](Self::borrowed) of a `&mut`. A handle
/// has up to 16 levels.
///
/// A handle belongs to the type of its first segment: a call that loads or saves a state of another type refuses it.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use fabric_core::candle_nn::Linear;
/// use fabric_core::{Checkpoint, Field};
///
/// #[derive(Checkpoint)]
/// struct Block { attention: Linear, feed_forward: Linear }
///
/// #[derive(Checkpoint)]
/// struct State { blocks: Vec<Block>, heads: BTreeMap<String, Option<Linear>> }
///
/// const ATTENTION: Field<State, Linear> = State::FIELDS.blocks.at(3).then(Block::FIELDS.attention);
/// assert_eq!(ATTENTION.name(), "blocks.3.attention");
/// assert_eq!(State::FIELDS.heads.key("sst2").some().name(), "heads.sst2");
/// ```
pub struct Field<S: ?Sized, T: ?Sized> {
    schema: Schema,
    path: Path,
    of: PhantomData<fn(&S) -> &T>,
}

/// The largest number of segments of a handle.
const MOST: usize = 16;

/// The segments of a handle, in an array, so that handles are `Copy` and constant.
#[derive(Clone, Copy)]
struct Path {
    segments: [Segment; MOST],
    len: usize,
}

#[derive(Clone, Copy)]
enum Segment {
    Name(&'static str),
    /// The index of a part in a list or a tuple.
    Index(usize),
}

impl Path {
    const EMPTY: Self = Self {
        segments: [Segment::Index(0); MOST],
        len: 0,
    };

    const fn then(mut self, segment: Segment) -> Self {
        assert!(
            self.len < MOST,
            "a field handle has at most 16 levels; give the name as a text, as in `only(\"model.blocks.0\")`"
        );
        self.segments[self.len] = segment;
        self.len += 1;
        self
    }
}

impl<S: ?Sized, T: ?Sized> Field<S, T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(declaration: &'static Declaration, name: &'static str) -> Self {
        Self {
            schema: Schema::of::<S>(declaration),
            path: Path::EMPTY.then(Segment::Name(name)),
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
            path: Path::EMPTY,
            of: PhantomData,
        }
    }

    /// The handle to the field `inner` of this field.
    ///
    /// # Panics
    /// If the handle would have more than 16 levels; in a constant, this is a compile error. Give the name as a text then.
    #[must_use]
    pub const fn then<U: ?Sized>(self, inner: Field<T, U>) -> Field<S, U> {
        let mut field: Field<S, U> = self.retyped();
        let mut at = 0;
        while at < inner.path.len {
            field = field.below(inner.path.segments[at]);
            at += 1;
        }
        field
    }

    /// The handle of the part behind one more segment.
    const fn below<U: ?Sized>(self, segment: Segment) -> Field<S, U> {
        let mut field = self.retyped();
        field.path = field.path.then(segment);
        field
    }

    /// The handle of a part with the same name.
    const fn retyped<U: ?Sized>(self) -> Field<S, U> {
        Field {
            schema: self.schema,
            path: self.path,
            of: PhantomData,
        }
    }

    /// The name that all entries of this field begin with, such as `"model.fc1"`; empty for a flattened field.
    #[must_use]
    pub fn name(&self) -> String {
        let segments = self.path.segments[..self.path.len].iter().map(|segment| match segment {
            Segment::Name(name) => (*name).to_owned(),
            Segment::Index(index) => index.to_string(),
        });
        segments.collect::<Vec<_>>().join(".")
    }
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
