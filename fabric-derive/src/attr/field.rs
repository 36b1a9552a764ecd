//! The attributes of a field.

use syn::{Attribute, DeriveInput};

use super::default::DefaultValue;
use super::filter::Filter;
use super::shard::Shard;
use super::{filter, items, shard};
use crate::errors::Errors;
use crate::key::Key;
use crate::spanned::Spanned;
use crate::vocab::{Name, Place};

/// The attributes of one field. [`check`](crate::check) has the rules about two attributes.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    pub(crate) metadata: Option<Spanned<()>>,
    pub(crate) skip: Option<Spanned<()>>,
    pub(crate) filter: Option<Spanned<Filter>>,
    pub(crate) rename: Option<Spanned<Key>>,
    pub(crate) aliases: Vec<Spanned<Key>>,
    pub(crate) optional: Option<Spanned<()>>,
    pub(crate) default: Option<Spanned<DefaultValue>>,
    pub(crate) flatten: Option<Spanned<()>>,
    pub(crate) shards: Vec<Spanned<Shard>>,
    pub(crate) per_rank: Option<Spanned<()>>,
    pub(crate) buffer: Option<Spanned<()>>,
}

impl FieldAttrs {
    pub(crate) fn parse(attrs: &[Attribute], owner: &DeriveInput, errors: &Errors) -> Self {
        let mut field = Self::default();
        for (word, item) in items(attrs, Place::Field, errors) {
            match word.name {
                Name::Metadata => field.metadata = Some(item.spanned(())),
                Name::Skip => field.skip = Some(item.spanned(())),
                Name::Default => field.default = item.default(errors),
                Name::Optional => field.optional = Some(item.spanned(())),
                Name::Flatten => field.flatten = Some(item.spanned(())),
                Name::PerRank => field.per_rank = Some(item.spanned(())),
                Name::Buffer => field.buffer = Some(item.spanned(())),
                Name::Rename => field.rename = item.key(owner, errors),
                Name::Alias => field.aliases.extend(item.key(owner, errors)),
                Name::Filter => field.filter = filter::parse(&item, errors),
                Name::Shard => field.shards.extend(shard::parse(&item, errors)),
                // The table of attributes allows the others on the struct only.
                Name::RenameAll | Name::Crate | Name::Bound | Name::Version | Name::Migrate => {}
            }
        }
        field
    }
}
