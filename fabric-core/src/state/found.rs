//! The names of a file that the aliases of a state lead to.
//!
//! The names of each level are those of the level above that the file has, each with every name of the level itself. So the
//! names that are kept at a level are never more than those of the file, and each level is looked up once.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use super::aliases::{Level, Names, Other};
use super::{Content, Part, Resolved};
use crate::entry::{join, strip};
use crate::hash::{HashMap, HashSet};
use crate::value::Value;

/// The number of names of a parameter up to which a load knows all of them, and not only those of the file. The values of an
/// optimizer may name a parameter that the file has no entry of.
const FEW: usize = 64;

/// The names in a file, also those inside of values that are maps.
#[derive(Debug)]
pub(crate) struct FileNames<'i> {
    names: BTreeSet<&'i str>,
    maps: HashMap<&'i str, &'i Value>,
}

/// The names in a file of fields without entries of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldNames {
    /// The aliases of the fields at the first level. The entries of the file below them belong to the state.
    pub(crate) claimed: Vec<String>,
    /// The parts that [`LoadOptions::only`](crate::LoadOptions::only) asks for, under their aliases.
    pub(crate) only: HashSet<String>,
    /// The parts that [`LoadOptions::exclude`](crate::LoadOptions::exclude) leaves out, under their aliases.
    pub(crate) excluded: HashSet<String>,
}

impl<'i> FileNames<'i> {
    /// The names of a file's entries and of its filtered entries, and its values.
    pub(crate) fn new(
        names: impl Iterator<Item = &'i str>,
        values: impl Iterator<Item = (&'i str, &'i Value)>,
    ) -> Self {
        Self {
            names: names.collect(),
            maps: values.filter(|(_, value)| value.as_map_entries().is_some()).collect(),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.has_in_map(name)
    }

    /// Returns true if a value of the file is a map with this name in it.
    fn has_in_map(&self, name: &str) -> bool {
        let levels = name.match_indices('.').map(|(at, _)| (&name[..at], &name[at + 1..]));
        let mut maps = levels.filter_map(|(level, path)| Some((self.maps.get(level)?, path)));
        maps.any(|(map, path)| leads_to(map, path))
    }

    /// Returns true if the file has the name, a name below it, or the name with a rank.
    fn has_any(&self, name: &str) -> bool {
        name.is_empty() || self.has(name) || self.has_behind(name, '.') || self.has_behind(name, '@')
    }

    fn has_behind(&self, name: &str, separator: char) -> bool {
        let start = format!("{name}{separator}");
        let mut behind = self
            .names
            .range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        behind.next().is_some_and(|name| name.starts_with(&start))
    }
}

/// Returns true if a map, or one inside of it, has an entry under this path.
fn leads_to(map: &Value, path: &str) -> bool {
    let mut entries = map.as_map_entries().unwrap_or_default().into_iter();
    entries.any(|(key, value)| match strip(path, &key) {
        Some("") => true,
        Some(rest) => !key.is_empty() && leads_to(&value, rest),
        None => false,
    })
}

impl<V, O> Resolved<V, O> {
    /// Gives entries, optimizers and optional fields their names in a file: those of their aliases that the file has.
    pub(crate) fn find_names<'i>(
        &mut self,
        file: impl FnOnce() -> FileNames<'i>,
        only: &[Part],
        exclude: &[Part],
    ) -> FieldNames {
        let has_aliases =
            self.items.iter().any(|item| item.scope.level.is_some()) || self.fields.bare().any(Names::has_others);
        if !has_aliases && self.optionals.iter().all(|field| !field.at.has_others()) {
            return FieldNames::default();
        }
        let file = file();
        let mut search = Search::new(&file);
        let mut fields = FieldNames {
            only: self.names_of(only, &mut search),
            excluded: self.names_of(exclude, &mut search),
            claimed: Vec::new(),
        };
        let bare = self.fields.bare().flat_map(Names::others_at_first_level);
        let mut claimed: BTreeSet<String> = bare.map(str::to_owned).collect();
        for item in self.items.iter_mut().filter(|item| item.scope.level.is_some()) {
            let names = item.scope.names();
            claimed.extend(names.others_at_first_level().map(str::to_owned));
            let is_ranked = item.scope.per_rank && matches!(item.content, Content::Value(_));
            let mut found = search.others(&names);
            found.retain(|name| file.has(name) || (is_ranked && file.has_behind(name, '@')));
            item.scope.alternatives = found;
        }
        fields.claimed.extend(claimed);
        for optional in self.optionals.iter_mut().filter(|optional| optional.at.has_others()) {
            optional.names.extend(search.others(&optional.at));
        }
        for optimizer in &mut self.optimizers {
            let kind = self.items[optimizer.kind_item].scope.names();
            let optimizer_len = kind.own.rfind('.').unwrap_or(0);
            let state = kind.above(optimizer_len).below("state");
            optimizer.state.extend(search.others(&state));
            for parameter in &mut optimizer.parameters {
                for names in parameter.levels.iter().filter(|names| names.has_others()) {
                    let others = names.others(FEW).unwrap_or_else(|| search.others(names));
                    parameter.aliases.extend(others);
                }
            }
        }
        fields
    }

    /// The names in the file of the parts that a call names.
    fn names_of(&self, parts: &[Part], search: &mut Search<'_>) -> HashSet<String> {
        let mut found = HashSet::default();
        for part in parts {
            let mut seen = HashSet::default();
            for names in self.levels_of(part) {
                let level = names.level.as_ref();
                if level.is_some_and(|level| seen.insert(Arc::as_ptr(level))) {
                    found.extend(search.others(&names));
                }
            }
        }
        found
    }

    /// The names of the part, as each entry of it has them, and as each level without entries has them.
    fn levels_of<'r>(&'r self, part: &'r Part) -> impl Iterator<Item = Names> + 'r {
        let name = part.name.as_str();
        let items = self.items.iter().filter(|item| item.scope.level.is_some());
        let items = items.filter(move |item| strip(&item.scope.name, name).is_some());
        let entries = items.map(|item| item.scope.names());
        let bare = self.fields.bare().filter(|names| names.has_others());
        let bare = bare.filter_map(move |names| match strip(name, &names.own) {
            // The part is below a part that is `None`.
            Some(rest) => Some(names.below(rest)),
            None => strip(&names.own, name).map(|_| names.clone()),
        });
        entries.chain(bare).map(move |names| names.above(name.len()))
    }
}

/// The names of levels, which the search has looked up already.
struct Search<'f> {
    file: &'f FileNames<'f>,
    /// The names of each level, by the name that the search began below and the level's address.
    known: HashMap<(String, *const Level), Rc<[String]>>,
}

impl<'f> Search<'f> {
    fn new(file: &'f FileNames<'f>) -> Self {
        Self {
            file,
            known: HashMap::default(),
        }
    }

    /// The names beside the own one that the file has, or has names below.
    fn others(&mut self, names: &Names) -> Vec<String> {
        if !names.has_others() {
            return Vec::new();
        }
        let mut found = self.below("", &[String::new()], names);
        found.retain(|name| *name != names.own);
        found
    }

    /// The names below `starts`, which are the names of the level `start`.
    fn below(&mut self, start: &str, starts: &[String], names: &Names) -> Vec<String> {
        let mut unknown = Vec::new();
        let (mut found, mut at): (Rc<[String]>, usize) = (starts.into(), 0);
        for level in names.levels() {
            if let Some(known) = self.known.get(&(start.to_owned(), Arc::as_ptr(level))) {
                (found, at) = (known.clone(), level.to);
                break;
            }
            unknown.push(level);
        }
        for level in unknown.into_iter().rev() {
            let above = self.kept(&found, names.own[at..level.from].trim_matches('.'));
            found = self
                .at_level(&join(start, &names.own[..level.from]), &above, level, &names.own)
                .into();
            at = level.to;
            self.known.insert((start.to_owned(), Arc::as_ptr(level)), found.clone());
        }
        self.kept(&found, names.own[at..].trim_start_matches('.'))
    }

    /// The names of a level below the names `above`.
    fn at_level(&mut self, start: &str, above: &[String], level: &Level, own: &str) -> Vec<String> {
        let mut found = self.kept(above, &own[level.from..level.to]);
        for other in &level.others {
            match other {
                Other::Path(path) => found.extend(self.kept(above, path)),
                Other::AllOf(names) => found.extend(self.below(start, above, names)),
            }
        }
        let mut seen = HashSet::default();
        found.retain(|name| seen.insert(name.clone()));
        found
    }

    /// The names `above` with the path `below` that the file has, or has names below.
    fn kept(&self, above: &[String], below: &str) -> Vec<String> {
        let names = above.iter().map(|above| join(above, below));
        names.filter(|name| self.file.has_any(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::resolve;
    use super::super::walk::Walk;
    use super::*;

    const DEPTH: usize = 2000;

    /// A value at each of 2000 levels, each level with an alias.
    fn deep() -> Resolved<usize, ()> {
        let mut walk: Walk<usize, ()> = Walk::new();
        for depth in 0..DEPTH {
            walk.below("n", &["o"]);
            walk.push_value(depth);
        }
        resolve(walk.finish()).expect("no name twice")
    }

    /// The name of the level at a depth, with the old name at every third level.
    fn mixed(depth: usize) -> String {
        let segments = (0..=depth).map(|level| if level % 3 == 0 { "o" } else { "n" });
        segments.collect::<Vec<_>>().join(".")
    }

    #[test]
    fn an_entry_below_many_aliases_has_the_one_name_that_the_file_has() {
        let mut state = deep();
        let names: Vec<String> = (0..DEPTH).map(mixed).collect();
        let file = || FileNames::new(names.iter().map(String::as_str), std::iter::empty());
        state.find_names(file, &[], &[]);
        for (item, name) in state.items.iter().zip(&names) {
            assert_eq!(item.scope.alternatives, [name.as_str()]);
        }
    }

    #[test]
    fn a_level_is_looked_up_once() {
        let state = deep();
        let names: Vec<String> = (0..DEPTH).map(mixed).collect();
        let file = FileNames::new(names.iter().map(String::as_str), std::iter::empty());
        let mut search = Search::new(&file);
        for item in &state.items {
            search.others(&item.scope.names());
        }
        assert_eq!(search.known.len(), DEPTH);
        assert!(search.known.values().all(|names| names.len() == 1));
    }

    #[test]
    fn a_name_inside_of_a_value_of_the_file_is_found() {
        let inner = Value::map([("step".to_owned(), Value::null())]);
        let map = Value::map([("loop".to_owned(), inner)]);
        let file = FileNames::new(["progress"].into_iter(), [("progress", &map)].into_iter());
        assert!(file.has("progress.loop.step"));
        assert!(!file.has("progress.loop.epoch") && !file.has("progress.step"));
    }
}
