//! What a load found: every entry of the state and of the file, and how they came together.

use std::fmt;

use crate::error::entries;

/// At most this many names of one kind are printed.
const SHOWN: usize = 10;

/// The findings of a load: all of them at once, each list sorted by name.
///
/// A load that succeeds returns one; a load that is refused carries one in [`Error::Mismatch`](crate::Error::Mismatch),
/// whose `Display` prints what stood in the way and the call that would accept it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LoadReport {
    /// The checkpoint's path.
    pub origin: String,
    /// Entries whose contents came from the file (or would have, if the load was refused).
    pub restored: Vec<String>,
    /// Entries of the state that the file does not have.
    pub missing: Vec<String>,
    /// Entries of the file, below a component that was asked for, that the state does not have.
    pub unexpected: Vec<String>,
    /// Entries that both have, and that do not fit.
    pub mismatched: Vec<Mismatch>,
    /// Entries left out by a filter: of the schema now, or of the save that wrote the file.
    pub filtered: Vec<String>,
    /// Missing entries that were filtered out when the file was saved.
    pub(crate) filtered_at_save: Vec<String>,
    /// Names that come near a missing one: (missing, in the file).
    pub(crate) suggestions: Vec<(String, String)>,
    /// A further sentence that helps.
    pub(crate) hint: Option<String>,
    pub(crate) strict: bool,
}

/// An entry that state and file both have, and that does not fit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The entry.
    pub name: String,
    /// In which way it does not fit.
    pub kind: MismatchKind,
    /// What the file has.
    pub found: String,
    /// What the state has.
    pub expected: String,
    /// The load went on without it, because [`OnMismatch::Skip`](crate::OnMismatch::Skip) allowed that.
    pub skipped: bool,
}

/// In which way an entry does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MismatchKind {
    /// Another shape.
    Shape,
    /// Another element type.
    DType,
    /// A value of another type, or a value where a tensor was expected.
    Type,
    /// State of an optimizer of another kind, or hyper-parameters that do not fit.
    Optimizer,
    /// The file has the entry under two names that both belong to it.
    Ambiguous,
    /// Two names of one tensor have different contents in the file.
    Tied,
}

impl LoadReport {
    /// Whether a load with these findings went through, or would have.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        let fits = self.mismatched.iter().all(|mismatch| mismatch.skipped);
        let complete = self.missing.is_empty() && self.unexpected.is_empty() && self.filtered_at_save.is_empty();
        fits && (complete || !self.strict) && (self.hint.is_none() || !self.restored.is_empty())
    }

    /// Whether every entry of the state was restored and every entry of the asked-for components was used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.mismatched.is_empty()
            && self.filtered_at_save.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)
    }
}

#[allow(dead_code)]
fn placeholder() -> (usize, String) {
    (SHOWN, entries(1))
}
