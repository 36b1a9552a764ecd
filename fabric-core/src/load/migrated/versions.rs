//! The versions of structs, in the file and in the program.

use super::edit::Edit;
use super::{At, follow};
use crate::error::Result;
use crate::format::manifest::StructRecord;
use crate::hash::HashMap;
use crate::migrate::{Migrations, Step};
use crate::source::Index;
use crate::state::StructPlace;

/// The most names by aliases of which a struct is looked for in a file.
const MOST_NAMES: usize = 64;

/// A struct of the state.
pub(crate) struct StructOfState {
    /// The paths that it may have in a file: its own, and those by aliases.
    paths: Vec<String>,
    name: &'static str,
    version: u32,
    recipe: fn(&mut Migrations),
    /// The place among the structs of the state with the same path.
    place: usize,
}

impl StructOfState {
    /// The structs of a walk, in its order.
    pub(crate) fn all<'p>(places: impl IntoIterator<Item = &'p StructPlace>) -> Vec<Self> {
        let mut at_path: HashMap<&str, usize> = HashMap::default();
        let all = places.into_iter().map(|place| {
            let count = at_path.entry(&place.names.own).or_default();
            *count += 1;
            let mut paths = vec![place.names.own.clone()];
            if place.names.has_others() {
                paths.extend(place.names.others(MOST_NAMES).unwrap_or_default());
            }
            Self {
                paths,
                name: place.name,
                version: place.version,
                recipe: place.recipe,
                place: *count - 1,
            }
        });
        all.collect()
    }
}

/// The structs of a file by their paths.
pub(super) struct ByPath(HashMap<String, Vec<usize>>);

impl ByPath {
    pub(super) fn of(index: &Index) -> Self {
        let mut by_path: HashMap<String, Vec<usize>> = HashMap::default();
        for (at, record) in index.structs.iter().enumerate() {
            by_path.entry(record.path.clone()).or_default().push(at);
        }
        Self(by_path)
    }

    /// The struct of the file with the path of one of the state. Several at one path (a newtype and its contents, a flattened
    /// struct) are told by their names, and a renamed one by its place.
    fn find(&self, own: &StructOfState, index: &Index) -> Option<usize> {
        let at_path = own.paths.iter().find_map(|path| self.0.get(path))?;
        let is_named = |at: &&usize| index.structs[**at].name == own.name;
        at_path
            .iter()
            .find(is_named)
            .or_else(|| at_path.get(own.place))
            .copied()
    }
}

/// Returns false if every struct of the state has its version in the file.
pub(super) fn may_differ(structs: &[StructOfState], index: &Index) -> bool {
    let all_first = structs.iter().all(|own| own.version == 1) && index.structs.iter().all(|own| own.version == 1);
    if index.structs.is_empty() || all_first {
        return false;
    }
    let by_path = ByPath::of(index);
    let differs = |own: &StructOfState| {
        let found = by_path.find(own, index);
        found.is_some_and(|at| index.structs[at].version != own.version)
    };
    structs.iter().any(differs)
}

/// Follows the steps of a struct from the version in the file to the version in the program. Returns true if there were steps.
///
/// # Errors
/// [`Error::Migration`](crate::Error::Migration) if the file is newer, if a step is missing or there twice, or if a word does not fit.
pub(super) fn bring_up(edit: &mut Edit, own: &StructOfState, by_path: &ByPath) -> Result<bool> {
    let Some(place) = by_path.find(own, &edit.index) else {
        return Ok(false);
    };
    let record = edit.index.structs[place].clone();
    if record.version == own.version {
        return Ok(false);
    }
    let at = At {
        path: &record.path,
        name: own.name,
        found: Some(record.version),
        version: Some(own.version),
    };
    if record.version > own.version {
        if record.path.is_empty() && record.name != own.name {
            // A state with a part of the saved one: names decide.
            return Ok(false);
        }
        let what = "the file is newer: load it with the program that wrote it, or a later one";
        return Err(at.error(&edit.index.origin, None, None, what));
    }
    let mut recipe = Migrations::default();
    (own.recipe)(&mut recipe);
    if recipe.steps.is_empty() {
        // A version without a recipe: names and aliases decide.
        return Ok(false);
    }
    let may_be_another = record.path.is_empty() && record.name != own.name;
    let before = may_be_another.then(|| edit.clone());
    let followed = steps(&recipe, &at, &edit.index.origin)
        .and_then(|due| due.into_iter().try_for_each(|step| follow(edit, step, &at)));
    match (followed, before) {
        (Err(error), Some(before)) => {
            // Perhaps the struct was never saved there: the match says what is in the file.
            *edit = before;
            let sentence = format!("the recipe of `{}` is not for this file ({error})", own.name);
            edit.index.edits.notes.push(sentence);
            return Ok(false);
        }
        (followed, _) => followed?,
    }
    let brought_up = |other: &&mut StructRecord| other.path == record.path && other.name == record.name;
    if let Some(record) = edit.index.structs.iter_mut().find(brought_up) {
        own.name.clone_into(&mut record.name);
        record.version = own.version;
    }
    Ok(true)
}

/// The steps that the file has not seen, in the order of their versions.
fn steps<'r>(recipe: &'r Migrations, at: &At<'_>, origin: &str) -> Result<Vec<&'r Step>> {
    let (found, version) = (at.found.unwrap_or(1), at.version.unwrap_or(1));
    let refuse = |step: Option<&Step>, what: String| Err(at.error(origin, step, None, what));
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
            format!("a step from there leads beyond version {version}, which the struct declares"),
        );
    }
    let mut due = Vec::new();
    for from in found..version {
        let mut steps = recipe.steps.iter().filter(|step| step.from == Some(from));
        match (steps.next(), steps.next()) {
            (Some(step), None) => due.push(step),
            (Some(step), Some(_)) => return refuse(Some(step), "the recipe has two steps from there".to_owned()),
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
