//! Generates the kind of a newtype and of an enum: each is one plain value if its contents are plain values.

use proc_macro2::TokenStream;
use quote::quote;

use crate::bounds::mentions_own;
use crate::schema::{Field, Fields, Role, Schema, Shape, Style};

/// Returns true if the type can be one plain value, which the kinds of its fields decide: no attribute asks for entries.
pub(super) fn may_be_value(schema: &Schema<'_>) -> bool {
    let is_bare = |field: &Field<'_>| is_bare(schema, field);
    match &schema.shape {
        Shape::Struct(fields) => fields.style == Style::Newtype && fields.all.iter().all(is_bare),
        Shape::Enum(variants) => variants.iter().all(|variant| {
            // In a list, the fields of a tuple variant would lose their names.
            let has_names = |field: &Field<'_>| field.attrs.rename.is_some() || !field.attrs.aliases.is_empty();
            let loses_names = variant.fields.style == Style::Tuple && variant.fields.all.iter().any(has_names);
            variant.fields.all.iter().all(is_bare) && !loses_names
        }),
    }
}

/// Returns true for a struct without fields.
pub(super) fn is_empty(schema: &Schema<'_>) -> bool {
    matches!(&schema.shape, Shape::Struct(fields) if fields.all.is_empty())
}

/// Returns true for an enum whose variants have no fields.
pub(crate) fn of_units(schema: &Schema<'_>) -> bool {
    matches!(schema.shape, Shape::Enum(_)) && !has_record(schema)
}

/// Returns true if a file records the variant in an entry of its own.
pub(super) fn has_record(schema: &Schema<'_>) -> bool {
    match &schema.shape {
        Shape::Struct(_) => false,
        Shape::Enum(variants) => variants.iter().any(|variant| variant.fields.style != Style::Unit),
    }
}

/// Returns true if the field has names alone as attributes, and a type that does not contain the schema itself.
fn is_bare(schema: &Schema<'_>, field: &Field<'_>) -> bool {
    let attrs = &field.attrs;
    let flags = [&attrs.optional, &attrs.flatten, &attrs.per_rank, &attrs.buffer];
    let has_attribute = attrs.filter.is_some()
        || attrs.default.is_some()
        || !attrs.shards.is_empty()
        || flags.iter().any(|flag| flag.is_some());
    field.role() == Role::Component && !has_attribute && !mentions_own(schema, field.ty)
}

/// The constant `KIND`, where it is not that of several entries.
pub(crate) fn kind(schema: &Schema<'_>) -> Option<TokenStream> {
    let private = Schema::private();
    let of = |field: &Field<'_>| {
        let ty = field.ty;
        quote!(<#ty as #private::Checkpoint>::KIND)
    };
    let kind = match &schema.shape {
        Shape::Struct(
            fields @ Fields {
                style: Style::Newtype, ..
            },
        ) => {
            let only = fields.stored().find(|field| field.role() == Role::Component)?;
            let kind = of(only);
            match (is_bare(schema, only), mentions_own(schema, only.ty)) {
                (true, _) => kind,
                (false, false) => quote!(#kind.of_entries()),
                (false, true) => return None,
            }
        }
        Shape::Struct(_) if is_empty(schema) => quote!(#private::Kind::Nothing),
        Shape::Enum(_) if may_be_value(schema) => {
            let kinds = schema.stored().map(of);
            quote!(#private::Kind::Value #(.and(#kinds))*)
        }
        _ => return None,
    };
    Some(quote! {
        const KIND: #private::Kind = #kind;
    })
}
