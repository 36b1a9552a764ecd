//! Follows the words of a migration: edits the index of a file, so that it has the names, shapes and values of the present program.
//! No bytes are read, except by the word `tensor`, and nothing of the state is touched.

mod edit;
mod elements;
mod memory;
mod moments;
mod moving;
mod optimizers;
mod versions;
mod words;

use std::fmt;

use self::edit::Edit;
pub(crate) use self::versions::StructOfState;
use crate::error::{Error, MigrationError, Result};
use crate::load::raw::RawCheckpoint;
use crate::migrate::{Migrations, Recipes, Step, StructRecipe};
use crate::source::Index;
use crate::state::{Checkpoint, StructPlace, TypeWalk, Visitor};

/// The recipes that are due, and the facts about the state that they need.
pub(crate) struct Due<'r> {
    /// The recipe of the call.
    pub(crate) call: &'r Migrations,
    /// The structs of the state, outer ones first.
    pub(crate) structs: Vec<StructOfState<'r>>,
    /// The names of the parameters that the optimizers of the state have.
    pub(crate) parameters: Vec<String>,
    /// True if the hyper-parameters of the file are not used.
    pub(crate) keeps_hyperparameters: bool,
    /// False if the load restores no optimizer's state.
    pub(crate) restores_optimizers: bool,
    /// False if there is no state, from which some words take shapes.
    pub(crate) has_state: bool,
}

/// The file after all recipes; `None` if nothing is to be done.
///
/// # Errors
/// [`Error::Migration`] if a recipe does not fit the file.
pub(crate) fn migrated(file: &RawCheckpoint, recipes: &Due<'_>) -> Result<Option<RawCheckpoint>> {
    if recipes.call.steps.is_empty() && !versions::may_differ(&recipes.structs, &file.index) {
        return Ok(None);
    }
    let mut edit = Edit::new(file, recipes);
    follow_call(&mut edit, recipes.call)?;
    for of_state in &recipes.structs {
        versions::bring_up(&mut edit, of_state)?;
    }
    Ok(Some(edit.finish()))
}

/// Follows the recipe of a call.
fn follow_call(edit: &mut Edit<'_>, call: &Migrations) -> Result<()> {
    let outermost = edit.index.structs.iter().find(|record| record.path.is_empty());
    let at = At {
        path: "",
        name: "",
        found: outermost.map(|record| record.version),
        version: None,
    };
    let mut due = call.steps.iter().filter(|step| at.is_due(step));
    due.try_for_each(|step| follow(edit, step, &at))
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

    /// The error of a step or a word.
    fn error(&self, edit: &Edit<'_>, step: Option<&Step>, word: Option<String>, what: impl fmt::Display) -> Error {
        Error::Migration(Box::new(MigrationError {
            what: what.to_string(),
            ..self.refusal(edit, step, word)
        }))
    }

    /// An error without its finding.
    fn refusal(&self, edit: &Edit<'_>, step: Option<&Step>, word: Option<String>) -> MigrationError {
        MigrationError {
            origin: edit.index.origin.clone(),
            path: self.path.to_owned(),
            name: self.name.to_owned(),
            found: self.found,
            version: self.version,
            step: step.and_then(|step| Some((step.from?, step.what.clone()))),
            word,
            what: String::new(),
            has_state: edit.due.has_state,
        }
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
fn follow(edit: &mut Edit<'_>, step: &Step, at: &At<'_>) -> Result<()> {
    for word in &step.words {
        edit.begin(at.refusal(edit, Some(step), Some(format!("{word:?}"))));
        edit.follow(at.path, word).map_err(|problem| match problem {
            Problem::Error(error) => error,
            Problem::Clause(what) => at.error(edit, Some(step), Some(format!("{word:?}")), what),
        })?;
    }
    Ok(())
}

/// Returns true if a recipe may leave entries of the state as they are.
pub(crate) fn may_keep<S: Checkpoint + ?Sized>(state: &S, call: &Migrations) -> bool {
    let mut visitor = Visitor::new();
    state.visit(&mut visitor);
    call.keeps() || visitor.finish().structs.iter().any(StructPlace::keeps)
}

/// The file after the recipes of all structs of the type `S`, without a state.
///
/// # Errors
/// As [`migrated`]; and for words that need a state.
pub(crate) fn brought_up<S: Checkpoint + ?Sized>(file: &RawCheckpoint) -> Result<RawCheckpoint> {
    let call = Migrations::default();
    let structs = |index: &Index| {
        let paths = index.structs.iter().map(|record| record.path.clone()).collect();
        StructOfState::all(&TypeWalk::structs_of::<S>(&paths))
    };
    every_struct(file, &call, structs)
}

/// The file after recipes that belong to the names of structs.
///
/// # Errors
/// As [`brought_up`]; and if no struct of the file has the name of a recipe.
pub(crate) fn brought_up_by(file: &RawCheckpoint, recipes: &Recipes) -> Result<RawCheckpoint> {
    let is_there = |recipe: &&StructRecipe| file.index.structs.iter().any(|record| record.name == recipe.name);
    if !recipes.structs.is_empty() && !recipes.structs.iter().any(|recipe| is_there(&recipe)) {
        return Err(versions::no_such_struct(&file.index, recipes));
    }
    let brought_up = every_struct(file, &recipes.call, |index| StructOfState::of_names(index, recipes))?;
    match brought_up.index.structs.iter().find(|record| record.name.is_empty()) {
        Some(unnamed) => Err(Error::Options(format!(
            "{}: a step makes the struct at `{}`, whose name only the program has: call Fabric::migrate::<State>(from, to) there",
            file.index.origin, unnamed.path
        ))),
        None => Ok(brought_up),
    }
}

/// The file after the recipe of a call, and those of all structs that `structs` finds.
fn every_struct<'r>(
    file: &RawCheckpoint,
    call: &Migrations,
    structs: impl Fn(&Index) -> Vec<StructOfState<'r>>,
) -> Result<RawCheckpoint> {
    let due = Due {
        call,
        structs: Vec::new(),
        parameters: Vec::new(),
        keeps_hyperparameters: false,
        restores_optimizers: true,
        has_state: false,
    };
    let mut edit = Edit::new(file, &due);
    follow_call(&mut edit, call)?;
    loop {
        edit.has_moved_structs = false;
        for own in &structs(&edit.index) {
            versions::bring_up(&mut edit, own)?;
            if edit.has_moved_structs {
                // The structs inside of this one may lie elsewhere now, so the walk begins again.
                break;
            }
        }
        if !edit.has_moved_structs {
            break;
        }
    }
    if let Some(level) = edit.index.edits.anew.first().filter(|_| edit.has_dropped_state) {
        return Err(Error::Options(format!(
            "{}: the optimizer's state `{level}` begins anew, which a file cannot say: load the file into a state, and save that",
            file.index.origin
        )));
    }
    Ok(edit.finish())
}
