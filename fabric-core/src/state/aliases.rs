//! The names that a load accepts for an entry, by the aliases of all fields above it.
//!
//! An entry below n fields with aliases has 2^n names or more. Each level therefore keeps its own names and a pointer to the
//! level above. A load looks the names up in the file level by level, and keeps those that the file has
//! ([`found`](super::found)).

use std::sync::Arc;

use crate::entry::join;

/// A level with aliases: a part of an entry's name, and the names that a load accepts in its place.
#[derive(Debug, PartialEq)]
pub(crate) struct Level {
    /// The next level above with aliases.
    pub(super) above: Option<Arc<Level>>,
    /// The part of the entry's name: `from..to`, in bytes.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) others: Vec<Other>,
}

/// A name, or names, that a load accepts in the place of a level's own name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Other {
    /// A name or a path.
    Path(String),
    /// Every name of another entry: of the parameter, below the state of an optimizer.
    AllOf(Names),
}

/// The names of an entry, or of a level: its own name, and the levels of it with aliases.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    pub(crate) own: String,
    pub(super) level: Option<Arc<Level>>,
}

impl Names {
    /// A name without aliases.
    pub(super) fn of(own: String) -> Self {
        Self { own, level: None }
    }

    /// The names of the level `name` below this one.
    pub(super) fn below(&self, name: &str) -> Self {
        Self {
            own: join(&self.own, name),
            level: self.level.clone(),
        }
    }

    /// Goes down to the level `name`, which has other names too.
    pub(super) fn descend(&mut self, name: &str, others: Vec<Other>) {
        let is_apart = !self.own.is_empty() && !name.is_empty();
        let from = self.own.len() + usize::from(is_apart);
        self.own = join(&self.own, name);
        if !others.is_empty() {
            self.level = Some(Arc::new(Level {
                above: self.level.take(),
                from,
                to: self.own.len(),
                others,
            }));
        }
    }

    /// The names of the level that the first `len` bytes of the name are.
    pub(crate) fn above(&self, len: usize) -> Self {
        let level = self.levels().find(|level| level.to <= len);
        Self {
            own: self.own[..len].to_owned(),
            level: level.cloned(),
        }
    }

    /// The levels with aliases, innermost first.
    pub(super) fn levels(&self) -> impl Iterator<Item = &Arc<Level>> {
        std::iter::successors(self.level.as_ref(), |level| level.above.as_ref())
    }

    /// True if a load accepts another name than the own one.
    pub(crate) fn has_others(&self) -> bool {
        self.level.is_some()
    }

    /// The paths that a load accepts in the place of a field at the first level.
    pub(crate) fn others_at_first_level(&self) -> impl Iterator<Item = &str> {
        let outermost = self.levels().last().filter(|level| level.from == 0);
        let others = outermost.into_iter().flat_map(|level| &level.others);
        others.filter_map(|other| match other {
            Other::Path(path) => Some(path.as_str()),
            Other::AllOf(_) => None,
        })
    }

    /// The names beside the own one, if they are at most `most`; else `None`.
    pub(crate) fn others(&self, most: usize) -> Option<Vec<String>> {
        let mut names = self.all(most + 1)?;
        names.retain(|name| *name != self.own);
        Some(names)
    }

    /// All names, if they are at most `most`; else `None`.
    fn all(&self, most: usize) -> Option<Vec<String>> {
        let levels: Vec<&Arc<Level>> = self.levels().collect();
        let (mut names, mut at) = (vec![String::new()], 0);
        for level in levels.into_iter().rev() {
            let mut choices = vec![self.own[level.from..level.to].to_owned()];
            for other in &level.others {
                match other {
                    Other::Path(path) => choices.push(path.clone()),
                    Other::AllOf(names) => choices.extend(names.all(most)?),
                }
            }
            if names.len().saturating_mul(choices.len()) > most {
                return None;
            }
            let between = self.own[at..level.from].trim_matches('.');
            let above = names.iter().map(|name| join(name, between));
            names = above
                .flat_map(|name| {
                    choices
                        .iter()
                        .map(move |choice| join(&name, choice))
                        .collect::<Vec<_>>()
                })
                .collect();
            at = level.to;
        }
        let rest = self.own[at..].trim_start_matches('.');
        Some(names.iter().map(|name| join(name, rest)).collect())
    }
}
