//! A load that would restore nothing was given the wrong file, however lenient it is.

use super::Matching;

impl Matching<'_, '_> {
    /// Names the kind of file if no entry of it belongs to the state. Entries that the call leaves out count as belonging.
    pub(crate) fn wrong_file(&self) -> Option<String> {
        let report = &self.plan.report;
        let is_refused = report.mismatched.iter().any(|found| !found.skipped);
        let belongs = !self.plan.consumed.is_empty() || self.has_unasked || !report.filtered_at_save.is_empty();
        // A state whose values are all `None` leaves an empty file, which restores it.
        let nothing_to_do = self.index.len() == 0 && report.missing.is_empty();
        if is_refused || belongs || nothing_to_do {
            return None;
        }
        Some(if self.entries.is_empty() {
            format!(
                "the state has no entries, and the file {}; a VarMap has its variables once the model is built from it, \
                 and a list or an `Option` must be filled before the load",
                self.index.holds()
            )
        } else if self.entries.iter().all(|entry| self.is_bare_value(entry)) {
            "the state has no tensors, and `load_raw` restores tensors only; `load` restores values".to_owned()
        } else if report.mismatched.is_empty() {
            self.index.summary()
        } else {
            "every entry that it shares with the state has another shape, and would be skipped".to_owned()
        })
    }
}
