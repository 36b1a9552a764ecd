//! The versions of structs, in the file and in the program.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::edit::Edit;
use super::{At, follow};
use crate::entry::strip;
use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::migrate::{Migrations, Recipes, Step};
use crate::source::Index;
use crate::state::StructPlace;

/// The most names by aliases of which a struct is looked for in a file.
const MOST_NAMES: usize = 64;

/// A struct of the state.
pub(crate) struct StructOfState<'r> {
    /// The paths that it may have in a file: its own, and those by aliases.
    paths: Vec<String>,
    name: &'r str,
    version: u32,
    recipe: Recipe<'r>,
    /// False for a struct that the options leave out, and whose recipe moves moments alone.
    pub(crate) is_asked_for: bool,
    /// The names of the other structs of the state with the same path, in the order of the walk: a newtype, a flattened struct.
    before: Vec<&'r str>,
    behind: Vec<&'r str>,
}

/// The recipe of a struct.
enum Recipe<'r> {
    /// A function of the type.
    Declared(fn(&mut Migrations)),
    Given(&'r Migrations),
}

impl<'r> StructOfState<'r> {
    /// The structs of a walk, in its order.
    pub(crate) fn all<'p>(places: impl IntoIterator<Item = &'p StructPlace> + Clone) -> Vec<Self> {
        let mut at_path: HashMap<&str, Vec<&'static str>> = HashMap::default();
        for place in places.clone() {
            at_path.entry(&place.names.own).or_default().push(place.name);
        }
        let mut counts: HashMap<&str, usize> = HashMap::default();
        let all = places.into_iter().map(|place| {
            let names = &at_path[&*place.names.own];
            let count = counts.entry(&place.names.own).or_default();
            *count += 1;
            let mut paths = vec![place.names.own.clone()];
            if place.names.has_others() {
                paths.extend(place.names.others(MOST_NAMES).unwrap_or_default());
            }
            Self {
                paths,
                name: place.name,
                version: place.version,
                recipe: Recipe::Declared(place.recipe),
                is_asked_for: true,
                before: names[..*count - 1].to_vec(),
                behind: names[*count..].to_vec(),
            }
        });
        all.collect()
    }

    /// The path in the state.
    pub(crate) fn path(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }

    fn recipe(&self) -> Cow<'r, Migrations> {
        match self.recipe {
            Recipe::Given(recipe) => Cow::Borrowed(recipe),
            Recipe::Declared(declare) => {
                let mut recipe = Migrations::default();
                declare(&mut recipe);
                Cow::Owned(recipe)
            }
        }
    }

    /// The structs of a file whose names have recipes, outer ones first.
    pub(super) fn of_names(index: &Index, recipes: &'r Recipes) -> Vec<Self> {
        let named = index.structs.iter();
        let named = named.filter_map(|record| Some((record, recipes.of_struct(&record.name)?)));
        let mut all: Vec<Self> = named
            .map(|(record, own)| Self {
                paths: vec![record.path.clone()],
                name: &own.name,
                version: own.version,
                recipe: Recipe::Given(&own.recipe),
                is_asked_for: true,
                before: Vec::new(),
                behind: Vec::new(),
            })
            .collect();
        all.sort_by(|a, b| a.paths.cmp(&b.paths));
        all
    }
}

/// The structs of a file by their paths.
#[derive(Clone, Default)]
pub(super) struct ByPath(BTreeMap<String, Vec<usize>>);

impl ByPath {
    pub(super) fn of(index: &Index) -> Self {
        let mut by_path: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, record) in index.structs.iter().enumerate() {
            by_path.entry(record.path.clone()).or_default().push(at);
        }
        Self(by_path)
    }

    /// The structs at and below a path.
    pub(super) fn below<'p>(&'p self, path: &'p str) -> impl Iterator<Item = usize> + use<'p> {
        let from = self.0.range::<str, _>((Bound::Included(path), Bound::Unbounded));
        let all = from.take_while(move |(own, _)| own.starts_with(path));
        all.filter(move |(own, _)| strip(own, path).is_some())
            .flat_map(|(_, at)| at.iter().copied())
    }

    /// Gives structs other paths.
    pub(super) fn rename(&mut self, index: &mut Index, renamed: Vec<(usize, String)>) {
        for (at, path) in &renamed {
            let old = &index.structs[*at].path;
            let left = self.0.get_mut(old).map(|all| {
                all.retain(|other| other != at);
                all.len()
            });
            if left == Some(0) {
                self.0.remove(old);
            }
            path.clone_into(&mut index.structs[*at].path);
        }
        for (at, path) in renamed {
            self.0.entry(path).or_default().push(at);
        }
    }

    /// The struct of the file with the path of one of the state. Several at one path (a newtype and its contents, a flattened
    /// struct) are told by their names, and renamed ones by their order.
    fn find(&self, own: &StructOfState<'_>, index: &Index) -> Option<usize> {
        let at_path = own.paths.iter().find_map(|path| self.0.get(path))?;
        let name = |at: &usize| index.structs[*at].name.as_str();
        if let Some(named) = at_path.iter().find(|at| name(at) == own.name) {
            return Some(*named);
        }
        let is_other = |at: &&usize| own.before.contains(&name(at)) || own.behind.contains(&name(at));
        let is_renamed = |other: &&&str| !at_path.iter().any(|at| name(at) == **other);
        let place = own.before.iter().filter(is_renamed).count();
        at_path.iter().filter(|at| !is_other(at)).nth(place).copied()
    }
}

/// Returns false if every struct of the state has its version in the file.
pub(super) fn may_differ(structs: &[StructOfState<'_>], index: &Index) -> bool {
    let all_first = structs.iter().all(|own| own.version == 1) && index.structs.iter().all(|own| own.version == 1);
    if index.structs.is_empty() || all_first {
        return false;
    }
    let by_path = ByPath::of(index);
    let differs = |own: &StructOfState<'_>| match by_path.find(own, index) {
        Some(at) => index.structs[at].version != own.version,
        None => own.version > 1,
    };
    structs.iter().any(differs)
}

/// Follows the steps of a struct from the version in the file to the version in the program.
///
/// # Errors
/// [`Error::Migration`](crate::Error::Migration) if the file is newer, if a step is missing or there twice, or if a word does not fit.
pub(super) fn bring_up(edit: &mut Edit<'_>, own: &StructOfState<'_>) -> Result<()> {
    let Some(place) = edit.paths.find(own, &edit.index) else {
        note_unknown(edit, own);
        return Ok(());
    };
    let record = edit.index.structs[place].clone();
    if record.version == own.version {
        if record.name.is_empty() {
            own.name.clone_into(&mut edit.index.structs[place].name);
        }
        return Ok(());
    }
    let at = At {
        path: &record.path,
        name: own.name,
        found: Some(record.version),
        version: Some(own.version),
    };
    if record.version > own.version {
        let what = match &record.path[..] {
            "" => "the file is newer: load it with the program that wrote it, or a later one".to_owned(),
            path => format!(
                "the file is newer: load it with the program that wrote it, or a later one, or leave the struct out with \
                 LoadOptions::exclude({path:?})"
            ),
        };
        if !own.is_asked_for {
            return Ok(());
        }
        let error = at.error(edit, None, None, what);
        if edit.due.has_state && record.path.is_empty() && record.name != own.name {
            return doubt(edit, error);
        }
        return Err(error);
    }
    let recipe = own.recipe();
    if recipe.steps.is_empty() {
        // A version without a recipe: names and aliases decide.
        return Ok(());
    }
    let may_be_another = edit.due.has_state && record.path.is_empty() && record.name != own.name;
    let before = (may_be_another || !own.is_asked_for).then(|| edit.clone());
    let followed =
        steps(&recipe, &at, edit).and_then(|due| due.into_iter().try_for_each(|step| follow(edit, step, &at)));
    match (followed, before) {
        (Err(error), Some(before)) => {
            *edit = before;
            return if own.is_asked_for { doubt(edit, error) } else { Ok(()) };
        }
        (followed, _) => followed?,
    }
    let all: Vec<usize> = edit.paths.below(&record.path).collect();
    let is_own = |at: &&usize| {
        let other = &edit.index.structs[**at];
        other.path == record.path && other.name == record.name
    };
    let own_place = all.iter().find(is_own).copied();
    if let Some(record) = own_place.and_then(|at| edit.index.structs.get_mut(at)) {
        own.name.clone_into(&mut record.name);
        record.version = own.version;
    }
    let [path, ..] = &own.paths[..] else { return Ok(()) };
    if *path != record.path {
        edit.declare_at(&record.path, path);
    }
    Ok(())
}

/// Says in the report that the entries of a struct without a version in the file were taken for the present ones.
fn note_unknown(edit: &mut Edit<'_>, own: &StructOfState<'_>) {
    if own.version == 1 || edit.index.structs.is_empty() || own.recipe().steps.is_empty() {
        return;
    }
    let has_entries = |path: &&String| match &path[..] {
        "" => edit.index.names().next().is_some(),
        path => edit.index.names_below(path).next().is_some(),
    };
    let path = own.paths.iter().find(has_entries);
    if let Some(path) = path.filter(|path| !path.is_empty() || !own.before.is_empty()) {
        let place = if path.is_empty() {
            "the first level".to_owned()
        } else {
            format!("`{path}`")
        };
        edit.index.edits.notes.push(format!(
            "the file has no version of `{}` at {place}: its entries were taken for those of version {}; the word \
             version({path:?}, ..) of an outer struct's step says another one",
            own.name, own.version
        ));
    }
}

/// Keeps the error of the state's outermost struct, whose name the file does not have. It may be another struct, and the file hold a
/// part of the state: the match says so. If the file matches, the error refuses it.
fn doubt(edit: &mut Edit<'_>, error: Error) -> Result<()> {
    let Error::Migration(error) = error else {
        return Err(error);
    };
    let sentence = format!("the recipe of `{}` is not for this file ({error})", error.name);
    edit.index.edits.notes.push(sentence);
    edit.index.edits.doubts.push(*error);
    Ok(())
}

/// The error for recipes of which no struct of the file has the name.
pub(super) fn no_such_struct(index: &Index, recipes: &Recipes) -> Error {
    let quoted = |names: BTreeSet<&str>| {
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let wanted = quoted(recipes.structs.iter().map(|own| own.name.as_str()).collect());
    let found: BTreeSet<&str> = index.structs.iter().map(|record| record.name.as_str()).collect();
    let found = match found.len() {
        0 => "records no structs".to_owned(),
        _ => format!("has the structs {}, as `ckpt ls` shows", quoted(found)),
    };
    Error::Options(format!(
        "{}: the recipes are for {wanted}, and the file {found}",
        index.origin
    ))
}

/// The steps that the file has not seen, in the order of their versions.
fn steps<'r>(recipe: &'r Migrations, at: &At<'_>, edit: &Edit<'_>) -> Result<Vec<&'r Step>> {
    let (found, version) = (at.found.unwrap_or(1), at.version.unwrap_or(1));
    let refuse = |step: Option<&Step>, what: String| Err(at.error(edit, step, None, what));
    if let Some(step) = recipe.steps.iter().find(|step| step.from.is_none()) {
        let word = step.words.first().map(|word| format!("{word:?}")).unwrap_or_default();
        return refuse(
            None,
            format!("the recipe has {word} before its first step; write m.from(version, \"...\") before it"),
        );
    }
    if let Some(step) = recipe.steps.iter().find(|step| step.from >= Some(version)) {
        return refuse(
            Some(step),
            format!(
                "a step from there leads beyond version {version}, which the struct declares: raise `version`, or remove the step"
            ),
        );
    }
    let mut due = Vec::new();
    for from in found..version {
        let mut steps = recipe.steps.iter().filter(|step| step.from == Some(from));
        match (steps.next(), steps.next()) {
            (Some(step), None) => due.push(step),
            (Some(step), Some(_)) => {
                return refuse(
                    Some(step),
                    "the recipe has two steps from there: put their words into one".to_owned(),
                );
            }
            (None, _) => {
                return refuse(
                    None,
                    format!(
                        "the recipe has no step from version {from}; if nothing moved, write m.from({from}, \"nothing moved\")"
                    ),
                );
            }
        }
    }
    Ok(due)
}
