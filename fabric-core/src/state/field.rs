//! What the derive macro says of a field.

use super::Schema;
use super::attributes::Attributes;
use crate::entry::TensorInfo;
use crate::filter::Filter;

/// A field as its attributes declare it: what generated code hands to [`Walking::enter`](super::Walking::enter).
#[derive(Clone, Debug)]
pub struct FieldSchema {
    pub(crate) schema: Schema,
    pub(crate) declared: &'static str,
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) attributes: Attributes,
}

impl FieldSchema {
    /// A field of `schema` whose entries are named `name.…`; `declared` is where the source says so
    /// (`"TrainState.model"`).
    #[must_use]
    pub fn new(schema: Schema, declared: &'static str, name: &'static str) -> Self {
        Self {
            schema,
            declared,
            name,
            aliases: &[],
            attributes: Attributes::default(),
        }
    }

    /// Further names that are accepted on load.
    #[must_use]
    pub fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Only entries that contain one of these texts belong to the schema.
    #[must_use]
    pub fn filter_text(mut self, any_of: &'static [&'static str]) -> Self {
        self.attributes.filter = Some(Filter::text(any_of));
        self
    }

    /// Only entries that match one of these shell patterns belong to the schema.
    #[must_use]
    pub fn filter_glob(mut self, any_of: &'static [&'static str]) -> Self {
        self.attributes.filter = Some(Filter::glob(any_of));
        self
    }

    /// Only entries that the function keeps belong to the schema.
    #[must_use]
    pub fn filter_function(mut self, keep: fn(&str, &TensorInfo) -> bool) -> Self {
        self.attributes.filter = Some(Filter::function(keep));
        self
    }

    /// The tensors below are this rank's part, split along `dim`; may be said twice, for two axes, of which the first cuts first.
    #[must_use]
    pub fn shard(mut self, dim: usize, axis: Option<&'static str>) -> Self {
        self.attributes.shard(dim, axis);
        self
    }

    /// Absence in a file is no error.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.attributes.optional = true;
        self
    }

    /// The entries join the level of the field itself.
    #[must_use]
    pub fn flatten(mut self) -> Self {
        self.attributes.flatten = true;
        self
    }

    /// The tensors below are kept and not learned.
    #[must_use]
    pub fn buffer(mut self) -> Self {
        self.attributes.buffer = true;
        self
    }

    /// A value that differs by rank.
    #[must_use]
    pub fn per_rank(mut self) -> Self {
        self.attributes.per_rank = true;
        self
    }
}
