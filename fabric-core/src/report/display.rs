//! The report of a load as text.

use std::collections::BTreeMap;
use std::fmt;

use super::parts::Parts;
use super::{LoadReport, Mismatch, MismatchKind};
use crate::entry::{entries, shown};

/// The number of names of one kind that are printed.
const SHOWN: usize = 10;

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = shown(&self.origin);
        if self.is_acceptable() {
            write!(f, "restored {} from {origin}", entries(self.restored.len()))?;
        } else {
            write!(f, "{origin} does not match the state, which is unchanged")?;
        }
        // The cause comes before the lists.
        for sentence in &self.advice {
            write!(f, "\n  help: {}", shown(sentence))?;
        }
        if let Some(instead) = &self.wrong_file {
            write!(f, "\n  nothing in it matches: {}", shown(instead))?;
        }
        let parts = self.parts_by_name();
        let (variants, others): (Vec<_>, Vec<_>) = self
            .mismatched
            .iter()
            .partition(|found| found.kind == MismatchKind::Type && parts.is_variant(&found.name));
        section(f, "has another variant", variants.into_iter().map(Mismatch::to_string))?;
        let (causes, others): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|found| found.kind == MismatchKind::Optimizer);
        section(
            f,
            "is of another optimizer",
            causes.into_iter().map(Mismatch::to_string),
        )?;
        self.without_counterpart(f, "missing in the file", &self.missing, &parts)?;
        self.without_counterpart(f, "only in the file", &self.unexpected, &parts)?;
        section(f, "does not fit", others.into_iter().map(Mismatch::to_string))?;
        section(
            f,
            "left out by a filter when the file was saved",
            self.filtered_at_save.iter().cloned(),
        )?;
        section(f, "the optimizer's state begins anew", self.begun_anew.iter().cloned())?;
        section(
            f,
            "left as it is, because the file lacks other state of the same parameter",
            self.withheld.iter().cloned(),
        )?;
        section(f, "of another shape", self.overlapping.iter().map(Mismatch::to_string))?;
        section(f, "filled with zeros, as a recipe says", self.zeroed.iter().cloned())?;
        section(f, "stays as the state has it", self.kept.iter().cloned())?;
        section(
            f,
            "in the file without a counterpart, ignored",
            self.ignored.iter().cloned(),
        )?;
        section(f, "made by a recipe", self.of_recipes().into_iter())?;
        for sentence in &self.assumed {
            write!(f, "\n  assumed: {}", shown(sentence))?;
        }
        for sentence in self.help() {
            write!(f, "\n  help: {}", shown(&sentence))?;
        }
        Ok(())
    }
}

impl LoadReport {
    /// Entries without a counterpart. Those below a part that differs as a whole are counted, and the others are listed.
    fn without_counterpart(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        names: &[String],
        parts: &Parts<'_>,
    ) -> fmt::Result {
        if names.is_empty() {
            return Ok(());
        }
        let mut folded: BTreeMap<&str, usize> = BTreeMap::new();
        let mut listed = Vec::new();
        for name in names {
            match parts.of(name) {
                Some(part) => *folded.entry(part).or_default() += 1,
                None => listed.push(self.with_suggestion(name)),
            }
        }
        write!(f, "\n  {title}: {}", entries(names.len()))?;
        list(f, listed.into_iter())?;
        let and = if folded.values().sum::<usize>() < names.len() {
            "and "
        } else {
            ""
        };
        for (part, count) in folded.iter().take(SHOWN) {
            write!(f, "\n    {and}{} below `{}`", entries(*count), shown(part))?;
        }
        more(f, folded.len())
    }

    fn with_suggestion(&self, name: &str) -> String {
        match self.suggestions.iter().find(|(missing, _)| missing == name) {
            Some((_, near)) => format!("{name} (did you mean `{near}`, which the file has?)"),
            None => name.to_owned(),
        }
    }
}

/// One kind of finding: its count, and the first names.
fn section(f: &mut fmt::Formatter<'_>, title: &str, names: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    let count = names.len();
    if count == 0 {
        return Ok(());
    }
    write!(f, "\n  {title}: {}", entries(count))?;
    list(f, names)
}

/// The first names, one a line.
fn list(f: &mut fmt::Formatter<'_>, names: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    let count = names.len();
    for name in names.take(SHOWN) {
        write!(f, "\n    {}", shown(&name))?;
    }
    more(f, count)
}

/// The number of lines that are not printed.
fn more(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    if count > SHOWN {
        write!(f, "\n    and {} more", count - SHOWN)?;
    }
    Ok(())
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, found, expected) = (shown(&self.name), shown(&self.found), shown(&self.expected));
        match self.kind {
            MismatchKind::Shape | MismatchKind::Overlap => {
                write!(f, "{name}: shape {found} in the file, {expected} in the state")
            }
            MismatchKind::DType => write!(f, "{name}: element type {found} in the file, {expected} in the state"),
            MismatchKind::Type | MismatchKind::Optimizer => write!(f, "{name}: found {found}, expected {expected}"),
            MismatchKind::Ambiguous => write!(f, "{name}: the file has both {found}, which are one entry here"),
            MismatchKind::Tied => write!(
                f,
                "{name}: shares its memory with {expected}, but the file has other {found}"
            ),
        }?;
        if self.kind == MismatchKind::Overlap {
            f.write_str(" (common part restored)")
        } else if self.skipped {
            f.write_str(" (skipped)")
        } else {
            Ok(())
        }
    }
}
