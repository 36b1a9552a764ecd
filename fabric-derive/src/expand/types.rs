//! Generates `may_differ`, which finds hand-written implementations among the parts of the struct.

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
