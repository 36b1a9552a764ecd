//! What the derive macro says of a field, and typed handles to fields.

use std::fmt;
use std::marker::PhantomData;

use super::shard::Shard;
use crate::entry::TensorInfo;
use crate::filter::Filter;

/// A field as its attributes declare it: what generated code hands to [`Walk::enter`](super::Walk::enter).
#[derive(Clone, Debug)]
pub struct FieldSchema {
    pub(crate) declared: &'static str,
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) filter: Option<Filter>,
    pub(crate) shards: [Option<Shard>; 2],
    pub(crate) optional: bool,
    pub(crate) flatten: bool,
    pub(crate) per_rank: bool,
    pub(crate) buffer: bool,
}

impl FieldSchema {
    /// A field whose entries are named `name.…`; `declared` is where the source says so (`"TrainState.model"`).
    #[must_use]
    pub const fn new(declared: &'static str, name: &'static str) -> Self {
        Self {
            declared,
            name,
            aliases: &[],
            filter: None,
            shards: [None, None],
            optional: false,
            flatten: false,
            per_rank: false,
            buffer: false,
        }
    }

    /// Further names that are accepted on load.
    #[must_use]
    pub const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Only entries that contain one of these texts belong to the schema.
    #[must_use]
    pub fn filter_text(mut self, any_of: &'static [&'static str]) -> Self {
        self.filter = Some(Filter::text(any_of));
        self
    }

    /// Only entries that match one of these shell patterns belong to the schema.
    #[must_use]
    pub fn filter_glob(mut self, any_of: &'static [&'static str]) -> Self {
        self.filter = Some(Filter::glob(any_of));
        self
    }

    /// Only entries that the function keeps belong to the schema.
    #[must_use]
    pub fn filter_function(mut self, keep: fn(&str, &TensorInfo) -> bool) -> Self {
        self.filter = Some(Filter::function(keep));
        self
    }

    /// The tensors below are this rank's part, split along `dim`; may be said twice, for two axes, of which the first cuts first.
    #[must_use]
    pub const fn shard(mut self, dim: usize, axis: Option<&'static str>) -> Self {
        let at = if self.shards[0].is_none() { 0 } else { 1 };
        self.shards[at] = Some(Shard { dim, axis });
        self
    }

    /// Absence in a file is no error.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The entries join the level of the field itself.
    #[must_use]
    pub const fn flatten(mut self) -> Self {
        self.flatten = true;
        self
    }

    /// The tensors below are kept and not learned.
    #[must_use]
    pub const fn buffer(mut self) -> Self {
        self.buffer = true;
        self
    }

    /// A value that differs by rank.
    #[must_use]
    pub const fn per_rank(mut self) -> Self {
        self.per_rank = true;
        self
    }
}

/// The keys that a type uses at its own level, known to the compiler: how a flattened field's collisions become
/// compile errors.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    own: &'static [&'static str],
    flattened: &'static [&'static Keys],
}

impl Keys {
    /// Nothing is known before there is a value.
    pub const NONE: Self = Self::new(&[], &[]);

    /// A type's own keys, and those of the fields that it flattens.
    #[must_use]
    pub const fn new(own: &'static [&'static str], flattened: &'static [&'static Keys]) -> Self {
        Self { own, flattened }
    }

    /// Whether `key` is used here or by a flattened field.
    #[must_use]
    pub const fn contains(&self, key: &str) -> bool {
        let mut at = 0;
        while at < self.own.len() {
            if same(self.own[at], key) {
                return true;
            }
            at += 1;
        }
        let mut at = 0;
        while at < self.flattened.len() {
            if self.flattened[at].contains(key) {
                return true;
            }
            at += 1;
        }
        false
    }

    /// A key of `other` that is used here as well.
    #[must_use]
    pub const fn collision(&self, other: &Self) -> Option<&'static str> {
        let mut at = 0;
        while at < other.own.len() {
            if self.contains(other.own[at]) {
                return Some(other.own[at]);
            }
            at += 1;
        }
        let mut at = 0;
        while at < other.flattened.len() {
            if let Some(key) = self.collision(other.flattened[at]) {
                return Some(key);
            }
            at += 1;
        }
        None
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// A handle to the field `T` of the state `S`, as in `TrainState::FIELDS.model`: a name that the compiler has checked.
///
/// Handles compose: `TrainState::FIELDS.model.then(Mlp::FIELDS.fc1)` is `model.fc1`.
pub struct Field<S: ?Sized, T: ?Sized> {
    path: Path,
    of: PhantomData<fn(&S) -> &T>,
}

/// Up to four segments, so that handles stay `Copy` and constant.
#[derive(Clone, Copy)]
struct Path {
    segments: [&'static str; 4],
    len: usize,
}

impl<S: ?Sized, T: ?Sized> Field<S, T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            path: Path {
                segments: [name, "", "", ""],
                len: 1,
            },
            of: PhantomData,
        }
    }

    /// The handle of a flattened field: it adds no name of its own, so only its own fields can be reached through it.
    #[doc(hidden)]
    #[must_use]
    pub const fn flattened() -> Self {
        Self {
            path: Path {
                segments: [""; 4],
                len: 0,
            },
            of: PhantomData,
        }
    }

    /// The handle to a field of this field.
    ///
    /// # Panics
    /// At five levels and more; inside a constant that is a compile error.
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
        Field { path, of: PhantomData }
    }

    /// The entry name that everything below this field starts with, such as `"model.fc1"`; empty for a flattened field.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.segments[..self.path.len].join(".")
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
