//! Parts that differ as a whole: a list of another length, a field that is `None`, an enum in another variant.

use super::{LoadReport, Mismatch, MismatchKind};
use crate::entry::{VARIANT, join, strip};
use crate::hash::{HashMap, HashSet};

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
        let is_refused = |found: &&Mismatch| found.kind == MismatchKind::Type && !found.skipped;
        let refused = self.mismatched.iter().filter(is_refused);
        let refused: HashSet<&str> = refused.map(|found| found.name.as_str()).collect();
        let refused = enums
            .iter()
            .filter(|name| refused.contains(join(name, VARIANT).as_str()));
        let parts = refused.map(|name| PartMismatch {
            name: name.clone(),
            kind: PartMismatchKind::Variant,
        });
        let parts: Vec<PartMismatch> = parts.collect();
        self.parts.extend(parts);
    }

    /// The parts by their names.
    pub(super) fn parts_by_name(&self) -> Parts<'_> {
        let mut parts: HashMap<&str, Vec<&PartMismatch>> = HashMap::default();
        for part in &self.parts {
            parts.entry(&part.name).or_default().push(part);
        }
        Parts(parts)
    }
}

/// The parts of a report by their names: an entry is looked up by each level of its name.
pub(super) struct Parts<'r>(HashMap<&'r str, Vec<&'r PartMismatch>>);

impl<'r> Parts<'r> {
    /// Returns true for the variant of an enum.
    pub(super) fn is_variant(&self, entry: &str) -> bool {
        let level = if entry == VARIANT {
            Some("")
        } else {
            entry.strip_suffix(VARIANT)
        };
        let level = level.map(|level| level.strip_suffix('.').unwrap_or(level));
        let mut parts = level.and_then(|level| self.0.get(level)).into_iter().flatten();
        parts.any(|part| part.kind == PartMismatchKind::Variant)
    }

    /// The name of the outermost part whose difference explains that an entry has no counterpart.
    pub(super) fn of(&self, entry: &str) -> Option<&'r str> {
        let levels = entry.match_indices('.').map(|(dot, _)| &entry[..dot]);
        let mut levels = std::iter::once("").chain(levels).chain([entry]);
        levels.find_map(|level| {
            let (name, parts) = self.0.get_key_value(level)?;
            parts.iter().any(|part| part.explains(entry)).then_some(*name)
        })
    }
}
