//! Compares the expansions of the schemas in `tests/expand/input` with files in the repository, which are compiled as
//! well. The files show the generated code, and a review shows each change of it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, File, Item};

use crate::derive::derive;

const BLESS: &str = "BLESS=1 cargo test --workspace --lib snapshots";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expand")
}

fn cases() -> Vec<String> {
    let mut names = rust_files(&folder().join("input"));
    names.sort();
    assert!(names.len() >= 10, "the inputs are missing");
    names
}

fn rust_files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("the folder of snapshots is readable");
    let paths = files.map(|file| file.expect("the folder of snapshots is readable").path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources
        .map(|path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_canonical_schema_expands_as_its_snapshot_says() {
    let mut differences = String::new();
    for name in cases() {
        let source = fs::read_to_string(folder().join("input").join(format!("{name}.rs"))).expect("an input");
        let expansion = expanded(&name, &source);
        let snapshot = folder().join(format!("{name}.rs"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&snapshot, expansion).expect("a snapshot can be written");
            continue;
        }
        let before = fs::read_to_string(&snapshot).unwrap_or_default();
        if before != expansion {
            let _ = writeln!(differences, "{name}.rs:\n{}", difference(&before, &expansion));
        }
    }
    assert!(
        differences.is_empty(),
        "expansions differ from tests/expand:\n{differences}\nto accept: {BLESS}"
    );
}

#[test]
fn every_snapshot_has_its_input() {
    let mut snapshots = rust_files(&folder());
    snapshots.sort();
    assert_eq!(
        snapshots,
        cases(),
        "to write missing snapshots: {BLESS}; remove those without an input"
    );
}

/// The source, with every derive replaced by its expansion.
fn expanded(name: &str, source: &str) -> String {
    let file = syn::parse_file(source).expect("an input is valid Rust");
    let mut items = Vec::new();
    for item in file.items {
        let derived = match &item {
            Item::Struct(item) => Some(item.to_token_stream()),
            Item::Enum(item) => Some(item.to_token_stream()),
            _ => None,
        };
        items.push(without_attributes(item));
        if let Some(input) = derived {
            let code: File = syn::parse2(derive(input)).expect("an expansion is valid Rust");
            items.extend(code.items);
        }
    }
    let code = prettyplease::unparse(&File {
        shebang: None,
        frontmatter: None,
        attrs: Vec::new(),
        items,
    });
    format!("// What #[derive(Checkpoint)] makes of input/{name}.rs. To accept changes: {BLESS}\n\n{code}")
}

fn without_attributes(mut item: Item) -> Item {
    let foreign = |attr: &Attribute| !(attr.path().is_ident("derive") || attr.path().is_ident("checkpoint"));
    match &mut item {
        Item::Struct(item) => {
            item.attrs.retain(foreign);
            item.fields.iter_mut().for_each(|field| field.attrs.retain(foreign));
        }
        Item::Enum(item) => {
            item.attrs.retain(foreign);
            for variant in &mut item.variants {
                variant.attrs.retain(foreign);
                variant.fields.iter_mut().for_each(|field| field.attrs.retain(foreign));
            }
        }
        _ => {}
    }
    item
}

/// The lines from the first difference to the last.
fn difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let (before, after) = (&before[same..], &after[same..]);
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let mut shown = format!("  from line {}\n", same + 1);
    for (sign, lines) in [('-', before), ('+', after)] {
        for line in &lines[..lines.len() - tail] {
            let _ = writeln!(shown, "{sign} {line}");
        }
    }
    shown
}
