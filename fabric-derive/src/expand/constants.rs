//! Checks of keys that are constants of the program, whose text the compiler alone knows.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned as _;

use super::respanned;
use crate::key::{Key, RECORD};
use crate::schema::{Fields, Schema, Shape};

/// Refuses constants that are no keys, and constants with the text of another key beside them.
pub(super) fn constants(schema: &Schema<'_>) -> TokenStream {
    let record = matches!(schema.shape, Shape::Enum(_)).then_some(RECORD);
    let of_fields = schema.lists().into_iter().map(|fields| (names(fields), record));
    let of_variants: Vec<Name<'_>> = match &schema.shape {
        Shape::Struct(_) => Vec::new(),
        Shape::Enum(variants) => variants
            .iter()
            .flat_map(|variant| {
                let aliases = variant.attrs.aliases.iter();
                std::iter::once((&variant.key, false)).chain(aliases.map(|alias| (&alias.value, true)))
            })
            .collect(),
    };
    let lists = of_fields.chain([(of_variants, None)]);
    let checks = lists
        .flat_map(|(names, record)| checks(schema, &names, record))
        .collect::<Vec<_>>();
    quote!(#(#checks)*)
}

/// A key, or an alias if the flag is set.
type Name<'s> = (&'s Key, bool);

/// The keys and aliases of fields.
fn names<'s>(fields: &'s Fields<'_>) -> Vec<Name<'s>> {
    let keyed = fields.keyed();
    keyed
        .flat_map(|field| {
            let aliases = field.attrs.aliases.iter();
            std::iter::once((&field.key, false)).chain(aliases.map(|alias| (&alias.value, true)))
        })
        .collect()
}

/// The check of each constant among the names of one level. `record` is the name under which a file records the variant there.
fn checks(schema: &Schema<'_>, names: &[Name<'_>], record: Option<&str>) -> Vec<TokenStream> {
    let owner = schema.ident.unraw();
    let names_of_constants = names.iter().enumerate();
    let constants = names_of_constants.filter_map(|(at, (name, is_alias))| Some((at, name.constant()?, *is_alias)));
    let checks = constants.map(|(at, path, is_alias)| {
        let span = path.span();
        let private = respanned(Schema::private(), span);
        let others = names.iter().enumerate().filter(|(other, _)| *other != at);
        let others = others.map(|(_, (name, _))| name);
        let twice = format!("` is a name of two fields or variants of `{owner}`");
        let of_record = record.map(|record| {
            let taken =
                format!("` is the name under which a file records the variant of `{owner}`; choose another name");
            quote_spanned! {span=>
                if #private::Keys::new(&[#record], &[]).collision(&#private::Keys::new(&[#path], &[])).is_some() {
                    #private::core::panic!("{}", #private::Message::of(&["`", #path, #taken]).as_str())
                }
            }
        });
        quote_spanned! {span=>
            const _: () = {
                if let #private::core::option::Option::Some(complaint) = #private::Keys::complaint(#path, #is_alias) {
                    #private::core::panic!("{}", #private::Message::of(&["the key `", #path, "` ", complaint]).as_str())
                }
                if #private::Keys::new(&[#(#others),*], &[]).collision(&#private::Keys::new(&[#path], &[])).is_some() {
                    #private::core::panic!("{}", #private::Message::of(&["`", #path, #twice]).as_str())
                }
                #of_record
            };
        }
    });
    checks.collect()
}
