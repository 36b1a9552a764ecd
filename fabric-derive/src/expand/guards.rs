//! Rules that need the types: evaluated as constants, with a panic in generated code, so that the error is at the
//! field and shows no line of the library. A type that depends on generics has no one answer; there, a walk finds out.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned as _;

use super::respanned;
use crate::bounds::is_concrete;
use crate::schema::{Field, Role, Schema};

pub(crate) fn guards(schema: &Schema<'_>) -> TokenStream {
    let plain = schema.stored().flat_map(|field| plain_values(schema, field));
    let collisions = collisions(schema);
    let aliases = alias_collisions(schema);
    quote!(#(#plain)* #(#collisions)* #(#aliases)*)
}

/// `shard`, `buffer`, `filter` and `flatten` have nothing to work on in a plain value, and `flatten` has nothing in a tensor.
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
    if attrs.buffer.is_some() {
        complaints.push("only tensors are buffers; remove `buffer`, or write `per_rank` if it differs by rank");
    }
    if attrs.filter.is_some() {
        complaints.push("only tensors can be filtered; remove `filter`");
    }
    if attrs.flatten.is_some() {
        complaints.push("it has no entries that could join this level; remove `flatten`");
    }
    let ty = field.ty;
    let private = respanned(schema.private(), ty.span());
    let guards = complaints.into_iter().map(|complaint| {
        let message = format!("`{name}` is a plain value, and {complaint}");
        quote_spanned! {ty.span()=>
            const _: () = #private::core::assert!(!<#ty as #private::Checkpoint>::KIND.is_value(), #message);
        }
    });
    let mut guards: Vec<TokenStream> = guards.collect();
    if attrs.flatten.is_some() {
        let message =
            format!("`{name}` is one tensor, and has no entries that could join this level; remove `flatten`");
        guards.push(quote_spanned! {ty.span()=>
            const _: () = #private::core::assert!(!<#ty as #private::Checkpoint>::IS_TENSOR, #message);
        });
    }
    guards
}

/// A flattened field must not bring a key that is used already.
fn collisions(schema: &Schema<'_>) -> Vec<TokenStream> {
    let private = schema.private();
    let own = schema.keyed().map(|field| &field.key);
    let mut known = vec![quote!(#private::Keys::new(&[#(#own),*], &[]))];
    let mut guards = Vec::new();
    let complaint = format!("` is written by two fields of `{}`", schema.ident.unraw());
    for field in concrete_flattened(schema) {
        let around = ["key `", &complaint];
        guards.extend(
            known
                .iter()
                .map(|earlier| no_common_key(schema, field, earlier, around)),
        );
        known.push(keys_of(schema, field));
    }
    guards
}

/// Nor a key that is the former name of another field.
fn alias_collisions(schema: &Schema<'_>) -> Vec<TokenStream> {
    let private = schema.private();
    let aliases = schema.keyed().flat_map(|field| &field.attrs.aliases);
    let aliases: Vec<_> = aliases.map(|alias| &alias.value).collect();
    if aliases.is_empty() {
        return Vec::new();
    }
    let aliases = quote!(#private::Keys::new(&[#(#aliases),*], &[]));
    let guards = concrete_flattened(schema).map(|field| {
        let complaint = format!("` is a key of the flattened field `{}` as well", field.ident.unraw());
        no_common_key(schema, field, &aliases, ["alias `", &complaint])
    });
    guards.collect()
}

fn concrete_flattened<'s, 'a>(schema: &'s Schema<'a>) -> impl Iterator<Item = &'s Field<'a>> {
    schema
        .flattened()
        .filter(|field| is_concrete(field.ty, schema.generics))
}

fn keys_of(schema: &Schema<'_>, field: &Field<'_>) -> TokenStream {
    let ty = field.ty;
    let private = respanned(schema.private(), ty.span());
    quote_spanned!(ty.span()=> <#ty as #private::Checkpoint>::KEYS)
}

/// An error at the flattened field if one of its keys is among `known`; the key stands between the two texts.
fn no_common_key(schema: &Schema<'_>, field: &Field<'_>, known: &TokenStream, around: [&str; 2]) -> TokenStream {
    let span = field.ty.span();
    let private = respanned(schema.private(), span);
    let theirs = keys_of(schema, field);
    let [before, after] = around;
    quote_spanned! {span=>
        const _: () = if let #private::core::option::Option::Some(key) = #known.collision(&#theirs) {
            #private::core::panic!("{}", #private::Message::of(&[#before, key, #after]).as_str())
        };
    }
}
