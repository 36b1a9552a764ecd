//! The attributes of a field, which apply to all entries below it.

use std::panic::Location;

use super::Schema;
use super::shard::Shard;
use crate::filter::Filter;

/// The attributes of one field, from the derive macro or from a hand-written implementation.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of the field, independent of the others"
)]
pub(crate) struct Attributes {
    pub(crate) filter: Option<Filter>,
    /// The `shard` attributes in the order of the source.
    pub(crate) shards: Vec<Shard>,
    pub(crate) optional: bool,
    pub(crate) flatten: bool,
    pub(crate) per_rank: bool,
    pub(crate) buffer: bool,
    /// A hand-written implementation gives the value a default.
    pub(crate) default: bool,
}

impl Attributes {
    pub(crate) fn shard(&mut self, dim: usize, axis: Option<&'static str>) {
        self.shards.push(Shard { dim, axis });
    }
}

/// The place in the source that declares a field and its filter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// A derived struct.
    Derived(Schema),
    /// A line of a hand-written implementation.
    ByHand(&'static Location<'static>),
}
