//! The where-clause of the implementation, with one bound for each field type that mentions a type parameter.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{GenericParam, Generics, Type};

use crate::attr::default::DefaultValue;
use crate::schema::{Role, Schema};

/// The struct's own where-clause with the bounds of the fields, or with `bound = "…"` in place of those.
pub(crate) fn where_clause(schema: &Schema<'_>) -> TokenStream {
    let own = schema
        .generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates);
    let mut predicates: Vec<TokenStream> = own.map(ToTokens::to_token_stream).collect();
    match &schema.attrs.bound {
        Some(bound) => predicates.extend(bound.iter().map(ToTokens::to_token_stream)),
        None => predicates.extend(inferred(schema)),
    }
    if predicates.is_empty() {
        TokenStream::new()
    } else {
        quote!(where #(#predicates,)*)
    }
}

fn inferred(schema: &Schema<'_>) -> Vec<TokenStream> {
    let private = Schema::private();
    let needed = schema.stored().filter(|field| needs_bound(field.ty, schema));
    let bounds = needed.map(|field| {
        let ty = field.ty;
        let needed = match field.role() {
            Role::Metadata => quote!(Metadata),
            Role::Component | Role::Skipped => quote!(Checkpoint),
        };
        let default = matches!(
            &field.attrs.default,
            Some(default) if matches!(default.value, DefaultValue::OfType)
        );
        let default = default.then(|| quote!(+ #private::core::default::Default));
        quote!(#ty: #private::#needed #default)
    });
    bounds.collect()
}

/// True if the type mentions a type parameter and not the struct itself. The bound of a recursive field, such as the
/// `next` of a list, would depend on itself; the bounds of the other fields suffice.
fn needs_bound(ty: &Type, schema: &Schema<'_>) -> bool {
    let tokens = ty.to_token_stream();
    let of_parameter = schema
        .generics
        .type_params()
        .any(|param| mentions(&tokens, &param.ident));
    of_parameter && !mentions_own(schema, ty)
}

/// True if the type mentions the schema itself.
pub(crate) fn mentions_own(schema: &Schema<'_>, ty: &Type) -> bool {
    let tokens = ty.to_token_stream();
    mentions(&tokens, schema.ident) || mentions_self(&tokens)
}

/// True if the type mentions no generic parameter of the struct.
pub(crate) fn is_concrete(ty: &Type, generics: &Generics) -> bool {
    let tokens = ty.to_token_stream();
    let mut params = generics.params.iter().map(|param| match param {
        GenericParam::Lifetime(param) => &param.lifetime.ident,
        GenericParam::Type(param) => &param.ident,
        GenericParam::Const(param) => &param.ident,
    });
    !params.any(|param| mentions(&tokens, param)) && !mentions_self(&tokens)
}

/// True if `ident` is among the tokens.
pub(crate) fn mentions(tokens: &TokenStream, ident: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(found) => found == *ident,
        TokenTree::Group(group) => mentions(&group.stream(), ident),
        _ => false,
    })
}

fn mentions_self(tokens: &TokenStream) -> bool {
    mentions(tokens, &Ident::new("Self", proc_macro2::Span::call_site()))
}
