//! Rules that need the types: evaluated as constants, with a panic in generated code, so that the error is at the
//! field and shows no line of the library. A type that depends on generics has no one answer; there, a walk finds out.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned as _;

use crate::bounds::is_concrete;
use crate::schema::{Field, Role, Schema};

pub(crate) fn guards(schema: &Schema<'_>) -> TokenStream {
    let plain = schema.stored().flat_map(|field| plain_values(schema, field));
    let collisions = collisions(schema);
    quote!(#(#plain)* #(#collisions)*)
}

/// `shard`, `filter` and `flatten` have nothing to work on in a plain value.
fn plain_values(schema: &Schema<'_>, field: &Field<'_>) -> Vec<TokenStream> {
    if field.role() != Role::Component || !is_concrete(field.ty, schema.generics) {
        return Vec::new();
    }
    let attrs = &field.attrs;
    let name = field.ident.unraw();
    let mut complaints = Vec::new();
    if !attrs.shards.is_empty() {
        complaints.push("only tensors have dimensions; remove `shard`");
    }
    if attrs.filter.is_some() {
        complaints.push("only tensors can be filtered; remove `filter`");
    }
    if attrs.flatten.is_some() {
        complaints.push("it has no entries that could join this level; remove `flatten`");
    }
    let (private, ty) = (schema.private(), field.ty);
    let guards = complaints.into_iter().map(|complaint| {
        let message = format!("`{name}` is a plain value, and {complaint}");
        let panic = quote!(#private::core::panic!);
        quote_spanned! {ty.span()=>
            const _: () = if <#ty as #private::Checkpoint>::KIND.is_value() {
                #panic("{}", #message)
            };
        }
    });
    guards.collect()
}

/// A flattened field must not bring a key that is used already.
fn collisions(schema: &Schema<'_>) -> Vec<TokenStream> {
    let private = schema.private();
    let own = schema.keyed().map(|field| &field.key);
    let mut known = vec![quote!(#private::Keys::new(&[#(#own),*], &[]))];
    let mut guards = Vec::new();
    let owner = format!("` is written by two fields of `{}`", schema.ident.unraw());
    for field in schema
        .flattened()
        .filter(|field| is_concrete(field.ty, schema.generics))
    {
        let ty = field.ty;
        let theirs = quote!(<#ty as #private::Checkpoint>::KEYS);
        for earlier in &known {
            let panic = quote!(#private::core::panic!);
            let some = quote!(#private::core::option::Option::Some);
            guards.push(quote_spanned! {ty.span()=>
                const _: () = if let #some(key) = #earlier.collision(&#theirs) {
                    #panic("{}", #private::Message::of(&["key `", key, #owner]).as_str())
                };
            });
        }
        known.push(theirs);
    }
    guards
}
