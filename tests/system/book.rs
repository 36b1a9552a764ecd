//! The documents hang together: no chapter is lost, no snippet goes uncompiled, no link leads nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown files in a folder of the repository, as paths from its root.
fn markdown(folder: &str) -> BTreeSet<String> {
    let files = fs::read_dir(root().join(folder)).expect("the folder is there");
    let names = files.map(|file| file.expect("it is readable").file_name().to_string_lossy().into_owned());
    let markdown = names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
    markdown
        .map(|name| format!("{folder}/{name}").replace("./", ""))
        .collect()
}

fn documents() -> BTreeSet<String> {
    let folders = [
        ".",
        "docs",
        "book/src",
        "fabric-cli",
        "fabric-core",
        "fabric-derive",
        "fabric-derive/src",
    ];
    let documents: BTreeSet<String> = folders.into_iter().flat_map(markdown).collect();
    assert!(documents.len() > 15, "documents are missing: {documents:?}");
    documents
}

/// The lines outside of code blocks, and the info strings of the blocks.
fn prose_and_fences(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut prose, mut fences, mut inside) = (Vec::new(), Vec::new(), false);
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(info) if !inside => {
                fences.push(info);
                inside = true;
            }
            Some(_) => inside = false,
            None if !inside => prose.push(line),
            None => {}
        }
    }
    (prose, fences)
}

/// The targets of `[text](target)` in a text, without those on other sites; targets inside of code spans are no links.
fn links(text: &str) -> Vec<String> {
    let paragraphs = prose_and_fences(text).0.join("\n");
    let without_code: String = paragraphs.split('`').step_by(2).collect();
    let targets = without_code.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    relative
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_summary_lists_every_chapter_and_no_other() {
    let listed = links(&text(&root().join("book/src/SUMMARY.md")));
    let listed: BTreeSet<String> = listed
        .into_iter()
        .map(|chapter| format!("book/src/{chapter}"))
        .collect();
    let mut chapters = markdown("book/src");
    chapters.remove("book/src/SUMMARY.md");
    assert_eq!(listed, chapters);
}

#[test]
fn every_snippet_is_compiled() {
    let included = text(&root().join("tests/lib.rs"));
    for document in documents() {
        let text = text(&root().join(&document));
        let (_, fences) = prose_and_fences(&text);
        for info in &fences {
            assert!(
                !info.contains("ignore"),
                "{document} has a snippet that is not compiled: ```{info}"
            );
            // What has no word is Rust for rustdoc.
            assert!(!info.is_empty(), "{document} has a block that does not say what it is");
        }
        let has_rust = fences.iter().any(|info| info.starts_with("rust"));
        let is_included = included.contains(&format!("\"../{document}\""));
        assert!(is_included || !has_rust, "tests/lib.rs does not include {document}");
    }
}

#[test]
fn every_relative_link_leads_to_something() {
    let mut seen = 0;
    for document in documents() {
        let path = root().join(&document);
        let folder = path.parent().expect("it is a file in a folder");
        for link in links(&text(&path)) {
            seen += 1;
            assert!(
                folder.join(&link).exists(),
                "{document} links to {link}, which is not there"
            );
        }
    }
    assert!(seen > 20, "only {seen} links were found");
}

#[test]
fn links_are_found_where_they_are_links() {
    let text = "see [a](a.md#part), `[b](b.md)` and [c\nd](https://example.org)\n```text\n[e](e.md)\n```\n[f](../f.md)";
    assert_eq!(links(text), ["a.md", "../f.md"]);
}
