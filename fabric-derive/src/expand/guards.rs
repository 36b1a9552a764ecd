//! Checks that need the types: constants in the generated code that panic, so that the compiler reports the error at
//! the field, without source lines of the library. For a type that depends on generics, the walk over the state checks
//! the rule instead.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned as _;

use super::keys::of as keys_of;
use super::respanned;
use crate::bounds::is_concrete;
use crate::key::{Key, RECORD};
use crate::schema::{Field, Fields, Role, Schema, Shape};

pub(crate) fn guards(schema: &Schema<'_>) -> TokenStream {
    let plain = schema.stored().flat_map(|field| plain_values(schema, field));
    let lists = schema.lists();
    let collisions = lists.into_iter().flat_map(|fields| collisions(schema, fields));
    let record = record_is_free(schema);
    quote!(#(#plain)* #(#collisions)* #(#record)*)
}

/// Refuses `shard`, `buffer`, `filter` and `flatten` on a plain value, `flatten` on a tensor, and `default` on anything but a
/// plain value.
fn plain_values(schema: &Schema<'_>, field: &Field<'_>) -> Vec<TokenStream> {
    if field.role() != Role::Component || !is_concrete(field.ty, schema.generics) {
        return Vec::new();
    }
    let attrs = &field.attrs;
    let name = field.name();
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
    let private = respanned(Schema::private(), ty.span());
    let no_value = attrs.default.is_some().then(|| {
        let message = format!(
            "`{name}` has entries of its own, and `default` makes a plain value; write `optional`, and the field stays as it is"
        );
        quote_spanned! {ty.span()=>
            const _: () = #private::core::assert!(<#ty as #private::Checkpoint>::KIND.is_value(), #message);
        }
    });
    let guards = complaints.into_iter().map(|complaint| {
        let message = format!("`{name}` is a plain value, and {complaint}");
        quote_spanned! {ty.span()=>
            const _: () = #private::core::assert!(!<#ty as #private::Checkpoint>::KIND.is_one_value(), #message);
        }
    });
    let mut guards: Vec<TokenStream> = guards.chain(no_value).collect();
    if attrs.flatten.is_some() {
        let message =
            format!("`{name}` is one tensor, and has no entries that could join this level; remove `flatten`");
        guards.push(quote_spanned! {ty.span()=>
            const _: () = #private::core::assert!(!<#ty as #private::Checkpoint>::KIND.is_tensor(), #message);
        });
    }
    guards
}

/// Refuses a flattened field with a key that is in use, and names of a file that would mean two fields.
fn collisions(schema: &Schema<'_>, fields: &Fields<'_>) -> Vec<TokenStream> {
    let private = Schema::private();
    let own = fields.keyed().map(|field| &field.key);
    let aliases: Vec<_> = own_aliases(fields).collect();
    let own = quote!(#private::Keys::new(&[#(#own),*], &[]).aliases(&[#(#aliases),*]));
    let mut earlier = vec![Level {
        keys: own,
        field: None,
        has_aliases: !aliases.is_empty(),
    }];
    let mut guards = Vec::new();
    for field in concrete_flattened(schema, fields) {
        for level in &earlier {
            guards.push(level.guard(schema, field));
        }
        earlier.push(Level {
            keys: keys_of(schema, field),
            field: Some(field.name()),
            has_aliases: true,
        });
    }
    guards
}

fn own_aliases<'s>(fields: &'s Fields<'_>) -> impl Iterator<Item = &'s Key> {
    let aliases = fields.keyed().flat_map(|field| &field.attrs.aliases);
    aliases.map(|alias| &alias.value)
}

/// Names that a flattened field must not repeat: the struct's own, or those of a field flattened before it.
struct Level {
    keys: TokenStream,
    field: Option<String>,
    /// False if the level is known to have no aliases.
    has_aliases: bool,
}

impl Level {
    /// Generates the error at the flattened field for the first repeated name.
    fn guard(&self, schema: &Schema<'_>, field: &Field<'_>) -> TokenStream {
        let span = field.ty.span();
        let private = respanned(Schema::private(), span);
        let (known, theirs) = (&self.keys, &keys_of(schema, field));
        // These names do not have the span of the type, which may come from another macro.
        let (here, there) = (quote!(known), quote!(theirs));
        let findings = self.findings(schema, field).into_iter().map(|(found, around)| {
            let [before, after] = around;
            quote_spanned! {span=>
                if let #private::core::option::Option::Some(key) = #found {
                    #private::core::panic!("{}", #private::Message::of(&[#before, key, #after]).as_str())
                }
            }
        });
        quote_spanned! {span=>
            const _: () = {
                let (#here, #there) = (#known, #theirs);
                #(#findings)*
            };
        }
    }

    /// The expressions that find a repeated name, each with the texts of its message before and after the name.
    fn findings(&self, schema: &Schema<'_>, field: &Field<'_>) -> Vec<(TokenStream, [String; 2])> {
        let (name, owner) = (field.name(), schema.ident.unraw());
        let (other, of_other) = match &self.field {
            Some(other) => (
                format!("the flattened field `{other}`"),
                format!(" of the flattened field `{other}`"),
            ),
            None => (format!("`{owner}`"), String::new()),
        };
        let text = |before: &str, after: String| [before.to_owned(), after];
        let mut findings = vec![(
            quote!(known.collision(&theirs)),
            text("key `", format!("` is written by two fields of `{owner}`")),
        )];
        if self.has_aliases {
            findings.push((
                quote!(theirs.alias_collision(&known)),
                text(
                    "alias `",
                    format!("`{of_other} is a key of the flattened field `{name}` as well"),
                ),
            ));
            findings.push((
                quote!(known.common_alias(&theirs)),
                text(
                    "alias `",
                    format!("` of the flattened field `{name}` is an alias of {other} as well"),
                ),
            ));
        }
        findings.push((
            quote!(known.alias_collision(&theirs)),
            text(
                "alias `",
                format!("` of the flattened field `{name}` is a key of {other} as well"),
            ),
        ));
        findings
    }
}

fn concrete_flattened<'s, 'a>(schema: &'s Schema<'_>, fields: &'s Fields<'a>) -> impl Iterator<Item = &'s Field<'a>> {
    fields
        .stored()
        .filter(|field| field.attrs.flatten.is_some() && is_concrete(field.ty, schema.generics))
}

/// Refuses contents of a variant with an entry of the name under which a file records the variant itself.
fn record_is_free(schema: &Schema<'_>) -> Vec<TokenStream> {
    let Shape::Enum(variants) = &schema.shape else {
        return Vec::new();
    };
    let joining = variants.iter().flat_map(|variant| {
        let fields = variant.fields.stored().filter(|field| field.joins());
        fields.map(move |field| (variant, field))
    });
    let concrete = joining.filter(|(_, field)| is_concrete(field.ty, schema.generics));
    let guards = concrete.map(|(variant, field)| {
        let (span, keys) = (field.ty.span(), keys_of(schema, field));
        let private = respanned(Schema::private(), span);
        let (owner, name) = (schema.ident.unraw(), variant.ident.unraw());
        let message = format!(
            "a file records the variant of `{owner}` as \"variant\", and the contents of `{name}` have an entry of that name; \
             give them a name of their own, as in {name} {{ inner: … }}"
        );
        // The name does not have the span of the type, which may come from another macro.
        let record = quote!(record);
        quote_spanned! {span=>
            const _: () = {
                let #record = #private::Keys::new(&[#RECORD], &[]);
                #private::core::assert!(
                    #record.collision(&#keys).is_none() && #record.alias_collision(&#keys).is_none(),
                    "{}",
                    #message
                );
            };
        }
    });
    guards.collect()
}
