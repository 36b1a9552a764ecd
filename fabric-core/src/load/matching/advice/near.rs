//! Names of the file that come near a missing one.

use super::super::Matching;
use super::MOST;

/// From this likeness on a name is near.
const NEAR: f64 = 0.8;

/// So many letters are compared with each other at most, which takes a fraction of a second.
const MOST_LETTERS: usize = 1 << 26;

impl Matching<'_, '_> {
    /// For each missing entry the nearest unused name of the source, if one is near.
    pub(crate) fn suggestions(&self) -> Vec<(String, String)> {
        let missing = &self.plan.report.missing;
        if missing.is_empty() {
            return Vec::new();
        }
        let unused: Vec<&str> = self.index.names().filter(|name| !self.known.contains(*name)).collect();
        if unused.len().saturating_mul(missing.len()) > MOST {
            return Vec::new();
        }
        let candidates = |name: &'_ String| {
            let len = name.len();
            unused
                .iter()
                .copied()
                .filter(move |other| is_near_in_length(len, other.len()))
        };
        let letters = missing.iter().map(|name| {
            let others = candidates(name).map(|other| other.len().saturating_mul(name.len()));
            others.fold(0, usize::saturating_add)
        });
        if letters.fold(0, usize::saturating_add) > MOST_LETTERS {
            return Vec::new();
        }
        let nearest = |name: &String| {
            let scored = candidates(name).map(|other| (likeness(name, other), other));
            let (score, other) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
            (score >= NEAR).then(|| (name.clone(), other.to_owned()))
        };
        missing.iter().filter_map(nearest).collect()
    }
}

/// Returns true if names of these lengths can be near each other: a letter that only one of them has counts as one that differs.
fn is_near_in_length(a: usize, b: usize) -> bool {
    a.min(b).saturating_mul(5) >= a.max(b).saturating_mul(4)
}

/// 1 less the share of letters that differ between two names. Names of very many letters are not compared.
pub(super) fn likeness(a: &str, b: &str) -> f64 {
    if a.len().saturating_mul(b.len()) > MOST {
        return 0.;
    }
    let longest = a.chars().count().max(b.chars().count()).max(1);
    #[expect(clippy::cast_precision_loss, reason = "names of at most a million letters")]
    let share = strsim::osa_distance(a, b) as f64 / longest as f64;
    1. - share
}
