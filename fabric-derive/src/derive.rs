//! The steps of the macro: parse the attributes, build the schema, check the rules, generate the code.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::check::check;
use crate::errors::Errors;
use crate::expand::expand;
use crate::fallback::{fallback, incomplete};
use crate::schema::Schema;

/// The implementation for a declaration; or all its errors, with a fallback implementation. An editor expands the macro
/// while the declaration is incomplete: then the fallback alone depends on its name and generics.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    match syn::parse2::<DeriveInput>(input.clone()) {
        Ok(input) => derive_complete(&input),
        Err(error) => {
            let mut tokens = error.into_compile_error();
            tokens.extend(incomplete(input));
            tokens
        }
    }
}

fn derive_complete(input: &DeriveInput) -> TokenStream {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of `checkpoint` attributes for fuzzing: valid, invalid and incomplete ones.
    const ITEMS: &[&str] = &[
        "",
        ",",
        "skip",
        "metadata",
        "skip = 1",
        "migrate",
        "migrate = a::b",
        "version = 2, migrate = Self::steps",
        "flatten()",
        "rename",
        "rename =",
        "rename = \"a\"",
        "rename = \"a.b\"",
        "rename = \"\"",
        "alias = b\"a\"",
        "alias = \"x\"",
        "filter",
        "filter = \"\"",
        "filter = glob(\"[\")",
        "filter = glob(\"*\") extra",
        "filter(glob)",
        "filter(a::<B, C>, \"d\")",
        "filter = <T as Trait>::keep",
        "filter = |a, b| a < b",
        "filter = move |a| true",
        "filter(|)",
        "shard",
        "shard(0)",
        "shard(dim = -1)",
        "shard(dim = 18446744073709551616)",
        "shard(dim = 1.5, axis = 3)",
        "shard(axis = \"a\", axis)",
        "shard(dim = 0), shard(dim = 0), shard(dim = 0)",
        "per_rank",
        "optional per_rank",
        "version = 0",
        "version = 4294967296",
        "crate = \"Self\"",
        "crate = \"\"",
        "bound = \"T\"",
        "bound = \"\"",
        "rename_all = \"\"",
        "\"text\"",
        "3",
        "a::b = 1",
        "= =",
        "<",
        ">>",
        "_",
        "r#type",
        "(skip)",
        "{}",
    ];

    fn expansion(source: &str) -> TokenStream {
        derive(source.parse().expect("the test is a list of tokens"))
    }

    #[test]
    fn no_attribute_makes_the_macro_panic_or_write_what_is_no_rust() {
        for first in ITEMS {
            for second in ITEMS {
                for source in [
                    format!("struct S<T> {{ #[checkpoint({first}, {second})] a: T, b: &'static T }}"),
                    format!("#[checkpoint({first})] #[checkpoint({second})] struct S<T> {{ a: T }}"),
                    format!("struct S {{ #[checkpoint({first})] a: u8, #[checkpoint({second})] r#type: u8 }}"),
                ] {
                    let code = syn::parse2::<syn::File>(expansion(&source));
                    assert!(code.is_ok(), "{source}");
                }
            }
        }
    }

    #[test]
    fn all_mistakes_come_with_one_implementation_and_all_handles() {
        let source = "struct S { #[checkpoint(fliter = \"a\")] a: A, #[checkpoint(rename = 3)] b: B, c: C }";
        let code = expansion(source).to_string();
        assert_eq!(code.matches("compile_error").count(), 2, "{code}");
        assert_eq!(code.matches("Checkpoint for S").count(), 1, "{code}");
        for handle in ["a", "b", "c"] {
            assert!(code.contains(&format!("{handle} : __fabric :: Field < S ,")), "{code}");
        }
    }

    #[test]
    fn an_incomplete_declaration_has_an_implementation() {
        for source in [
            "struct S { a: Linear, b: }",
            "pub(crate) struct S { a: Linear, b }",
            "#[doc = \"struct X\"] struct S { a Linear }",
            "struct S<'a, T: Clone, const N: usize> { a: &'a mut [T; N], b: }",
            "struct S<T> where T: Clone { a: , }",
            "enum S { A(Linear), B( }",
            "enum S { A(u64) B }",
            "struct S",
        ] {
            let Ok(tokens) = source.parse::<TokenStream>() else {
                continue;
            };
            let code = derive(tokens);
            assert_eq!(
                code.to_string().matches("Checkpoint for S").count(),
                1,
                "{source}: {code}"
            );
            assert!(code.to_string().contains("compile_error"), "{source}");
            assert!(syn::parse2::<syn::File>(code).is_ok(), "{source}");
        }
        assert!(
            !derive(quote::quote!(
                fn main() {}
            ))
            .to_string()
            .contains("Checkpoint for")
        );
    }

    #[test]
    fn a_mistaken_crate_path_does_not_spoil_the_stand_in() {
        let code = expansion("#[checkpoint(crate = \"Self::x\")] struct S { a: u8 }").to_string();
        assert_eq!(code.matches("compile_error").count(), 1, "{code}");
        assert!(code.contains(":: fabric_core :: __private1"), "{code}");
    }
}
