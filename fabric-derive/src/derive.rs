//! The whole way: attributes, schema, rules, code.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::check::check;
use crate::errors::Errors;
use crate::expand::expand;
use crate::fallback::fallback;
use crate::schema::Schema;

/// The implementation for a struct; or all its mistakes, and an implementation that stands in.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let errors = Errors::new();
    let schema = Schema::parse(input, &errors);
    if let Some(schema) = &schema {
        check(input, schema, &errors);
    }
    match (errors.finish(), &schema) {
        (Ok(()), Some(schema)) => expand(schema),
        (Ok(()), None) => fallback(input, None),
        (Err(error), schema) => {
            let mut tokens = error.into_compile_error();
            tokens.extend(fallback(input, schema.as_ref()));
            tokens
        }
    }
}
