//! What the derive macro says of a field.

use super::Schema;
use super::shard::Shard;
use crate::entry::TensorInfo;
use crate::filter::Filter;

/// A field as its attributes declare it: what generated code hands to [`Walk::enter`](super::Walk::enter).
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of the field, independent of the others"
)]
pub struct FieldSchema {
    pub(crate) schema: Schema,
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
    /// A field of `schema` whose entries are named `name.…`; `declared` is where the source says so
    /// (`"TrainState.model"`).
    #[must_use]
    pub const fn new(schema: Schema, declared: &'static str, name: &'static str) -> Self {
        Self {
            schema,
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
