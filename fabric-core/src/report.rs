//! The report of a load: every entry of the state and of the file, and how they match. And that of a verification.

mod display;
mod migrated;
mod parts;
mod verify;

pub use self::migrated::MigratedEntry;
pub use self::parts::{PartMismatch, PartMismatchKind};
pub use self::verify::{Damage, VerifyReport};
use crate::entry::{entries, strip};

/// The number of names that are printed in a sentence.
const NAMED: usize = 4;

/// The findings of a load: all of them at once, each list sorted by name.
///
/// A load that succeeds returns a report; a load that is refused has one in
/// [`Error::Mismatch`](crate::Error::Mismatch), whose `Display` prints the obstacles and the calls that accept them.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LoadReport {
    /// The checkpoint's path.
    pub origin: String,
    /// Entries that were restored from the file, or would have been if the load was not refused.
    pub restored: Vec<String>,
    /// Entries of the state that the file does not have.
    pub missing: Vec<String>,
    /// Entries of the file, below a component that was asked for, that the state does not have.
    pub unexpected: Vec<String>,
    /// Entries that are in both, and do not match.
    pub mismatched: Vec<Mismatch>,
    /// Parts that differ as a whole: lists of another length, fields that are `None`, enums in another variant. `Display` counts the
    /// entries below them and does not list them.
    pub parts: Vec<PartMismatch>,
    /// Entries that a filter excluded: one of the schema, or one of the save that wrote the file.
    pub filtered: Vec<String>,
    /// Filtered entries that the state expects: a filter excluded them when the file was saved.
    pub filtered_at_save: Vec<String>,
    /// Entries of the file that have no counterpart in the state and need none: `num_batches_tracked` of PyTorch's
    /// `BatchNorm`, and the state of another optimizer that [`change_optimizer`](crate::LoadOptions::change_optimizer) accepts.
    pub ignored: Vec<String>,
    /// State of an optimizer that begins at zero: a part of the state of the same parameter was skipped, a recipe says so, or the
    /// file has that of another optimizer, which the call accepts.
    pub begun_anew: Vec<String>,
    /// Tensors that grew or shrank, of which the common indices were restored, because of
    /// [`OnMismatch::Overlap`](crate::OnMismatch::Overlap).
    pub overlapping: Vec<Mismatch>,
    /// Entries that older files lack, and that a recipe fills with zeros.
    pub zeroed: Vec<String>,
    /// Entries that stay as they are: a recipe says that older files lack them, or the call keeps the hyper-parameters.
    pub kept: Vec<String>,
    /// The entries that a recipe has made or moved, by their names after it.
    pub migrated: Vec<MigratedEntry>,
    /// State of an optimizer that the file has, and that stays as it is, because the file lacks other state of the same
    /// parameter.
    pub withheld: Vec<String>,
    /// The assumptions of the load about things that the file does not say, as sentences: for example which parameter a
    /// number of PyTorch's means.
    pub assumed: Vec<String>,
    /// Names in the file that come near a missing one: (missing, in the file).
    pub suggestions: Vec<(String, String)>,
    /// A sentence about the file, if no entry in it matches.
    pub(crate) wrong_file: Option<String>,
    /// The causes of the findings, each with the call that repairs it, as sentences.
    pub advice: Vec<String>,
    /// True if the advice names every missing entry.
    pub(crate) is_explained: bool,
    /// The fields that the advice leaves out.
    pub(crate) left_out: Vec<String>,
    /// True if a tensor of another element type can be converted.
    pub(crate) is_castable: bool,
    pub(crate) strict: bool,
}

/// An entry that is in the state and in the file, and does not match.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The entry.
    pub name: String,
    /// The kind of the mismatch.
    pub kind: MismatchKind,
    /// The shape, type or value in the file.
    pub found: String,
    /// The shape, type or value in the state, or the reason why the file's does not fit.
    pub expected: String,
    /// True if the load went on without it, because of [`OnMismatch::Skip`](crate::OnMismatch::Skip).
    pub skipped: bool,
}

/// The kind of a mismatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MismatchKind {
    /// The shapes differ.
    Shape,
    /// The shapes differ, and the indices that both have were restored.
    Overlap,
    /// The element types differ.
    DType,
    /// A value of another type, or a value where a tensor was expected.
    Type,
    /// State of an optimizer of another kind, or hyper-parameters that do not fit.
    Optimizer,
    /// The file has two entries for one entry of the state.
    Ambiguous,
    /// Two names of one tensor have different contents in the file.
    Tied,
}

impl LoadReport {
    /// Returns true if a load with these findings succeeds.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        let fits = self.mismatched.iter().all(|mismatch| mismatch.skipped);
        let complete = self.missing.is_empty() && self.unexpected.is_empty() && self.filtered_at_save.is_empty();
        fits && (complete || !self.strict) && self.wrong_file.is_none()
    }

    /// Returns true if the file and the requested components of the state have the same entries, in the same shapes and types. Entries
    /// that a recipe keeps or fills, and those that [`OnMismatch::Overlap`](crate::OnMismatch::Overlap) restores in part, count as
    /// present.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.mismatched.is_empty()
            && self.filtered_at_save.is_empty()
    }

    pub(crate) fn sort(&mut self) {
        for names in [
            &mut self.restored,
            &mut self.missing,
            &mut self.unexpected,
            &mut self.filtered,
            &mut self.filtered_at_save,
            &mut self.ignored,
            &mut self.begun_anew,
            &mut self.withheld,
            &mut self.zeroed,
            &mut self.kept,
        ] {
            names.sort();
            names.dedup();
        }
        self.mismatched
            .sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
        self.overlapping.sort_by(|a, b| a.name.cmp(&b.name));
        self.parts.sort_by(|a, b| a.name.cmp(&b.name));
        self.suggestions.sort();
    }

    /// The calls that accept the findings which the advice does not explain.
    fn help(&self) -> Vec<String> {
        let refused = |kind| self.mismatched.iter().any(|found| found.kind == kind && !found.skipped);
        let mut help = Vec::new();
        if refused(MismatchKind::Shape) {
            help.push(
                "LoadOptions::new().on_mismatch(OnMismatch::Skip) leaves tensors of another shape as they are; an \
                 optimizer's state of them begins anew"
                    .to_owned(),
            );
            if self.has_resized() {
                help.push(
                    "LoadOptions::new().on_mismatch(OnMismatch::Overlap) restores the rows and columns that both have, as for a \
                     vocabulary that grew"
                        .to_owned(),
                );
            }
        }
        if refused(MismatchKind::DType) && self.is_castable {
            help.push("LoadOptions::new().cast(true) converts tensors to the state's element type".to_owned());
        }
        let optimizers = self.refused_optimizers();
        let is_generic = |optimizer: &&str| !optimizer.is_empty() && !self.is_left_out(optimizer);
        if !optimizers.is_empty() && optimizers.iter().all(is_generic) {
            help.push(
                "LoadOptions::new().exclude(...) with the optimizer's field restores everything else and leaves the \
                 optimizer as it is"
                    .to_owned(),
            );
        }
        help.extend(self.last_resort());
        help
    }

    /// Returns true if a tensor has another shape of as many dimensions.
    fn has_resized(&self) -> bool {
        let rank = |shape: &str| shape.matches(',').count();
        let shapes = self.mismatched.iter().filter(|found| found.kind == MismatchKind::Shape);
        shapes.clone().next().is_some()
            && shapes.clone().all(|found| {
                rank(&found.found) == rank(&found.expected) && found.found != "[]" && found.expected != "[]"
            })
    }

    /// The optimizers whose state is refused as a whole, in a strict load and in others.
    fn refused_optimizers(&self) -> Vec<&str> {
        let refused = self
            .mismatched
            .iter()
            .filter(|found| found.kind == MismatchKind::Optimizer && !found.skipped);
        let names = refused.map(|found| found.name.as_str());
        let optimizer = |name: &'_ str| {
            let state = name.find(".state.");
            state.or_else(|| name.rfind('.')).unwrap_or(0)
        };
        names.map(|name| &name[..optimizer(name)]).collect()
    }

    fn is_left_out(&self, name: &str) -> bool {
        self.left_out.iter().any(|field| strip(name, field).is_some())
    }

    /// The effect of a load that is not strict, if no other call helps.
    fn last_resort(&self) -> Option<String> {
        let is_needed = self.strict && !self.is_explained && self.wrong_file.is_none();
        let optimizers = self.refused_optimizers();
        let is_of_one = |name: &str| optimizers.iter().any(|optimizer| strip(name, optimizer).is_some());
        let filtered = self.filtered_at_save.iter().filter(|name| !self.is_left_out(name));
        let left = self.missing.iter().chain(filtered).map(String::as_str);
        let left: Vec<&str> = left.filter(|name| !is_of_one(name)).collect();
        let has_unexpected = self.unexpected.iter().any(|name| !is_of_one(name));
        if !is_needed || (left.is_empty() && !has_unexpected) {
            return None;
        }
        let untouched = match left.len() {
            0 => "; all entries of the state are restored, and those that only the file has are in the remainder"
                .to_owned(),
            count => {
                let more = if count > NAMED { ", …" } else { "" };
                let names: Vec<String> = left.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
                format!(
                    " and leaves {} of the state as they are: {}{more}",
                    entries(count),
                    names.join(", ")
                )
            }
        };
        Some(format!(
            "as a last resort, LoadOptions::new().strict(false) restores what matches{untouched}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_prints_every_kind_of_finding_and_the_calls_that_help() {
        let report = LoadReport {
            origin: "run/last.ckpt".into(),
            missing: (0..12).map(|n| format!("model.{n:02}.weight")).collect(),
            unexpected: vec!["model.extra".into()],
            mismatched: vec![Mismatch {
                name: "model.head".into(),
                kind: MismatchKind::Shape,
                found: "[2]".into(),
                expected: "[3]".into(),
                skipped: false,
            }],
            suggestions: vec![("model.03.weight".into(), "model.3.weight".into())],
            strict: true,
            ..LoadReport::default()
        };
        let text = report.to_string();
        for part in [
            "run/last.ckpt does not match the state, which is unchanged",
            "missing in the file: 12 entries",
            "model.03.weight (did you mean `model.3.weight`, which the file has?)",
            "and 2 more",
            "only in the file: 1 entry",
            "model.head: shape [2] in the file, [3] in the state",
            "strict(false)",
            "on_mismatch(OnMismatch::Skip)",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert!(!text.contains("model.11.weight"));
    }
    #[test]
    fn a_line_break_in_a_name_breaks_no_report() {
        let name = || "a\nb\u{1b}[31m".to_owned();
        let mismatch = Mismatch {
            name: name(),
            kind: MismatchKind::Type,
            found: name(),
            expected: name(),
            skipped: false,
        };
        assert!(!mismatch.to_string().contains(['\n', '\u{1b}']), "{mismatch}");
        let report = LoadReport {
            origin: name(),
            missing: vec![name()],
            unexpected: vec![name()],
            mismatched: vec![mismatch],
            filtered_at_save: vec![name()],
            begun_anew: vec![name()],
            withheld: vec![name()],
            ignored: vec![name()],
            assumed: vec![name()],
            suggestions: vec![(name(), name())],
            wrong_file: Some(name()),
            advice: vec![name()],
            strict: true,
            ..LoadReport::default()
        };
        let text = report.to_string();
        assert!(!text.contains('\u{1b}') && !text.contains("a\nb"), "{text}");
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_refused_variant_is_printed_before_the_entries_of_its_enum_which_are_counted() {
        let mut report = LoadReport {
            origin: "last.ckpt".into(),
            missing: named(&["optimizer.step", "optimizer.moment", "model.bias"]),
            unexpected: named(&["optimizer.velocity"]),
            mismatched: vec![Mismatch {
                name: "optimizer.variant".into(),
                kind: MismatchKind::Type,
                found: "the variant `Sgd`".into(),
                expected: "`AdamW`".into(),
                skipped: false,
            }],
            strict: true,
            ..LoadReport::default()
        };
        report.note_variants(&named(&["model", "optimizer"]));
        let text = report.to_string();
        let expected = "last.ckpt does not match the state, which is unchanged\n  \
             has another variant: 1 entry\n    \
             optimizer.variant: found the variant `Sgd`, expected `AdamW`\n  \
             missing in the file: 3 entries\n    \
             model.bias\n    \
             and 2 entries below `optimizer`\n  \
             only in the file: 1 entry\n    \
             1 entry below `optimizer`\n  help: ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn entries_of_items_that_both_lists_have_are_listed() {
        let report = LoadReport {
            unexpected: named(&["blocks.0.bias", "blocks.2.bias", "blocks.2.weight"]),
            parts: vec![PartMismatch {
                name: "blocks".into(),
                kind: PartMismatchKind::Length { found: 3, expected: 2 },
            }],
            strict: true,
            ..LoadReport::default()
        };
        let expected = "only in the file: 3 entries\n    blocks.0.bias\n    and 2 entries below `blocks`";
        assert!(report.to_string().contains(expected), "{report}");
    }
}
