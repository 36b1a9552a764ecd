//! The texts of errors: complete by themselves, and each thing once in a chain.
#![expect(
    clippy::items_after_statements,
    reason = "a test declares its schema where it is used"
)]

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fabric_core::group::GroupError;
use fabric_core::{Checkpoint, Error, Fabric, StateError};

use crate::states::{CPU, fabric, tensor};

/// What a program prints that prints an error and everything below it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(below) = next {
        text = format!("{text}: {below}");
        next = below.source();
    }
    text
}

fn io_error() -> Error {
    Error::Io {
        operation: "write",
        path: PathBuf::from("run/last.ckpt"),
        source: io::Error::other("no space left"),
    }
}

#[test]
fn the_text_below_an_error_is_there_once_alone_and_in_a_chain() {
    let candle = candle_core::Error::Msg("no such device".into());
    let errors: [(Error, &str); 7] = [
        (io_error(), "no space left"),
        (
            Error::Memory {
                purpose: "copy tensors".into(),
                source: io::Error::other("out of memory"),
            },
            "out of memory",
        ),
        (
            Error::Interrupted {
                written: vec!["model.weight".into()],
                source: Box::new(io_error()),
            },
            "no space left",
        ),
        (
            Error::Background {
                path: PathBuf::from("run/last.ckpt"),
                source: Arc::new(io_error()),
            },
            "no space left",
        ),
        (
            Error::Candle {
                name: "model.weight".into(),
                source: candle,
            },
            "no such device",
        ),
        (StateError::Duplicate("model.weight".into()).into(), "model.weight"),
        (
            GroupError::Left {
                step: "save: commit".into(),
                left: vec![3],
            }
            .into(),
            "save: commit",
        ),
    ];
    for (error, below) in errors {
        for text in [error.to_string(), chain(&error)] {
            assert_eq!(text.matches(below).count(), 1, "{text}");
        }
    }
}

#[test]
fn a_refusal_of_the_system_is_told_once_and_can_be_matched() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, "no directory").unwrap();
    #[derive(Checkpoint)]
    struct One {
        weight: candle_core::Tensor,
    }
    let state = One { weight: tensor(1, 2) };
    let error = Fabric::new().save(blocked.join("last.ckpt"), &state).unwrap_err();
    let text = chain(&error);
    assert_eq!(error.to_string(), text, "the error alone is complete");
    assert!(error.source().is_none(), "{text}");
}

/// One error of each kind, with every part filled.
fn one_of_each() -> Vec<Error> {
    let path = || PathBuf::from("run/last.ckpt");
    let text = String::from;
    vec![
        Error::NotFound {
            path: path(),
            hint: text("the directory is empty"),
        },
        io_error(),
        Error::Corrupt {
            path: path(),
            what: text("it ends early"),
        },
        Error::Checksum {
            path: path(),
            entry: text("model.weight"),
            block: 0,
            start: 0,
            end: 8,
        },
        Error::Interrupted {
            written: vec![text("model.weight")],
            source: Box::new(io_error()),
        },
        Error::NewerFormat {
            path: path(),
            found: 9,
            supported: 1,
        },
        Error::UnknownFormat {
            path: path(),
            what: text("it is a text"),
        },
        Error::NoSuchEntry {
            name: text("a\nb"),
            origin: text("run/last.ckpt"),
            suggestion: String::new(),
        },
        Error::WrongType {
            name: text("model.weight"),
            what: text("is a tensor"),
        },
        Error::Destination {
            path: path(),
            what: text("it is a directory"),
        },
        Error::Strategy(text("the mesh has no axis `tp`")),
        Error::Protocol(text("5 bytes are left")),
        Error::Limit {
            path: path(),
            what: text("2 GiB"),
        },
        Error::Callback(text("oh")),
        Error::AlreadyReturned { path: path() },
        Error::Internal(text("no block")),
        Error::Disagreement {
            rank: 1,
            what: text("it has `x`, which rank 0 does not have"),
        },
        Error::Background {
            path: path(),
            source: Arc::new(io_error()),
        },
        Error::Busy { path: path() },
        Error::Panicked { what: text("oh") },
        Error::Rank {
            rank: 1,
            step: text("save: write"),
            message: text("no space left"),
        },
        StateError::Name {
            name: text("a\u{1b}[31m"),
            what: "contains a control character",
        }
        .into(),
        GroupError::Timeout {
            step: text("save: commit"),
            missing: vec![1],
            after: Duration::from_secs(3),
        }
        .into(),
    ]
}

#[test]
fn every_text_begins_in_lower_case_ends_without_a_stop_and_is_one_line() {
    for error in one_of_each() {
        let text = error.to_string();
        assert!(!text.starts_with(char::is_uppercase), "{text}");
        assert!(!text.ends_with('.'), "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

#[test]
fn a_line_break_in_a_name_breaks_no_message() {
    use std::collections::BTreeMap;
    let state = BTreeMap::from([("first\nsecond".to_owned(), tensor(1, 2))]);
    let fabric = fabric();
    let error = fabric.save("last.ckpt", &state).unwrap_err().to_string();
    assert!(error.contains(r"`first\nsecond`"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");

    fabric
        .save("last.ckpt", &BTreeMap::from([("first".to_owned(), tensor(1, 2))]))
        .unwrap();
    let raw = fabric.open("last.ckpt").unwrap();
    let error = raw.tensor("fir\tst", &CPU).unwrap_err().to_string();
    assert!(error.contains(r"`fir\tst`"), "{error}");

    let error = fabric.open(Path::new("no\nsuch")).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
}
