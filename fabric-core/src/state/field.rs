//! The description of a field that the derive macro generates.

use super::Schema;
use super::attributes::Attributes;
use crate::entry::TensorInfo;
use crate::filter::Filter;

/// A field with its attributes, which generated code hands to [`Walking::enter`](super::Walking::enter).
#[derive(Clone, Debug)]
pub struct FieldSchema {
    pub(crate) schema: Schema,
    pub(crate) declared: &'static str,
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) attributes: Attributes,
}

impl FieldSchema {
    /// A field of `schema` whose entries are named `name.…`. `declared` is the field's place in the source, such as
    /// `"TrainState.model"`.
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

    /// Adds names that a load accepts beside the field's name.
    #[must_use]
    pub fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Keeps only tensors whose name contains one of these texts.
    #[must_use]
    pub fn filter_text(mut self, any_of: &'static [&'static str]) -> Self {
        self.attributes.filter = Some(Filter::text(any_of));
        self
    }

    /// Keeps only tensors whose name matches one of these shell patterns.
    #[must_use]
    pub fn filter_glob(mut self, any_of: &'static [&'static str]) -> Self {
        self.attributes.filter = Some(Filter::glob(any_of));
        self
    }

    /// Keeps only tensors for which the function returns true.
    #[must_use]
    pub fn filter_function(mut self, keep: fn(&str, &TensorInfo) -> bool) -> Self {
        self.attributes.filter = Some(Filter::function(keep));
        self
    }

    /// Declares the field's tensors as this rank's part, split along `dim`. Two calls split over two axes; the axis of
    /// the first call splits first.
    #[must_use]
    pub fn shard(mut self, dim: usize, axis: Option<&'static str>) -> Self {
        self.attributes.shard(dim, axis);
        self
    }

    /// Lets a load accept a file that lacks the field.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.attributes.optional = true;
        self
    }

    /// Joins the field's entries to the level of the field itself.
    #[must_use]
    pub fn flatten(mut self) -> Self {
        self.attributes.flatten = true;
        self
    }

    /// Declares the field's tensors as buffers, which are saved and not learned.
    #[must_use]
    pub fn buffer(mut self) -> Self {
        self.attributes.buffer = true;
        self
    }

    /// Declares that the field's value differs by rank.
    #[must_use]
    pub fn per_rank(mut self) -> Self {
        self.attributes.per_rank = true;
        self
    }
}
