//! Parts that differ as a whole: a list of another length, a field that is `None`, an enum in another variant.

use super::{LoadReport, MismatchKind};
use crate::entry::strip;

/// A part of the state that differs as a whole from that of the file, so that entries below it have no counterpart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartMismatch {
    /// The name that all entries of the part begin with.
    pub name: String,
    /// The difference.
    pub kind: PartMismatchKind,
}

/// The difference of a part between the state and the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartMismatchKind {
    /// A list has another number of items.
    Length {
        /// The number of items in the file.
        found: usize,
        /// The number of items in the state.
        expected: usize,
    },
    /// The part is `None` in the state, and the file has entries of it.
    None,
    /// The part is empty in the state, and the file has entries of it.
    Empty,
    /// The enum has another variant in the file. [`LoadReport::mismatched`] has both variants.
    Variant,
}

/// The key of the entry that holds the variant of an enum.
const VARIANT: &str = "variant";

impl PartMismatch {
    /// Returns true for an entry that has no counterpart because of this difference.
    fn explains(&self, entry: &str) -> bool {
        let Some(rest) = strip(entry, &self.name) else {
            return false;
        };
        match self.kind {
            PartMismatchKind::Length { found, expected } => {
                let index = rest.split('.').next().and_then(|index| index.parse::<usize>().ok());
                index.is_some_and(|index| index >= found.min(expected))
            }
            PartMismatchKind::None | PartMismatchKind::Empty | PartMismatchKind::Variant => true,
        }
    }
}

impl LoadReport {
    /// Adds the enums of the state whose variant the load refused. `enums` are the names of all enums of the state.
    pub(crate) fn note_variants(&mut self, enums: &[String]) {
        for name in enums {
            let is_refused = self.mismatched.iter().any(|found| {
                found.kind == MismatchKind::Type && !found.skipped && strip(&found.name, name) == Some(VARIANT)
            });
            if is_refused {
                self.parts.push(PartMismatch {
                    name: name.clone(),
                    kind: PartMismatchKind::Variant,
                });
            }
        }
    }

    /// Returns true for the variant of an enum.
    pub(super) fn is_variant(&self, entry: &str) -> bool {
        let mut enums = self.parts.iter().filter(|part| part.kind == PartMismatchKind::Variant);
        enums.any(|part| strip(entry, &part.name) == Some(VARIANT))
    }

    /// The outermost part whose difference explains that an entry has no counterpart.
    pub(super) fn part_of(&self, entry: &str) -> Option<&str> {
        let parts = self.parts.iter().filter(|part| part.explains(entry));
        parts.map(|part| part.name.as_str()).min_by_key(|name| name.len())
    }
}
