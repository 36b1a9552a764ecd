//! The attributes of a variant.

use syn::{Attribute, DeriveInput};

use super::items;
use crate::errors::Errors;
use crate::key::Key;
use crate::spanned::Spanned;
use crate::vocab::{Name, Place};

/// The attributes of one variant of an enum.
#[derive(Default)]
pub(crate) struct VariantAttrs {
    pub(crate) rename: Option<Spanned<Key>>,
    pub(crate) aliases: Vec<Spanned<Key>>,
}

impl VariantAttrs {
    pub(crate) fn parse(attrs: &[Attribute], owner: &DeriveInput, errors: &Errors) -> Self {
        let mut variant = Self::default();
        for (word, item) in items(attrs, Place::Variant, errors) {
            match word.name {
                Name::Rename => variant.rename = item.key(owner, errors),
                Name::Alias => variant.aliases.extend(item.key(owner, errors)),
                // The table of attributes allows the others elsewhere only.
                _ => {}
            }
        }
        variant
    }
}
