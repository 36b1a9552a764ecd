//! Generates `KEYS`: the keys that the schema stores at its own level.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::kind::{has_record, may_be_value};
use super::respanned;
use crate::bounds::mentions_own;
use crate::key::RECORD;
use crate::schema::{Field, Fields, Role, Schema, Shape, Style};

pub(crate) fn keys(schema: &Schema<'_>) -> TokenStream {
    let private = Schema::private();
    let keys = match &schema.shape {
        Shape::Struct(
            fields @ Fields {
                style: Style::Newtype, ..
            },
        ) => {
            let inner = fields.stored().next().map(|field| of(schema, field));
            inner.unwrap_or_else(|| quote!(#private::Keys::NONE))
        }
        Shape::Struct(_) => of_fields(schema, None),
        Shape::Enum(_) if !has_record(schema) => quote!(#private::Keys::NONE),
        Shape::Enum(_) => {
            let keys = of_fields(schema, Some(RECORD));
            if may_be_value(schema) {
                quote!(if <Self as #private::Checkpoint>::KIND.is_value() { #private::Keys::NONE } else { #keys })
            } else {
                keys
            }
        }
    };
    quote! {
        const KEYS: #private::Keys = #keys;
    }
}

/// The keys of all fields, and of the variant's record.
fn of_fields(schema: &Schema<'_>, record: Option<&str>) -> TokenStream {
    let private = Schema::private();
    let own = schema.keyed().map(|field| &field.key);
    let record = record.into_iter();
    let aliases: Vec<_> = schema
        .keyed()
        .flat_map(|field| &field.attrs.aliases)
        .map(|alias| &alias.value)
        .collect();
    let aliases = (!aliases.is_empty()).then(|| quote!(.aliases(&[#(#aliases),*])));
    let joining = schema.joining().map(|field| of(schema, field));
    quote! {
        #private::Keys::new(&[#(#record,)* #(#own),*], &[#(&#joining),*])#aliases
    }
}

/// The keys of a field whose entries join the level. A type that contains itself cannot ask itself for its keys.
pub(super) fn of(schema: &Schema<'_>, field: &Field<'_>) -> TokenStream {
    let ty = field.ty;
    let private = respanned(Schema::private(), ty.span());
    if field.role() == Role::Metadata {
        quote!(#private::Keys::NONE)
    } else if mentions_own(schema, ty) {
        quote!(#private::Keys::UNKNOWN)
    } else {
        quote_spanned!(ty.span()=> <#ty as #private::Checkpoint>::KEYS)
    }
}
