//! Recipes for open files.

use super::RawCheckpoint;
use crate::error::Result;
use crate::load::migrated::{Due, migrated};
use crate::migrate::Migrations;

impl RawCheckpoint {
    /// These entries after a recipe: under other names, and with tensors cut, joined and turned as its words say. The bytes of the
    /// file are read when a tensor is asked for, as before; only the word `tensor` reads at once.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use fabric_core::Fabric;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("model.ckpt");
    /// # let ones = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
    /// # let names = ["q", "k", "v"].map(|name| (format!("h.0.{name}.weight"), ones.clone()));
    /// # Fabric::new().save(&path, &std::collections::BTreeMap::from(names))?;
    /// let ours = Fabric::new().open(&path)?.migrated(|m| {
    ///     m.concat(["h.*.q.weight", "h.*.k.weight", "h.*.v.weight"], "blocks.*.qkv.weight", 0);
    /// })?;
    /// assert_eq!(ours.tensor("blocks.0.qkv.weight", &Device::Cpu)?.dims(), [6, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Migration`](crate::Error::Migration) if a word finds nothing or does not fit, and for
    /// [`insert_zeros`](Migrations::insert_zeros) and [`keep`](Migrations::keep), which need a state.
    pub fn migrated(&self, recipe: impl FnOnce(&mut Migrations)) -> Result<Self> {
        let mut call = Migrations::default();
        recipe(&mut call);
        let recipes = Due {
            call: &call,
            structs: Vec::new(),
            parameters: Vec::new(),
            keeps_hyperparameters: false,
            restores_optimizers: true,
            has_state: false,
        };
        Ok(migrated(self, &recipes)?.unwrap_or_else(|| self.clone()))
    }
}
