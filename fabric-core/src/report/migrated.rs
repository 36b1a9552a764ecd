//! The entries that a recipe has made, in a report.

use std::fmt;

use super::LoadReport;
use crate::entry::shown;
use crate::hash::HashSet;

/// The number of entries that are named as the contents of one.
const NAMED: usize = 6;

/// An entry that a recipe has made of entries of the file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MigratedEntry {
    /// The name after the recipe.
    pub name: String,
    /// The names in the file; empty for a value that the recipe inserts.
    pub from: Vec<String>,
    /// The words of the recipe, in the order in which they were followed.
    pub words: Vec<String>,
}

impl MigratedEntry {
    pub(crate) fn new(name: &str, from: &[String], words: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            from: from.to_vec(),
            words: words.to_vec(),
        }
    }
}

impl fmt::Display for MigratedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.join(".");
        if self.from.is_empty() {
            return write!(f, "{}: new, by {}", shown(&self.name), shown(&words));
        }
        let named: Vec<String> = self.from.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
        let more = if self.from.len() > NAMED { ", …" } else { "" };
        let named = named.join(", ");
        write!(
            f,
            "{}: made of {}{more} by {}",
            shown(&self.name),
            shown(&named),
            shown(&words)
        )
    }
}

impl LoadReport {
    /// The findings about entries that a recipe has made, each with its origin.
    pub(super) fn of_recipes(&self) -> Vec<String> {
        let mismatched = self.mismatched.iter().map(|found| found.name.as_str());
        let unexpected = self.unexpected.iter().map(String::as_str);
        let found: HashSet<&str> = mismatched.chain(unexpected).collect();
        let made = self.migrated.iter().filter(|made| found.contains(made.name.as_str()));
        made.map(MigratedEntry::to_string).collect()
    }
}
