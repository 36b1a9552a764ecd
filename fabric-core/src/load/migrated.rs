//! Follows the words of a migration: edits the index of a file, so that it has the names, shapes and values of the present program.
//! No bytes are read, except by the word `tensor`, and nothing of the state is touched.

mod edit;
mod elements;
mod memory;
mod moments;
mod optimizers;
mod versions;
mod words;

use std::fmt;
use std::sync::Arc;

use self::edit::Edit;
use self::versions::ByPath;
pub(crate) use self::versions::StructOfState;
use crate::error::{Error, MigrationError, Result};
use crate::load::raw::RawCheckpoint;
use crate::migrate::{Migrations, Step};
use crate::state::{Checkpoint, TypeWalk};

/// The recipes of a load, and the facts about the state that they need.
pub(crate) struct Recipes<'r> {
    /// The recipe of the call.
    pub(crate) call: &'r Migrations,
    /// The structs of the state, outer ones first.
    pub(crate) structs: Vec<StructOfState>,
    /// The levels of the optimizers' state that the load restores; `None` for all of the file.
    pub(crate) states: Option<Vec<String>>,
    /// False if there is no state, from which some words take shapes.
    pub(crate) has_state: bool,
}

/// The file after all recipes; `None` if nothing is to be done.
///
/// # Errors
/// [`Error::Migration`] if a recipe does not fit the file.
pub(crate) fn migrated(file: &RawCheckpoint, recipes: &Recipes<'_>) -> Result<Option<RawCheckpoint>> {
    if recipes.call.steps.is_empty() && !versions::may_differ(&recipes.structs, &file.index) {
        return Ok(None);
    }
    let mut edit = Edit::new(file, recipes);
    let before = file.index.structs.iter().find(|record| record.path.is_empty());
    let call = At {
        path: "",
        name: "",
        found: before.map(|record| record.version),
        version: None,
    };
    for step in recipes.call.steps.iter().filter(|step| call.is_due(step)) {
        follow(&mut edit, step, &call)?;
    }
    let mut by_path = ByPath::of(&edit.index);
    for of_state in &recipes.structs {
        if versions::bring_up(&mut edit, of_state, &by_path)? {
            by_path = ByPath::of(&edit.index);
        }
    }
    let (index, source) = edit.finish();
    Ok(Some(RawCheckpoint {
        index: Arc::new(index),
        source,
    }))
}

/// The struct that a recipe belongs to, in the file.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a str,
    name: &'a str,
    /// The version in the file.
    found: Option<u32>,
    /// The version in the program; `None` for the recipe of a call.
    version: Option<u32>,
}

impl At<'_> {
    /// Returns true for a step of a call that the file has not seen: one without a version, or one from the version of the outermost
    /// struct on. A file without versions has seen none.
    fn is_due(&self, step: &Step) -> bool {
        match (step.from, self.found) {
            (Some(from), Some(found)) => from >= found,
            _ => true,
        }
    }

    fn error(&self, origin: &str, step: Option<&Step>, word: Option<String>, what: impl fmt::Display) -> Error {
        Error::Migration(Box::new(MigrationError {
            origin: origin.to_owned(),
            path: self.path.to_owned(),
            name: self.name.to_owned(),
            found: self.found,
            version: self.version,
            step: step.and_then(|step| Some((step.from?, step.what.clone()))),
            word,
            what: what.to_string(),
        }))
    }
}

/// The reason why a word cannot be followed.
enum Problem {
    /// A clause about the file and the recipe.
    Clause(String),
    /// The file could not be read.
    Error(Error),
}

impl From<String> for Problem {
    fn from(clause: String) -> Self {
        Self::Clause(clause)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Follows the words of one step.
fn follow(edit: &mut Edit, step: &Step, at: &At<'_>) -> Result<()> {
    for word in &step.words {
        edit.begin(format!("{word:?}"));
        edit.follow(at.path, word).map_err(|problem| match problem {
            Problem::Error(error) => error,
            Problem::Clause(what) => at.error(&edit.index.origin, Some(step), Some(format!("{word:?}")), what),
        })?;
    }
    Ok(())
}

/// The file after the recipes of all structs of the type `S`, without a state.
///
/// # Errors
/// As [`migrated`]; and for words that need a state.
pub(crate) fn brought_up<S: Checkpoint + ?Sized>(file: &RawCheckpoint) -> Result<RawCheckpoint> {
    let nothing = Migrations::default();
    let recipes = Recipes {
        call: &nothing,
        structs: Vec::new(),
        states: None,
        has_state: false,
    };
    let mut edit = Edit::new(file, &recipes);
    loop {
        // The steps of an outer struct may move the structs inside of it, so the walk begins again after each.
        let paths = edit.index.structs.iter().map(|record| record.path.clone()).collect();
        let places = TypeWalk::structs_of::<S>(&paths);
        let by_path = ByPath::of(&edit.index);
        let mut structs = StructOfState::all(&places).into_iter();
        let changed = structs.try_fold(false, |changed, own| {
            if changed {
                Ok(true)
            } else {
                versions::bring_up(&mut edit, &own, &by_path)
            }
        })?;
        if !changed {
            break;
        }
    }
    let (index, source) = edit.finish();
    Ok(RawCheckpoint {
        index: Arc::new(index),
        source,
    })
}
