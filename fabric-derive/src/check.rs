//! Rules about two or more attributes or fields. Each function checks one rule.

mod keys;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{DeriveInput, LitInt, Type, TypeGroup, TypeParen};

use crate::errors::Errors;
use crate::schema::{Field, Role, Schema, Shape};

/// Reports all rules that the schema breaks.
pub(crate) fn check(input: &DeriveInput, schema: &Schema<'_>, errors: &Errors) {
    not_packed(input, errors);
    something_is_stored(schema, errors);
    for field in schema.lists().into_iter().flat_map(|fields| &fields.all) {
        skipped_alone(field, errors);
        if field.role() == Role::Skipped {
            continue;
        }
        metadata_is_one_value(field, errors);
        joining_without_key(field, errors);
        split_or_per_rank(field, errors);
        buffer_or_per_rank(field, errors);
        one_answer_to_absence(field, errors);
        axes_differ(field, errors);
        metadata_is_owned(field, errors);
    }
    keys::check(schema, errors);
}

/// Refuses packed structs: a checkpoint borrows every field, and a field of a packed struct cannot be borrowed.
fn not_packed(input: &DeriveInput, errors: &Errors) {
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("repr")) {
        let tokens = attr.meta.to_token_stream();
        let packed = syn::parse2::<syn::MetaList>(tokens).is_ok_and(|list| {
            let mut options = list.tokens.into_iter();
            options.any(|option| option.to_string() == "packed")
        });
        if packed {
            errors.at(
                attr,
                "a checkpoint borrows every field, and those of a packed struct cannot be; remove `packed`",
            );
        }
    }
}

/// Refuses a schema that can store nothing although it has fields, and an enum that has no values: a save would store
/// nothing, and a load would find nothing missing.
fn something_is_stored(schema: &Schema<'_>, errors: &Errors) {
    let ident = schema.ident;
    let complaint = match &schema.shape {
        Shape::Struct(fields) if !fields.all.is_empty() && fields.stored().next().is_none() => {
            format!("this schema stores nothing: every field of `{ident}` is skipped")
        }
        Shape::Enum(variants) if variants.is_empty() => {
            format!("this schema stores nothing: `{ident}` has no variants")
        }
        _ => return,
    };
    errors.at(ident, complaint);
}

/// Refuses other attributes on a skipped field, where they have no effect.
fn skipped_alone(field: &Field<'_>, errors: &Errors) {
    let attrs = &field.attrs;
    if attrs.skip.is_none() {
        return;
    }
    let flags = [
        &attrs.metadata,
        &attrs.optional,
        &attrs.flatten,
        &attrs.per_rank,
        &attrs.buffer,
    ];
    let default = attrs.default.iter().map(|default| &default.key);
    let keys = flags
        .into_iter()
        .flatten()
        .map(|flag| &flag.key)
        .chain(attrs.filter.iter().map(|filter| &filter.key))
        .chain(attrs.rename.iter().map(|rename| &rename.key))
        .chain(attrs.aliases.iter().map(|alias| &alias.key))
        .chain(attrs.shards.iter().map(|shard| &shard.key))
        .chain(default);
    for key in keys {
        errors.at(
            key,
            format_args!("`{key}` has no effect on a skipped field; remove one of them"),
        );
    }
}

/// Refuses attributes for tensors or named entries on metadata, which is one value.
fn metadata_is_one_value(field: &Field<'_>, errors: &Errors) {
    let attrs = &field.attrs;
    if attrs.metadata.is_none() {
        return;
    }
    if let Some(filter) = &attrs.filter {
        let message = "`filter` applies to tensors, but this field is stored as metadata; remove one of them";
        errors.at(&filter.key, message);
    }
    for shard in &attrs.shards {
        let message = "`shard` splits tensors, but metadata is stored whole and cannot be sharded; remove one of them";
        errors.at(&shard.key, message);
    }
    if let Some(buffer) = &attrs.buffer {
        let message = "`buffer` marks tensors, but this field is stored as metadata; remove one of them";
        errors.at(&buffer.key, message);
    }
    if let Some(flatten) = &attrs.flatten {
        let message = "`flatten` joins named entries to this level, but metadata is one value; remove one of them";
        errors.at(&flatten.key, message);
    }
}

/// Refuses attributes for the key of a field that has none, and `flatten` on the field of a newtype.
fn joining_without_key(field: &Field<'_>, errors: &Errors) {
    let attrs = &field.attrs;
    if !field.joins() {
        return;
    }
    let of = if field.is_only {
        "the field of a newtype"
    } else {
        "a flattened field"
    };
    let rename = attrs.rename.iter().map(|rename| &rename.key);
    for key in rename.chain(attrs.aliases.iter().map(|alias| &alias.key)) {
        errors.at(key, format_args!("{of} adds no key of its own; `{key}` cannot apply"));
    }
    if let (true, Some(flatten)) = (field.is_only, &attrs.flatten) {
        errors.at(
            &flatten.key,
            "the entries of a newtype's field join this level without an attribute; remove `flatten`",
        );
    }
}

/// Refuses `default` with `optional`: a field that a file lacks stays as it is, or takes the default.
fn one_answer_to_absence(field: &Field<'_>, errors: &Errors) {
    if let (Some(optional), Some(_)) = (&field.attrs.optional, &field.attrs.default) {
        let message =
            "`optional` leaves a field as it is if the file lacks it, `default` gives it a value; remove one of them";
        errors.at(&optional.key, message);
    }
    if let (Some(default), Some(_)) = (&field.attrs.default, &field.attrs.flatten) {
        let message = "`default` makes one value, `flatten` joins several entries to this level; remove one of them";
        errors.at(&default.key, message);
    }
}

/// Refuses `shard` with `per_rank`: each rank holds a part of one tensor, or a value that differs by rank.
fn split_or_per_rank(field: &Field<'_>, errors: &Errors) {
    if let (Some(per_rank), [_, ..]) = (&field.attrs.per_rank, &field.attrs.shards[..]) {
        let message =
            "`per_rank` gives every rank a value of its own, `shard` a part of a common one; remove one of them";
        errors.at(&per_rank.key, message);
    }
}

/// Refuses `buffer` with `per_rank`: a file holds one replica of a buffer, and all values of a `per_rank` field.
fn buffer_or_per_rank(field: &Field<'_>, errors: &Errors) {
    if let (Some(per_rank), Some(_)) = (&field.attrs.per_rank, &field.attrs.buffer) {
        let message = "`per_rank` keeps a value of each rank, `buffer` marks tensors of which one replica is kept; remove one of \
                       them";
        errors.at(&per_rank.key, message);
    }
}

/// Refuses two splits over one axis, which would give each rank two different parts.
fn axes_differ(field: &Field<'_>, errors: &Errors) {
    let shards = &field.attrs.shards;
    for (at, shard) in shards.iter().enumerate() {
        let axis = |shard: &crate::attr::shard::Shard| shard.axis.as_ref().map(syn::LitStr::value);
        let this = axis(&shard.value);
        if shards[..at].iter().any(|earlier| axis(&earlier.value) == this) {
            let message = match this {
                Some(axis) => format!("this field is already split over the axis {axis:?}; name another axis"),
                None => "this field is already split over the strategy's own axis; name another, as in axis = \"tp\""
                    .to_owned(),
            };
            errors.at(&shard.at, message);
        } else if at >= 2 {
            errors.at(
                &shard.key,
                "a field is split over at most two axes; remove this `shard`",
            );
        }
    }
}

/// Refuses borrowing types as metadata, and arrays that serde does not support: a load reads metadata as owned data.
fn metadata_is_owned(field: &Field<'_>, errors: &Errors) {
    if field.role() != Role::Metadata {
        return;
    }
    let ty = without_group(field.ty);
    if borrows(&ty.to_token_stream()) {
        let message = "metadata is read back as owned data, and this type borrows";
        errors.at(ty, format_args!("{message}; use an owned type, or #[checkpoint(skip)]"));
    }
    if let Type::Array(array) = ty
        && let Ok(len) = syn::parse2::<LitInt>(array.len.to_token_stream())
        && len.base10_parse::<u64>().is_ok_and(|len| len > SERDE_ARRAY)
    {
        let of = array.elem.to_token_stream();
        errors.at(
            ty,
            format_args!(
                "serde has arrays of up to {SERDE_ARRAY} items; a plain `[{of}; {len}]` needs no attribute, so remove \
                 `metadata`, or use a `Vec`"
            ),
        );
    }
}

/// The longest array that implements serde's traits.
const SERDE_ARRAY: u64 = 32;

fn without_group(mut ty: &Type) -> &Type {
    while let Type::Group(TypeGroup { elem, .. }) | Type::Paren(TypeParen { elem, .. }) = ty {
        ty = elem;
    }
    ty
}

/// True if a type contains a reference.
fn borrows(ty: &TokenStream) -> bool {
    ty.clone().into_iter().any(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '&',
        TokenTree::Group(group) => borrows(&group.stream()),
        _ => false,
    })
}
