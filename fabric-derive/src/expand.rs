//! Generates the code of a valid schema: one anonymous constant with the implementation, the handles, and the checks
//! that need the compiler.
//!
//! Every path is absolute, and every local name begins with `__fabric`. Code that may fail to compile because of a
//! field's type has the span of that type.

mod constants;
mod guards;
mod handles;
mod keys;
mod kind;
mod recipe;
mod types;
mod values;
mod walk;

#[cfg(test)]
mod snapshots;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;

use crate::bounds;
use crate::schema::Schema;

pub(crate) use handles::handles;
pub(crate) use kind::{kind, of_units};

pub(crate) fn expand(schema: &Schema<'_>) -> TokenStream {
    let import = schema.import();
    let implementation = implementation(schema);
    let handles = handles(schema);
    let guards = guards::guards(schema);
    let constants = constants::constants(schema);
    quote! {
        #[allow(deprecated, unused_qualifications)]
        const _: () = {
            #import
            #implementation
            #handles
            #guards
            #constants
        };
    }
}

fn implementation(schema: &Schema<'_>) -> TokenStream {
    let (private, ident) = (Schema::private(), schema.ident);
    let (impl_generics, ty_generics, _) = schema.generics.split_for_impl();
    let where_clause = bounds::where_clause(schema);
    let kind = kind(schema);
    let keys = keys::keys(schema);
    let version = schema.attrs.version.map(|version| {
        quote! {
            const VERSION: #private::core::primitive::u32 = #version;
        }
    });
    let recipe = recipe::recipe(schema);
    let may_differ = types::may_differ(schema);
    let structs = types::structs(schema);
    let visit = walk::visit(schema);
    let visit_mut = walk::visit_mut(schema);
    let conversions = values::conversions(schema);
    let map_key = values::map_key(schema);
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::Checkpoint for #ident #ty_generics #where_clause {
            #kind
            #keys
            const RECORDED: #private::Recorded = #private::Recorded::ByItself;
            #version
            #recipe
            #may_differ
            #structs
            #visit
            #visit_mut
            #conversions
        }
        #map_key
    }
}

/// Gives all tokens of a path the span of a field's type. With mixed spans, the compiler would underline neither.
fn respanned(path: TokenStream, span: Span) -> TokenStream {
    let tokens = path.into_iter().map(|mut token: TokenTree| {
        token.set_span(span);
        token
    });
    tokens.collect()
}
