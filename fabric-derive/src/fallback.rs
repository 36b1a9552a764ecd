//! Generates an empty implementation and handles beside errors, so that one mistake does not cause missing-trait errors
//! wherever the struct is used.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{ParseStream, Parser};
use syn::{DeriveInput, Generics};

use crate::expand::handles;
use crate::schema::{Schema, import};

pub(crate) fn fallback(input: &DeriveInput, schema: Option<&Schema<'_>>) -> TokenStream {
    let import = schema.map_or_else(|| import(&quote!(::fabric_core)), Schema::import);
    let handles = schema.map(handles);
    implementation(&input.ident, &input.generics, &import, handles.as_ref())
}

/// The fallback for a declaration that a person is typing: its name and its generics suffice.
pub(crate) fn incomplete(input: TokenStream) -> Option<TokenStream> {
    let mut tokens = input.into_iter();
    tokens.find(|token| matches!(token, TokenTree::Ident(word) if word == "struct" || word == "enum"))?;
    let head = |input: ParseStream<'_>| {
        let ident: Ident = input.parse()?;
        let mut generics: Generics = input.parse()?;
        generics.where_clause = input.parse().unwrap_or_default();
        let _rest: TokenStream = input.parse()?;
        Ok((ident, generics))
    };
    let (ident, generics) = head.parse2(tokens.collect()).ok()?;
    Some(implementation(&ident, &generics, &import(&quote!(::fabric_core)), None))
}

fn implementation(
    ident: &Ident,
    generics: &Generics,
    import: &TokenStream,
    handles: Option<&TokenStream>,
) -> TokenStream {
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
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
