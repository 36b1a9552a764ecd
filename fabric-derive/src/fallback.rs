//! What is emitted beside errors: an implementation and handles without meaning, so that one mistake does not become
//! dozens of missing-trait errors wherever the struct is used.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::expand::handles;
use crate::schema::Schema;

pub(crate) fn fallback(input: &DeriveInput, schema: Option<&Schema<'_>>) -> TokenStream {
    let private = schema.map_or_else(|| quote!(::fabric_core::__private), Schema::private);
    let handles = schema.map(handles);
    let ident = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        #[allow(deprecated)]
        const _: () = {
            #[automatically_derived]
            impl #impl_generics #private::Checkpoint for #ident #ty_generics #where_clause {
                fn visit<'__fabric>(&'__fabric self, _: &mut #private::Visitor<'__fabric>) {}
                fn visit_mut<'__fabric>(&'__fabric mut self, _: &mut #private::VisitorMut<'__fabric>) {}
            }
            #handles
        };
    }
}
