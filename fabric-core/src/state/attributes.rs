//! What the attributes of a field say of the entries below it.

use std::panic::Location;

use super::Schema;
use super::shard::Shard;
use crate::filter::Filter;

/// The attributes of one field, whether a derive macro read them or a hand-written implementation said them.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of the field, independent of the others"
)]
pub(crate) struct Attributes {
    pub(crate) filter: Option<Filter>,
    /// In the order in which the source has them.
    pub(crate) shards: Vec<Shard>,
    pub(crate) optional: bool,
    pub(crate) flatten: bool,
    pub(crate) per_rank: bool,
    pub(crate) buffer: bool,
}

impl Attributes {
    pub(crate) fn shard(&mut self, dim: usize, axis: Option<&'static str>) {
        self.shards.push(Shard { dim, axis });
    }
}

/// The place in the source where a field and its filter are declared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// In a derived struct.
    Derived(Schema),
    /// In this line of a hand-written implementation.
    ByHand(&'static Location<'static>),
}
