//! Generates the walks over the types of a struct: `may_differ`, which finds hand-written implementations among its parts, and
//! `structs`, which finds the structs that a file has.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::handles::declared;
use super::respanned;
use crate::schema::{Role, Schema};

/// Generates the question to the type of each field, in declared order, so that the compiler reports types without the
/// trait in that order. The macro writes both methods of the struct itself.
pub(crate) fn may_differ(schema: &Schema<'_>) -> TokenStream {
    let (private, declared) = (Schema::private(), declared());
    let fields = schema.stored().filter(|field| field.role() == Role::Component);
    let parts = fields.map(|field| {
        let ty = field.ty;
        let private = respanned(Schema::private(), ty.span());
        let types = quote!(__fabric_types);
        quote_spanned!(ty.span()=> <#ty as #private::Checkpoint>::may_differ(#types))
    });
    let Some(parts) = parts.reduce(|before, part| quote!(#before || #part)) else {
        return quote! {
            fn may_differ(_: &mut #private::Types) -> #private::core::primitive::bool {
                false
            }
        };
    };
    quote! {
        fn may_differ(__fabric_types: &mut #private::Types) -> #private::core::primitive::bool {
            __fabric_types.enter(#declared) && (#parts)
        }
    }
}

/// Generates the walk that records the struct, and goes down to the type of each field. A table of functions compiles faster than
/// a call for each field.
pub(crate) fn structs(schema: &Schema<'_>) -> TokenStream {
    let private = Schema::private();
    let fields = schema.stored().filter(|field| field.role() == Role::Component);
    let rows = fields.map(|field| {
        let (ty, key) = (field.ty, &field.key);
        let private = respanned(Schema::private(), ty.span());
        let aliases = field.attrs.aliases.iter().map(|alias| &alias.value);
        let names = if field.joins() {
            quote!(&[])
        } else {
            quote!(&[#key #(, #aliases)*])
        };
        let structs = quote_spanned!(ty.span()=> <#ty as #private::Checkpoint>::structs);
        quote!((#names, #structs))
    });
    quote! {
        fn structs(__fabric_types: &mut #private::TypeWalk<'_>) {
            __fabric_types.of::<Self>(&[#(#rows),*]);
        }
    }
}
