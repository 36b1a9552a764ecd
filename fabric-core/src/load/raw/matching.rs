//! The entries whose names match patterns.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RawCheckpoint;
use crate::error::{Error, Result};
use crate::filter::Patterns;

impl RawCheckpoint {
    /// The entries whose names match at least one of these shell patterns, under the same names. The syntax is that of the
    /// attribute `filter = glob("...")`: `*` also matches dots, `?` is one character, `[0-9]` one of several.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use fabric_core::Fabric;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let ones = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
    /// # let names = ["fc1.weight", "fc1.bias", "fc2.weight"];
    /// # let state: std::collections::BTreeMap<_, _> = names.map(|name| (name.to_owned(), ones.clone())).into();
    /// # Fabric::new().save(&path, &state)?;
    /// let raw = Fabric::new().open(&path)?;
    /// assert_eq!(raw.matching(&["*.weight"])?.names(), ["fc1.weight", "fc2.weight"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Options`] for an invalid pattern: a `[` that no `]` ends.
    pub fn matching<P: AsRef<str>>(&self, patterns: &[P]) -> Result<Self> {
        let patterns = Patterns::parse(patterns).map_err(Error::Options)?;
        let mut matching = (*self.index).clone();
        retain(&mut matching.tensors, &patterns);
        retain(&mut matching.values, &patterns);
        matching.filtered.retain(|name| patterns.matches(name));
        Ok(Self {
            index: Arc::new(matching),
            source: self.source.clone(),
        })
    }
}

fn retain<V>(entries: &mut BTreeMap<String, V>, patterns: &Patterns) {
    entries.retain(|name, _| patterns.matches(name));
}
