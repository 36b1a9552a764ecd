//! The sessions in documents: each `$ ckpt ...` in a block of `console` prints the lines below it.
//!
//! `BLESS=1` writes the present output into the documents. A document begins anew with the samples, and its sessions run in turn.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{ckpt, said};

/// The documents, as paths from the root of the repository. `fabric-cli/tests/console` has those that no person reads.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sessions = fs::read_dir(root.join("fabric-cli/tests/console")).expect("the folder is there");
    let mut documents: Vec<PathBuf> = sessions.map(|file| file.expect("it is readable").path()).collect();
    documents.extend(["README.md", "book/src/command.md"].map(|name| root.join(name)));
    documents.retain(|document| document.is_file());
    documents.sort();
    documents
}

#[test]
fn every_session_in_a_document_prints_its_lines() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut sessions = 0;
    for document in documents() {
        let before = fs::read_to_string(&document).expect("the document is readable");
        let samples = tempfile::tempdir().expect("a temporary directory");
        crate::samples::write(samples.path());
        let (after, count) = replayed(&before, samples.path());
        sessions += count;
        if bless && before != after {
            fs::write(&document, &after).expect("the document is writable");
        } else {
            assert_eq!(
                before,
                after,
                "{}: BLESS=1 writes the present output",
                document.display()
            );
        }
    }
    assert!(sessions > 0, "no document has a session");
}

/// The document with the present output of its sessions, and their number.
fn replayed(document: &str, directory: &Path) -> (String, usize) {
    let (mut text, mut inside, mut count) = (String::new(), false, 0);
    for line in document.lines() {
        let ends = inside && line.trim_start().starts_with("```");
        let begins = !inside && line == "```console";
        if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            count += 1;
            writeln!(text, "{line}").expect("a text takes all");
            text.push_str(&output(command, directory));
        } else if !inside || ends {
            writeln!(text, "{line}").expect("a text takes all");
        }
        inside = begins || inside && !ends;
    }
    (text, count)
}

/// The lines that a command prints, and its exit status if it is not 0.
fn output(command: &str, directory: &Path) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut process = match words.split_first() {
        Some((&"ckpt", rest)) => {
            let mut process = ckpt(directory);
            process.args(rest.iter().map(|word| word.trim_matches('\'')));
            process
        }
        _ => {
            let mut process = Command::new("sh");
            process.current_dir(directory).args(["-c", command]);
            process
        }
    };
    let said = said(process.output().expect("the command starts"));
    let mut lines = with_one_time(&format!("{}{}", said.out, said.error));
    if said.status != 0 {
        writeln!(lines, "[exit status {}]", said.status).expect("a text takes all");
    }
    lines
}

/// The text with one time in the place of every time.
fn with_one_time(text: &str) -> String {
    const TIME: &str = "2026-11-30T20:15:00Z";
    let is_time = |text: &str| {
        text.len() == TIME.len()
            && text.bytes().zip(TIME.bytes()).all(|(found, like)| {
                if like.is_ascii_digit() {
                    found.is_ascii_digit()
                } else {
                    found == like
                }
            })
    };
    let (mut replaced, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let (time, after) = match rest.split_at_checked(TIME.len()) {
            Some((time, after)) if is_time(time) => (TIME, after),
            _ => rest.split_at(first.len_utf8()),
        };
        replaced.push_str(time);
        rest = after;
    }
    replaced
}
