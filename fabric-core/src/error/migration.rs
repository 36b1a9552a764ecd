//! The error of a recipe.

use std::fmt;

use crate::entry::{shown, shown_path};

/// The reason why the recipe of a struct, or of a call, does not fit a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationError {
    /// The path of the checkpoint.
    pub origin: String,
    /// The level of the struct in the file; empty for the state itself and for the recipe of a call.
    pub path: String,
    /// The name of the struct in the program; empty for the recipe of a call.
    pub name: String,
    /// The version of the struct in the file; `None` if the file has none.
    pub found: Option<u32>,
    /// The version of the struct in the program; `None` for the recipe of a call.
    pub version: Option<u32>,
    /// The step: the version that it starts from, and its text.
    pub step: Option<(u32, String)>,
    /// The word that does not fit, as the program calls it.
    pub word: Option<String>,
    /// The finding, as a clause.
    pub what: String,
    /// True in a load, which has a state.
    pub(crate) has_state: bool,
}

impl fmt::Display for MigrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be migrated: ", shown_path(self.origin.as_ref()))?;
        if !self.name.is_empty() {
            write!(f, "`{}`", shown(&self.name))?;
            if !self.path.is_empty() {
                write!(f, " at `{}`", shown(&self.path))?;
            }
            match (self.found, self.version) {
                (Some(found), Some(version)) => {
                    write!(f, " has version {found} in the file and {version} in the program: ")?;
                }
                _ => write!(f, ": ")?,
            }
        }
        if let Some((from, what)) = &self.step {
            write!(f, "from({from}, {what:?})")?;
            f.write_str(if self.word.is_some() { "." } else { ": " })?;
        }
        if let Some(word) = &self.word {
            write!(f, "{}: ", shown(word))?;
        }
        write!(f, "{}", shown(&self.what))?;
        f.write_str(if self.has_state { "; the state is unchanged" } else { "" })
    }
}
