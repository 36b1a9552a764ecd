//! Applies the options that rename entries, and records which of them took effect.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::{ANYWHERE, Index};
use crate::entry::{join, root, strip};
use crate::error::{Error, Result};
use crate::format::manifest::StructRecord;
use crate::options::LoadOptions;

/// The least similarity of a name that an error suggests.
const NEAR: f64 = 0.6;

/// The largest number of names that are compared for a suggestion.
const MOST: usize = 1 << 16;

/// The options that change names. Each records whether it has changed one.
pub(super) struct Renames<'o> {
    options: &'o LoadOptions,
    has_stripped: Vec<Cell<bool>>,
    has_renamed: Vec<Cell<bool>>,
}

impl<'o> Renames<'o> {
    pub(super) fn of(options: &'o LoadOptions) -> Self {
        Self {
            options,
            has_stripped: vec![Cell::new(false); options.prefixes.len()],
            has_renamed: vec![Cell::new(false); options.renames.len()],
        }
    }

    /// The name that the options give to an entry; `None` if it does not lie below the root.
    pub(super) fn entry(&self, name: &str) -> Option<String> {
        let below = match &self.options.root {
            Some(root) => strip(name, root).filter(|rest| !rest.is_empty())?,
            None => name,
        };
        Some(self.below_root(below))
    }

    /// The struct under its new path; `None` if it does not lie below the root.
    pub(super) fn record(&self, record: &StructRecord) -> Option<StructRecord> {
        let path = match &self.options.root {
            Some(root) => strip(&record.path, root)?,
            None => &record.path,
        };
        let path = if path.is_empty() {
            String::new()
        } else {
            self.below_root(path)
        };
        Some(StructRecord { path, ..record.clone() })
    }

    /// The name that the options give to a parameter of an optimizer.
    pub(super) fn parameter(&self, name: &str) -> String {
        let root = self.options.root.as_deref().unwrap_or_default();
        self.below_root(strip(name, root).filter(|rest| !rest.is_empty()).unwrap_or(name))
    }

    fn below_root(&self, name: &str) -> String {
        self.first_renamed(name, self.has_renamed.len())
    }

    /// The name after the removal of prefixes and after the first `renames` renames.
    fn first_renamed(&self, name: &str, renames: usize) -> String {
        let mut name = name.to_owned();
        for (prefix, used) in self.options.prefixes.iter().zip(&self.has_stripped) {
            let stripped = without(&name, prefix);
            used.set(used.get() || stripped != name);
            name = stripped;
        }
        let pairs = self.options.renames.iter().zip(&self.has_renamed);
        for ((from, to), used) in pairs.take(renames) {
            if let Some(renamed) = replaced(&name, from, to) {
                used.set(true);
                name = renamed;
            }
        }
        name
    }

    /// The prefixes that no name began with.
    pub(super) fn idle_prefixes(&self) -> Vec<String> {
        let prefixes = self.options.prefixes.iter().zip(&self.has_stripped);
        let idle = prefixes.filter(|(_, used)| !used.get());
        idle.map(|(prefix, _)| prefix.clone()).collect()
    }

    /// Refuses a rename that renamed nothing, since the caller then expected another file.
    ///
    /// # Errors
    /// If an option `rename` found no entry.
    pub(super) fn check(&self, index: &Index) -> Result<()> {
        let Some(at) = self.has_renamed.iter().position(|used| !used.get()) else {
            return Ok(());
        };
        let (from, to) = &self.options.renames[at];
        if from.is_empty() {
            return Err(Error::Options(format!(
                "LoadOptions::rename(\"\", {to:?}) names no entry: fabric.load_raw(path, &mut state.{to}) loads a whole file \
                 into one part of a state"
            )));
        }
        // All names that a rename could have found: each entry, and each level above it.
        let mut names = BTreeSet::new();
        for name in index.names() {
            let below = self
                .options
                .root
                .as_deref()
                .map_or(Some(name), |root| strip(name, root));
            let Some(below) = below else { continue };
            let name = self.first_renamed(below, at);
            let parts = name.match_indices('.').map(|(dot, _)| name[..dot].to_owned());
            names.extend(parts.chain([name.clone()]));
        }
        let moved = self.first_renamed(from, at);
        let hint = if moved != *from && names.contains(&moved) {
            format!("the renames before it have given that the name `{moved}`")
        } else if names.contains(to) {
            let last = from.rsplit('.').next().unwrap_or_default();
            format!(
                "the file has `{to}` already; leave the option out, or declare the field with alias = {last:?}, which takes \
                 files of either name"
            )
        } else if let Some(near) = nearest(&names, from) {
            format!("did you mean `{near}`?")
        } else {
            let first: BTreeSet<&str> = names.iter().map(|name| root(name)).collect();
            let first: Vec<_> = first.into_iter().take(8).map(|name| format!("`{name}`")).collect();
            format!("at its first level are {}", first.join(", "))
        };
        Err(Error::NothingToRename {
            from: from.clone(),
            to: to.clone(),
            origin: index.origin.clone(),
            hint,
        })
    }
}

/// The name that is most similar to `wanted`, which does not exist.
fn nearest<'n>(names: &'n BTreeSet<String>, wanted: &str) -> Option<&'n str> {
    if names.len() > MOST {
        return None;
    }
    let scored = names
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(name, wanted), name.as_str()));
    let (score, name) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= NEAR).then_some(name)
}

/// `name` without the prefix: at the start of the name or of the part below its component. A segment of [`ANYWHERE`] is
/// removed at every place.
pub(crate) fn without(name: &str, prefix: &str) -> String {
    if ANYWHERE.contains(&prefix) {
        let mut rest = name.to_owned();
        while let Some(at) = segment_start(&rest, prefix) {
            rest.replace_range(at..at + prefix.len(), "");
        }
        return rest;
    }
    if let Some(rest) = name.strip_prefix(prefix) {
        return rest.to_owned();
    }
    match name.split_once('.') {
        Some((component, below)) => format!("{component}.{}", below.strip_prefix(prefix).unwrap_or(below)),
        None => name.to_owned(),
    }
}

fn segment_start(name: &str, prefix: &str) -> Option<usize> {
    name.match_indices(prefix)
        .map(|(at, _)| at)
        .find(|&at| at == 0 || name.as_bytes().get(at - 1) == Some(&b'.'))
}

/// `name` with the leading segments `from` replaced by `to`; `None` if the name does not begin with them.
fn replaced(name: &str, from: &str, to: &str) -> Option<String> {
    let rest = strip(name, from).filter(|_| !from.is_empty())?;
    Some(join(to, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_go_at_the_start_and_those_of_wrappers_anywhere() {
        assert_eq!(without("module.fc1.weight", "module."), "fc1.weight");
        assert_eq!(without("model.module.fc1.weight", "module."), "model.fc1.weight");
        assert_eq!(without("model.a.module.weight", "module."), "model.a.module.weight");
        assert_eq!(without("submodule.weight", "module."), "submodule.weight");
        assert_eq!(
            without("model._orig_mod.a._orig_mod.b_orig_mod.c", "_orig_mod."),
            "model.a.b_orig_mod.c"
        );
    }

    #[test]
    fn renames_replace_whole_segments() {
        let name = |name: &str| replaced(name, "state_dict.net", "model");
        assert_eq!(name("state_dict.net.fc1").unwrap(), "model.fc1");
        assert_eq!(name("state_dict.net").unwrap(), "model");
        assert_eq!(name("state_dict.network.fc1"), None);
        assert_eq!(replaced("net.a", "net", "").unwrap(), "a");
        assert_eq!(replaced("net.a", "", "b"), None);
    }
}
