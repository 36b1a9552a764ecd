//! Recipes without the types that declare them.

use std::fmt;

use super::Migrations;

/// The recipes of a file for a program that has no types of its own, such as a command that reads them from a text.
///
/// ```
/// # use candle_core::{Device, Tensor};
/// # use fabric_core::{Checkpoint, Fabric, ReshardOptions};
/// # #[derive(Checkpoint)] struct Linear { w: Tensor }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (old, new) = (directory.path().join("old.ckpt"), directory.path().join("new.ckpt"));
/// use fabric_core::Recipes;
///
/// let fabric = Fabric::new();
/// # fabric.save(&old, &Linear { w: Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu)? })?;
/// let recipes = Recipes::new().of("Linear", 2, |m| {
///     m.from(1, "a word for a letter").rename("w", "weight");
/// });
/// fabric.migrate_with(&old, &new, &recipes, ReshardOptions::new())?;
/// assert_eq!(fabric.open(&new)?.names(), ["weight"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Recipes {
    pub(crate) call: Migrations,
    pub(crate) structs: Vec<StructRecipe>,
}

/// The recipe of every struct of one name.
#[derive(Clone, Debug)]
pub(crate) struct StructRecipe {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) recipe: Migrations,
}

impl Recipes {
    /// No recipe.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The recipe of the whole file, with names from its root, as [`LoadOptions::migrations`](crate::LoadOptions::migrations) has it.
    /// It comes before those of structs.
    #[must_use]
    pub fn whole(mut self, recipe: impl FnOnce(&mut Migrations)) -> Self {
        let mut own = Migrations::default();
        recipe(&mut own);
        self.call.steps.extend(own.steps);
        self
    }

    /// The recipe that leads every struct of this name in the file to `version`, with names below the struct. The name is the one in
    /// the file, which `ckpt ls` and [`RawCheckpoint::versions`](crate::RawCheckpoint::versions) show.
    #[must_use]
    pub fn of(mut self, name: impl Into<String>, version: u32, recipe: impl FnOnce(&mut Migrations)) -> Self {
        let mut own = Migrations::default();
        recipe(&mut own);
        self.structs.push(StructRecipe {
            name: name.into(),
            version,
            recipe: own,
        });
        self
    }

    /// The names of the structs that have recipes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.structs.iter().map(|own| own.name.as_str())
    }

    /// The recipe of the structs with a name.
    pub(crate) fn of_struct(&self, name: &str) -> Option<&StructRecipe> {
        self.structs.iter().find(|own| own.name == name)
    }
}

impl fmt::Debug for Recipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipes")
            .field("whole", &self.call)
            .field("structs", &self.structs)
            .finish()
    }
}
