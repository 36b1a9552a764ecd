//! What may have been meant by a load that did not match: near names, and an option that would make names match.

use std::collections::BTreeMap;

use super::load::Matching;
use crate::error::entries;
use crate::hash::HashSet;
use crate::source::names::{ANYWHERE, without};

/// More names, or pairs of names, than this are not looked through.
const MOST: usize = 1 << 20;

impl Matching<'_, '_> {
    /// For each missing entry the nearest unused name of the source, if one is near.
    pub(super) fn suggestions(&self) -> Vec<(String, String)> {
        const NEAR: f64 = 0.8;
        if self.plan.report.missing.is_empty() {
            return Vec::new();
        }
        let unused: Vec<&str> = self.index.names().filter(|name| !self.known.contains(*name)).collect();
        let missing = &self.plan.report.missing;
        if unused.len().saturating_mul(missing.len()) > MOST {
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

    /// The option that would make most of the missing entries match, as a sentence.
    pub(super) fn hint(&self) -> Option<String> {
        let missing: HashSet<&str> = self.plan.report.missing.iter().map(String::as_str).collect();
        if missing.is_empty() || self.index.tensors.len() > MOST {
            return None;
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.index.names().filter(|name| !self.known.contains(*name)) {
            for (at, _) in name.match_indices('.') {
                let (prefix, below) = (&name[..at], &name[at + 1..]);
                if missing.contains(below) {
                    *counts.entry(prefix).or_default() += 1;
                }
                // A wrapper around a component: `model.module.fc1` for `model.fc1`.
                if let Some((component, wrapper)) = prefix.split_once('.')
                    && missing.contains(format!("{component}.{below}").as_str())
                {
                    *counts.entry(wrapper).or_default() += 1;
                }
            }
        }
        if let Some((wrapper, count)) = self.wrapper(&missing)
            && counts.values().all(|other| *other <= count)
        {
            return Some(format!(
                "LoadOptions::new().strip_prefix({wrapper:?}) would match {}",
                entries(count)
            ));
        }
        let (prefix, count) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
        let all_begin = self.index.names().all(|name| {
            let wraps = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
            wraps(name) || name.split_once('.').is_some_and(|(_, below)| wraps(below))
        });
        let is_root = !all_begin && self.index.names().any(|name| name.starts_with(&format!("{prefix}.")));
        let call = if is_root {
            format!("root({prefix:?})")
        } else {
            format!("strip_prefix({:?})", format!("{prefix}."))
        };
        Some(format!("LoadOptions::new().{call} would match {}", entries(count)))
    }

    /// The wrapper of modules anywhere inside of names whose removal matches most: `blocks.0._fsdp_wrapped_module.fc1`.
    fn wrapper(&self, missing: &HashSet<&str>) -> Option<(&'static str, usize)> {
        let unknown = || self.index.names().filter(|name| !self.known.contains(*name));
        let matching = |wrapper: &'static str| {
            let wrapped = unknown().filter(|name| name.contains(wrapper));
            let count = wrapped
                .filter(|name| missing.contains(without(name, wrapper).as_str()))
                .count();
            (wrapper, count)
        };
        let counts = ANYWHERE.iter().copied().map(matching);
        counts.filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count)
    }
}
