//! The call that puts one of two entries aside where the file has both names of one entry of the state.

use std::collections::BTreeSet;

use super::super::Matching;
use crate::load::entries::StateEntry;
use crate::report::MismatchKind;

/// At most this many calls are named.
const MOST: usize = 4;

impl Matching<'_, '_> {
    /// A sentence for each part of the file that stands for a part of the state which the file has already.
    pub(crate) fn two_names(&self) -> Vec<String> {
        let mismatched = self.plan.report.mismatched.iter();
        let ambiguous: BTreeSet<&str> = mismatched
            .filter(|found| found.kind == MismatchKind::Ambiguous)
            .map(|found| found.name.as_str())
            .collect();
        if ambiguous.is_empty() {
            return Vec::new();
        }
        let entries = self.entries.iter().filter(|entry| ambiguous.contains(entry.name));
        let pairs: BTreeSet<(&str, &str)> = entries.filter_map(|entry| self.pair(entry)).collect();
        let sentence = |(kept, aside): (&str, &str)| {
            format!(
                "LoadOptions::new().rename({aside:?}, {:?}) takes `{kept}` and leaves `{aside}` in the remainder",
                format!("unused.{aside}")
            )
        };
        pairs.into_iter().map(sentence).take(MOST).collect()
    }

    /// The part that is kept and the part that is put aside. Both are as large as the names allow.
    fn pair<'e>(&self, entry: &'e StateEntry<'_>) -> Option<(&'e str, &'e str)> {
        let mut present = entry.names().filter(|name| self.index.contains(name));
        let names = (present.next()?, present.next()?);
        let above = without_common_end(names.0, names.1);
        let is_needed = |name: &str| self.found.iter().flatten().any(|found| found.name() == name);
        let is_free = !self.index.names_below(above.1).any(is_needed);
        Some(if is_free { above } else { names })
    }
}

/// Two names without the segments at the end that both have. A segment stays of each.
fn without_common_end<'n>(a: &'n str, b: &'n str) -> (&'n str, &'n str) {
    match (a.rsplit_once('.'), b.rsplit_once('.')) {
        (Some((above, last)), Some((other, end))) if last == end && above != other => without_common_end(above, other),
        _ => (a, b),
    }
}

#[cfg(test)]
mod tests {
    use super::without_common_end;

    #[test]
    fn a_segment_stays_of_each_name() {
        assert_eq!(without_common_end("model.a.w", "net.a.w"), ("model", "net"));
        assert_eq!(without_common_end("w", "model.w"), ("w", "model.w"));
        assert_eq!(without_common_end("m.a.w", "m.b.w"), ("m.a", "m.b"));
    }
}
