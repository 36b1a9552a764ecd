//! Generates an empty implementation and handles beside errors, so that one mistake does not cause missing-trait errors
//! wherever the struct is used.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{ParseStream, Parser};
use syn::{DeriveInput, Generics};

use crate::bounds::is_concrete;
use crate::expand::{handles, kind, of_units};
use crate::schema::{Schema, import};

pub(crate) fn fallback(input: &DeriveInput, schema: Option<&Schema<'_>>) -> TokenStream {
    let import = schema.map_or_else(|| import(&quote!(::fabric_core)), Schema::import);
    let stand_in = StandIn {
        kind: schema.filter(|schema| has_concrete_fields(schema)).and_then(kind),
        handles: schema.map(handles),
        is_key: schema.is_some_and(of_units),
    };
    stand_in.implementation(&input.ident, &input.generics, &import)
}

/// The fallback for a declaration that a person is typing: its name and its generics suffice.
pub(crate) fn incomplete(input: TokenStream) -> Option<TokenStream> {
    let mut tokens = input.into_iter();
    let word = tokens.find(|token| matches!(token, TokenTree::Ident(word) if word == "struct" || word == "enum"))?;
    let head = |input: ParseStream<'_>| {
        let ident: Ident = input.parse()?;
        let mut generics: Generics = input.parse()?;
        generics.where_clause = input.parse().unwrap_or_default();
        let rest: TokenStream = input.parse()?;
        Ok((ident, generics, rest))
    };
    let (ident, generics, rest) = head.parse2(tokens.collect()).ok()?;
    let is_key = word.to_string() == "enum" && has_no_fields(rest);
    let stand_in = StandIn {
        kind: is_key.then(|| {
            quote!(
                const KIND: __fabric::Kind = __fabric::Kind::Value;
            )
        }),
        handles: None,
        is_key,
    };
    Some(stand_in.implementation(&ident, &generics, &import(&quote!(::fabric_core))))
}

/// Returns true if the type of every stored field has no parameter of the declaration, so that the kind needs no bounds.
fn has_concrete_fields(schema: &Schema<'_>) -> bool {
    schema.stored().all(|field| is_concrete(field.ty, schema.generics))
}

/// Returns true if the body of an enum has brackets of attributes alone.
fn has_no_fields(body: TokenStream) -> bool {
    let mut groups = body.into_iter().filter_map(|token| match token {
        TokenTree::Group(group) => Some(group),
        _ => None,
    });
    groups.all(|body| {
        let mut inside = body.stream().into_iter();
        inside.all(|token| !matches!(token, TokenTree::Group(group) if group.delimiter() != Delimiter::Bracket))
    })
}

/// The parts of a fallback that depend on the declaration.
struct StandIn {
    /// The kind, without which a container of the type would be an error of its own.
    kind: Option<TokenStream>,
    handles: Option<TokenStream>,
    /// The type is a key of maps.
    is_key: bool,
}

impl StandIn {
    fn implementation(&self, ident: &Ident, generics: &Generics, import: &TokenStream) -> TokenStream {
        let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
        let Self { kind, handles, is_key } = self;
        let map_key = is_key.then(|| {
            quote! {
                #[automatically_derived]
                impl #impl_generics __fabric::MapKey for #ident #ty_generics #where_clause {
                    fn text(&self) -> __fabric::Cow<'_, __fabric::core::primitive::str> {
                        __fabric::Cow::Borrowed("")
                    }
                    fn of_text(_: &__fabric::core::primitive::str) -> __fabric::core::option::Option<Self> {
                        __fabric::core::option::Option::None
                    }
                }
            }
        });
        quote! {
            #[allow(deprecated, unused_qualifications)]
            const _: () = {
                #import
                #[automatically_derived]
                impl #impl_generics __fabric::Checkpoint for #ident #ty_generics #where_clause {
                    #kind
                    fn visit<'__fabric>(&'__fabric self, _: &mut __fabric::Visitor<'__fabric>) {}
                    fn visit_mut<'__fabric>(&'__fabric mut self, _: &mut __fabric::VisitorMut<'__fabric>) {}
                }
                #map_key
                #handles
            };
        }
    }
}
