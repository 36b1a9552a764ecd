//! Generates `KEYS`: the keys that the schema stores at its own level.

use proc_macro2::TokenStream;
use quote::quote;

use crate::schema::Schema;

pub(crate) fn keys(schema: &Schema<'_>) -> TokenStream {
    let private = Schema::private();
    let own = schema.keyed().map(|field| &field.key);
    let aliases: Vec<_> = schema
        .keyed()
        .flat_map(|field| &field.attrs.aliases)
        .map(|alias| &alias.value)
        .collect();
    let aliases = (!aliases.is_empty()).then(|| quote!(.aliases(&[#(#aliases),*])));
    let flattened = schema.flattened().map(|field| {
        let ty = field.ty;
        quote!(&<#ty as #private::Checkpoint>::KEYS)
    });
    quote! {
        const KEYS: #private::Keys = #private::Keys::new(&[#(#own),*], &[#(#flattened),*])#aliases;
    }
}
