//! Writes the advice of a refused load about the caller's own code: options without effect, and fields that the load
//! can skip.

use std::collections::BTreeSet;

use super::matching::Policy;
use crate::entry::strip;
use crate::report::{LoadReport, MismatchKind};
use crate::state::Fields;

/// The largest number of fields that the advice names.
const MOST: usize = 4;

/// Adds advice to the report of a refused load: the options without effect, and the options that skip a field which
/// does not match.
pub(super) fn advise(known: &Fields, policy: &Policy, report: &mut LoadReport) {
    let idle = policy.idle_prefixes.iter();
    report.advice.extend(idle.map(|prefix| {
        format!("LoadOptions::strip_prefix({prefix:?}) removed nothing: no name in the file begins with it")
    }));
    let mut sentences = ties(known, report);
    sentences.extend(fields(known, report));
    report.advice.extend(sentences);
}

/// The fields that the load can only skip, each with the option that does so.
fn fields(known: &Fields, report: &mut LoadReport) -> Vec<String> {
    let unfit = report.mismatched.iter().filter(|found| !found.skipped);
    let unfit = unfit.filter(|found| matches!(found.kind, MismatchKind::Type | MismatchKind::Optimizer));
    let unfit: BTreeSet<_> = unfit.filter_map(|found| known.handle_of(&found.name)).collect();
    let filtered = report.filtered_at_save.iter();
    let filtered: BTreeSet<_> = filtered.filter_map(|name| known.handle_of(name)).collect();
    // If a filter removed only a part of a field, the rest of the field can be loaded.
    let holds_more = |field: &str| report.restored.iter().any(|entry| strip(entry, field).is_some());
    let filtered = filtered.into_iter().filter(|(field, _)| !holds_more(field));
    // If no other field is restored, a load without this one would restore nothing.
    let leaves_something = |field: &str| report.restored.iter().any(|entry| strip(entry, field).is_none());
    let fields: BTreeSet<_> = unfit.into_iter().chain(filtered).collect();
    let fields = fields.into_iter().filter(|(field, _)| leaves_something(field));
    let fields: Vec<_> = fields.take(MOST).collect();
    report.left_out = fields.iter().map(|(field, _)| (*field).to_owned()).collect();
    let sentence = |(name, handle): &(&str, &str)| {
        format!("LoadOptions::new().exclude({handle}) leaves `{name}` as it is and restores everything else")
    };
    fields.iter().map(sentence).collect()
}

/// The second field of each tie that the file contradicts, with the option that skips it.
fn ties(known: &Fields, report: &LoadReport) -> Vec<String> {
    let tied = report.mismatched.iter();
    let tied = tied.filter(|found| found.kind == MismatchKind::Tied && !found.skipped);
    let sentences = tied.filter_map(|found| {
        let (field, handle) = known.handle_of(&found.name)?;
        let is_all_of_it = !report.restored.iter().any(|entry| strip(entry, field).is_some());
        is_all_of_it.then(|| {
            format!(
                "LoadOptions::new().exclude({handle}) keeps the file's {} for both; without it, the state must not share the \
                 tensor",
                found.expected
            )
        })
    });
    let sentences: BTreeSet<String> = sentences.collect();
    sentences.into_iter().take(MOST).collect()
}
