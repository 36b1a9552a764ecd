//! The documentation of `FIELDS`: one row for each handle.

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Type, Visibility};

use crate::schema::{Field, Fields, Schema};

/// The documentation of `FIELDS`.
///
/// The table of a struct with a visibility leaves out the fields without one: a reader outside of the module cannot name
/// their handles. The table of a private struct lists every field, since only readers inside of its module see it.
pub(super) fn documentation(schema: &Schema<'_>, fields: &Fields<'_>) -> String {
    let name = schema.ident.unraw();
    let is_reachable = |vis: &Visibility| !matches!(vis, Visibility::Inherited);
    let is_listed = |field: &&Field<'_>| !is_reachable(schema.vis) || is_reachable(field.vis);
    let rows: Vec<String> = fields.stored().filter(is_listed).map(row).collect();
    let table = if rows.is_empty() {
        String::new()
    } else {
        let head = "\n\n| handle | type | name in the file |\n|---|---|---|\n";
        format!("{head}{}", rows.join("\n"))
    };
    format!(
        "Typed handles to the stored fields of [`{name}`]. The handle of a field inside a field is reached with `then`, as in \
         `{name}::FIELDS.outer.then(Outer::FIELDS.inner)`.{table}"
    )
}

fn row(field: &Field<'_>) -> String {
    let name = if field.joins() {
        "its entries join this level".to_owned()
    } else {
        code(&field.key.to_string())
    };
    let handle = code(&field.name());
    format!("| {handle} | {} | {name} |", code(&written(field.ty)))
}

/// A type as a person writes it: `Option<Box<Node>>`.
fn written(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (spaced, plain) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" > ", "> "),
        (" >", ">"),
        ("> >", ">>"),
        ("> ,", ">,"),
        (" ,", ","),
        (" ;", ";"),
        ("& ", "&"),
        ("( ", "("),
        (" )", ")"),
    ] {
        text = text.replace(spaced, plain);
    }
    text.trim_end().to_owned()
}

/// Code in a cell of a table. A text with a backtick needs a longer fence, and a `|` would end the cell.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_as_a_person_writes_it() {
        for ty in [
            "u64",
            "Option<Box<Node>>",
            "Vec<(u64, [f32; 4])>",
            "&'a mut Linear",
            "HashMap<String, Vec<std::path::PathBuf>>",
            "<T as Layer>::State",
            "Box<dyn Fn(u8) -> u8>",
        ] {
            let parsed: Type = syn::parse_str(ty).unwrap();
            assert_eq!(written(&parsed).replace("Fn (", "Fn("), ty);
        }
    }

    #[test]
    fn no_name_ends_a_cell() {
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a`b"), "`` a`b ``");
    }
}
