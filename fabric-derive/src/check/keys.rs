//! Rules about the keys and aliases of fields, and about the names of variants.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::errors::Errors;
use crate::key::{self, Key, RECORD, key_error};
use crate::schema::{Field, Fields, Schema, Shape, Variant};
use crate::spanned::Spanned;

/// Reports all rules about keys that the schema breaks.
pub(super) fn check(schema: &Schema<'_>, errors: &Errors) {
    for field in schema.keyed() {
        are_valid(&field.key, &field.key_at(), &field.attrs.aliases, errors);
    }
    for fields in schema.lists() {
        are_unique(schema, fields, errors);
    }
    if let Shape::Enum(variants) = &schema.shape {
        of_variants(schema, variants, errors);
    }
}

fn are_valid(key: &Key, at: &TokenStream, aliases: &[Spanned<Key>], errors: &Errors) {
    if let Some(error) = key.text().and_then(key_error) {
        errors.at(at, error);
    }
    for alias in aliases {
        let error = alias
            .value
            .text()
            .and_then(|alias| key::alias_error(alias, &key.to_string()));
        if let Some(error) = error {
            errors.at(&alias.at, error);
        }
    }
}

/// Checks the names of variants, and refuses fields that are stored under the name of the variant's record.
fn of_variants(schema: &Schema<'_>, variants: &[Variant<'_>], errors: &Errors) {
    let mut owners: HashMap<&str, &Variant<'_>> = HashMap::new();
    for variant in variants {
        let renamed = variant.attrs.rename.as_ref().map(|rename| rename.at.clone());
        let at = renamed.unwrap_or_else(|| variant.ident.to_token_stream());
        are_valid(&variant.key, &at, &variant.attrs.aliases, errors);
        let aliases = variant.attrs.aliases.iter().map(|alias| (&alias.value, &alias.at));
        for (name, at) in std::iter::once((&variant.key, &at)).chain(aliases) {
            let Some(name) = name.text() else { continue };
            if let Some(first) = owners.insert(name, variant) {
                let first = first.ident;
                errors.at(
                    at,
                    format_args!(
                        "{name:?} is already a name of the variant `{first}`; a name in a file must mean one variant"
                    ),
                );
            }
        }
    }
    let ident = schema.ident;
    let is_record = |key: &Key| key.text() == Some(RECORD);
    for field in schema.keyed() {
        let aliases = field.attrs.aliases.iter();
        let aliases = aliases
            .filter(|alias| is_record(&alias.value))
            .map(|alias| alias.at.clone());
        for at in is_record(&field.key).then(|| field.key_at()).into_iter().chain(aliases) {
            errors.at(
                &at,
                format_args!(
                    "a file records the variant of `{ident}` as {RECORD:?}; choose another name for this field"
                ),
            );
        }
    }
}

/// Refuses a key or alias that two fields share: a name in a file must mean one field.
fn are_unique(schema: &Schema<'_>, fields: &Fields<'_>, errors: &Errors) {
    let mut owners: HashMap<&str, &Field<'_>> = HashMap::new();
    for field in fields.keyed() {
        let Some(key) = field.key.text().filter(|key| key_error(key).is_none()) else {
            continue;
        };
        if let Some(first) = owners.get(key) {
            same_key(schema, (first, field), key, errors);
        } else {
            owners.insert(key, field);
        }
    }
    let mut aliases: HashMap<&str, &Field<'_>> = HashMap::new();
    for field in fields.keyed() {
        for alias in &field.attrs.aliases {
            let Some(name) = alias.value.text().filter(|name| key_error(name).is_none()) else {
                continue;
            };
            if let Some(error) = alias_error(name, field, &owners, &aliases) {
                errors.at(&alias.at, error);
            } else {
                aliases.insert(name, field);
            }
        }
    }
}

/// Reports two fields with one key at both places, because a macro cannot attach notes to an error.
fn same_key(schema: &Schema<'_>, (first, second): (&Field<'_>, &Field<'_>), key: &str, errors: &Errors) {
    let (one, other) = (first.name(), second.name());
    let renamed = first.attrs.rename.is_some() || second.attrs.rename.is_some();
    if let (false, Some(Spanned { value: case, .. })) = (renamed, &schema.attrs.rename_all) {
        let case = case.name();
        let message = format!("fields `{one}` and `{other}` both become {key:?} under rename_all = {case:?}");
        errors.at(&second.at(), format_args!("{message}; rename one of them"));
        return;
    }
    let message = format!("key {key:?} is already used by field `{one}`; choose another name");
    errors.at(&second.key_at(), message);
    errors.at(&first.key_at(), format_args!("key {key:?} is first used here"));
}

fn alias_error(
    name: &str,
    field: &Field<'_>,
    owners: &HashMap<&str, &Field<'_>>,
    aliases: &HashMap<&str, &Field<'_>>,
) -> Option<String> {
    if field.key.text() == Some(name) {
        return Some(format!("alias {name:?} is the field's own key; remove it"));
    }
    if let Some(owner) = owners.get(name) {
        let owner = owner.name();
        return Some(format!(
            "alias {name:?} is the key of field `{owner}`; a name in a file must mean one field"
        ));
    }
    let earlier = aliases.get(name)?;
    if earlier.member == field.member {
        return Some(format!("alias {name:?} is given twice; remove one of them"));
    }
    let owner = earlier.name();
    Some(format!(
        "alias {name:?} is already an alias of field `{owner}`; a name in a file must mean one field"
    ))
}
