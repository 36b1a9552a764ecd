//! Generates an empty implementation and handles beside errors, so that one mistake does not cause missing-trait errors
//! wherever the struct is used.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::expand::handles;
use crate::schema::{Schema, import};

pub(crate) fn fallback(input: &DeriveInput, schema: Option<&Schema<'_>>) -> TokenStream {
    let import = schema.map_or_else(|| import(&quote!(::fabric_core)), Schema::import);
    let handles = schema.map(handles);
    let ident = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        #[allow(deprecated, unused_qualifications)]
        const _: () = {
            #import
            #[automatically_derived]
            impl #impl_generics __fabric::Checkpoint for #ident #ty_generics #where_clause {
                fn visit<'__fabric>(&'__fabric self, _: &mut __fabric::Visitor<'__fabric>) {}
                fn visit_mut<'__fabric>(&'__fabric mut self, _: &mut __fabric::VisitorMut<'__fabric>) {}
            }
            #handles
        };
    }
}
