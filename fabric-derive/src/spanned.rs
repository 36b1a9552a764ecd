//! A parsed value with its tokens.

use proc_macro2::{Ident, TokenStream};

/// The value of an attribute, with its key (`rename`) and the tokens of the value (`"name"`), so that an error can
/// underline either. For a flag, both are the key.
#[derive(Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) key: Ident,
    pub(crate) at: TokenStream,
}
