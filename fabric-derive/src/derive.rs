//! The steps of the macro: parse the attributes, build the schema, check the rules, generate the code.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::check::check;
use crate::errors::Errors;
use crate::expand::expand;
use crate::fallback::fallback;
use crate::schema::Schema;

/// The implementation for a struct; or all its errors, with a fallback implementation.
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
        derive(&syn::parse_str(source).expect("the test is a struct"))
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
        for handle in ["pub a :", "pub b :", "pub c :"] {
            assert!(code.contains(handle), "{code}");
        }
    }

    #[test]
    fn a_mistaken_crate_path_does_not_spoil_the_stand_in() {
        let code = expansion("#[checkpoint(crate = \"Self::x\")] struct S { a: u8 }").to_string();
        assert_eq!(code.matches("compile_error").count(), 1, "{code}");
        assert!(code.contains(":: fabric_core :: __private1"), "{code}");
    }
}
