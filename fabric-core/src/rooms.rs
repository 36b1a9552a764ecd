//! The rooms of the house and their order: imports point downwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest room to the highest. A room imports from rooms before it.
const ORDER: [&str; 29] = [
    "io",
    "hash",
    "entry",
    "report",
    "error",
    "value",
    "migrate",
    "progress",
    "threads",
    "phases",
    "storage",
    "filter",
    "absolute",
    "device",
    "state",
    "options",
    "format",
    "source",
    "load",
    "save",
    "foreign",
    "dist",
    "optim",
    "fabric",
    "run",
    "testing",
    "rooms",
    "lib",
    "__private1",
];

/// The one table that names the formats of others and the checkpoints of ranks.
const TABLE: &str = "source/open.rs";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("the sources").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn level(room: &str) -> usize {
    let level = ORDER.iter().position(|other| *other == room);
    level.unwrap_or_else(|| panic!("the room `{room}` has no place in the order"))
}

/// The rooms that a file without its tests names by `crate::`.
fn named(text: &str) -> BTreeSet<&str> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let rooms = lines.flat_map(|line| line.split("crate::").skip(1));
    let rooms = rooms.map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default()
    });
    rooms
        .filter(|room| room.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

#[test]
fn imports_point_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let mut upward = Vec::new();
    for path in all {
        let relative = path
            .strip_prefix(&src)
            .expect("below src")
            .to_string_lossy()
            .replace('\\', "/");
        let room = relative.split(['/', '.']).next().unwrap_or_default();
        if relative.contains("tests") || relative == TABLE || room == "rooms" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        let names = named(&text);
        // `error` and `report` are one: a refused load is an error that carries the report.
        let is_up = |other: &&&str| level(other) > level(room) && !(room == "report" && **other == "error");
        upward.extend(
            names
                .iter()
                .filter(is_up)
                .map(|other| format!("{relative} imports from `{other}`")),
        );
    }
    assert!(upward.is_empty(), "{upward:#?}");
}
