//! Names of the file that come near a missing one.

use super::super::Matching;

impl Matching<'_, '_> {
    /// For each missing entry the nearest unused name of the source, if one is near.
    pub(crate) fn suggestions(&self) -> Vec<(String, String)> {
        const NEAR: f64 = 0.8;
        if self.plan.report.missing.is_empty() {
            return Vec::new();
        }
        let unused: Vec<&str> = self.index.names().filter(|name| !self.known.contains(*name)).collect();
        let missing = &self.plan.report.missing;
        if unused.len().saturating_mul(missing.len()) > super::MOST {
            return Vec::new();
        }
        let nearest = |name: &String| {
            let scored = unused
                .iter()
                .map(|other| (strsim::normalized_damerau_levenshtein(name, other), *other));
            let (score, other) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
            (score >= NEAR).then(|| (name.clone(), other.to_owned()))
        };
        missing.iter().filter_map(nearest).collect()
    }
}
