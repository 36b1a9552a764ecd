//! Generates `recipe`, which calls the function that `migrate` names.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::respanned;
use crate::schema::Schema;

/// The method `recipe` of a struct with `migrate`. The trait's own method has another name than users give to the function, so
/// that `Self::migrations` cannot mean the trait's.
pub(super) fn recipe(schema: &Schema<'_>) -> Option<TokenStream> {
    let path = schema.attrs.migrate.as_ref()?;
    let (private, span) = (Schema::private(), path.span());
    let (recipe, migrations) = (quote!(__fabric_recipe), quote!(__fabric_migrations));
    // The typed binding makes the compiler report the expected signature at the name of the function.
    let spanned = respanned(Schema::private(), span);
    let signature = quote_spanned!(span=> fn(&mut #spanned::Migrations));
    let binding = quote_spanned!(span=> let #recipe: #signature = #path;);
    Some(quote! {
        fn recipe(#migrations: &mut #private::Migrations) {
            #binding
            #recipe(#migrations);
        }
    })
}
