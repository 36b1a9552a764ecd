//! Checks the parts that the options of a call name, and finds the names that come near a wrong one.

use super::aliases::Names;
use super::{Part, Resolved, Schema};
use crate::entry::{root, strip};
use crate::error::StateError;
use crate::hash::HashSet;

/// The number of names that an error lists.
const LISTED: usize = 16;

/// From this likeness on a name is near.
const NEAR: f64 = 0.7;

/// So many letters are compared with each other at most, which takes a fraction of a second.
const MOST_LETTERS: usize = 1 << 24;

impl<V, O> Resolved<V, O> {
    /// Refuses a part that the state does not have.
    ///
    /// # Errors
    /// [`StateError::Handle`] for a handle of another type, and for the handle of a flattened field;
    /// [`StateError::NoSuchComponent`] for a name that the state does not have.
    pub(crate) fn check_part(&self, part: &Part) -> Result<(), StateError> {
        if let Some(of) = &part.of {
            self.check_owner(&part.name, of)?;
        }
        if self.knows(&part.name) || (part.of.is_some() && self.is_below_none(&part.name)) {
            return Ok(());
        }
        let level = self.level_of(&part.name);
        Err(StateError::NoSuchComponent {
            components: self.listed(level),
            near: self.near(&part.name),
            level: level.to_owned(),
            name: part.name.clone(),
        })
    }

    /// Refuses a handle that belongs to another type than the state, and a handle without a name.
    fn check_owner(&self, name: &str, of: &Schema) -> Result<(), StateError> {
        let refused = |what: String| {
            Err(StateError::Handle {
                handle: name.to_owned(),
                of: of.type_name().to_owned(),
                what,
            })
        };
        if !self.schemas.contains(of) {
            let types: Vec<String> = self
                .schemas
                .iter()
                .map(|own| format!("a `{}`", own.type_name()))
                .collect();
            return refused(match (&self.schemas[..], types.join(" and ")) {
                ([], _) => "the state holds no struct that derives Checkpoint".to_owned(),
                ([own, ..], types) if own.is_enum() => format!(
                    "the state is {types} with the components {}; the fields of an enum have no handles, so name the part as a \
                     text, as in \"{}\"",
                    self.listed(""),
                    self.components().last().unwrap_or(&"")
                ),
                ([own, ..], types) => format!(
                    "the state is {types} with the components {}; use a handle in `{name}::FIELDS`, and reach the fields of \
                     a field with `{name}::FIELDS.outer.then(Inner::FIELDS.field)`",
                    self.listed(""),
                    name = own.short_name()
                ),
            });
        }
        if name.is_empty() {
            return refused(format!(
                "a flattened field, and the field of a newtype, has no name of its own; name a part of it, as in \
                 `{}::FIELDS.outer.then(Inner::FIELDS.field)`, or as a text. The components of the state are {}",
                of.short_name(),
                self.listed("")
            ));
        }
        Ok(())
    }

    /// All names of the state: those of its entries, of the fields at its first level, and of the parts without entries.
    fn names(&self) -> impl Iterator<Item = &str> {
        let entries = self.items.iter().map(|item| item.scope.name.as_str());
        let bare = self.fields.bare().map(|names| names.own.as_str());
        self.fields.declared().chain(bare).chain(entries)
    }

    /// Returns true if `name` names a component, an entry, or a level between them.
    fn knows(&self, name: &str) -> bool {
        !name.is_empty() && self.names().any(|known| strip(known, name).is_some())
    }

    /// Returns true if `name` lies below a part that is `None`: of such a part, only the types of handles tell the names.
    fn is_below_none(&self, name: &str) -> bool {
        let is_empty = |level: &Names| self.fields.empty.iter().any(|empty| empty.own == level.own);
        let mut none = self.fields.none.iter();
        none.any(|level| strip(name, &level.own).is_some() && is_empty(level))
    }

    /// The innermost level of a name that the state has; `""` is the state itself.
    fn level_of<'n>(&self, name: &'n str) -> &'n str {
        let mut level = name;
        while let Some((above, _)) = level.rsplit_once('.') {
            level = above;
            if self.knows(level) {
                return level;
            }
        }
        ""
    }

    /// The names at a level, in declared order, as a list for a sentence.
    fn listed(&self, level: &str) -> String {
        let names = if level.is_empty() {
            self.components()
        } else {
            let below = self.names().filter_map(|name| strip(name, level)).map(root);
            let mut seen = HashSet::default();
            below.filter(|name| !name.is_empty() && seen.insert(*name)).collect()
        };
        let listed = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
        match names.len().checked_sub(LISTED) {
            None | Some(0) => listed,
            Some(more) => format!("{listed}, and {more} more"),
        }
    }

    /// The name of the state that a wrong name most likely means: one that ends with it, or else the most similar one.
    fn near(&self, wrong: &str) -> Option<String> {
        let mut seen = HashSet::default();
        let mut letters = 0;
        let mut best: Option<(f64, &str)> = None;
        for known in self.names() {
            let ends = known.match_indices('.').map(|(at, _)| at).chain([known.len()]);
            for name in ends.map(|end| &known[..end]) {
                if name.is_empty() || !seen.insert(name) {
                    continue;
                }
                letters += name.len() * wrong.len();
                if letters > MOST_LETTERS {
                    return None;
                }
                let is_end = name.strip_suffix(wrong).is_some_and(|above| above.ends_with('.'));
                let score = if is_end && !wrong.is_empty() {
                    1.
                } else {
                    strsim::normalized_damerau_levenshtein(name, wrong)
                };
                if score >= NEAR && best.is_none_or(|(best, _)| score > best) {
                    best = Some((score, name));
                }
            }
        }
        best.map(|(_, name)| name.to_owned())
    }
}
