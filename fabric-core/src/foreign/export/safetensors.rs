//! Writes the tensors of a checkpoint as a plain safetensors file.

use std::collections::BTreeMap;

use super::{ExportReport, copy};
use crate::error::{Error, Result};
use crate::format::safetensors::FileLayout;
use crate::load::raw::RawCheckpoint;
use crate::storage::WriteFile;

/// A safetensors file before the bytes of its tensors are written.
pub(super) struct SafetensorsImage<'a> {
    raw: &'a RawCheckpoint,
    layout: FileLayout,
}

impl<'a> SafetensorsImage<'a> {
    /// # Errors
    /// If safetensors has no such element type.
    pub(crate) fn new(raw: &'a RawCheckpoint) -> Result<Self> {
        let tensors = raw.index.tensors.iter();
        let infos = tensors.map(|(name, stored)| (name.clone(), stored.info.clone()));
        // Programs that use PyTorch, transformers among them, look for this key.
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let layout = FileLayout::new(infos.collect(), &metadata, None)
            .map_err(|error| Error::Options(format!("cannot be written as safetensors: {error}")))?;
        Ok(Self { raw, layout })
    }

    pub(crate) fn report(&self) -> ExportReport {
        ExportReport {
            tensors: self.layout.tensors.len(),
            values: 0,
            bytes: self.layout.file_len,
            left_out: self.raw.index.values.keys().cloned().collect(),
            added: Vec::new(),
        }
    }

    pub(crate) fn write(&self, file: &mut dyn WriteFile, path: &std::path::Path) -> Result<()> {
        let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
        put(&self.layout.header)?;
        for placed in &self.layout.tensors {
            if let Some(stored) = self.raw.index.tensors.get(&placed.name) {
                copy(self.raw, &placed.name, stored, &mut put)?;
            }
        }
        Ok(())
    }
}
