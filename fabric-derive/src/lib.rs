//! The derive macro of [candle-fabric-core](https://docs.rs/candle-fabric-core), which re-exports it as `fabric_core::Checkpoint`.
#![deny(clippy::unwrap_used, clippy::expect_used)]

mod attr;
mod bounds;
mod check;
mod derive;
mod errors;
mod expand;
mod fallback;
mod key;
mod schema;
mod spanned;
mod vocab;

use proc_macro::TokenStream;

#[doc = include_str!("checkpoint.md")]
#[proc_macro_derive(Checkpoint, attributes(checkpoint))]
pub fn derive_checkpoint(input: TokenStream) -> TokenStream {
    derive::derive(input.into()).into()
}
