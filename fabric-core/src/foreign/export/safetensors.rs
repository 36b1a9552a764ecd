//! Writes the tensors of a checkpoint as a plain safetensors file.

use std::collections::BTreeMap;

use super::{Copier, ExportReport};
use crate::error::{Error, Result};
use crate::format::safetensors::FileLayout;
use crate::source::Index;
use crate::storage::WriteFile;

/// A safetensors file before the bytes of its tensors are written.
pub(in crate::foreign) struct SafetensorsImage<'a> {
    index: &'a Index,
    pub(in crate::foreign) layout: FileLayout,
}

impl<'a> SafetensorsImage<'a> {
    /// # Errors
    /// If safetensors has no such element type.
    pub(crate) fn new(index: &'a Index) -> Result<Self> {
        let tensors = index.tensors.iter();
        let infos = tensors.map(|(name, stored)| (name.clone(), stored.info.clone()));
        // Programs that use PyTorch, transformers among them, look for this key.
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let layout = FileLayout::new(infos.collect(), &metadata, None)
            .map_err(|error| Error::Options(format!("cannot be written as safetensors: {error}")))?;
        Ok(Self { index, layout })
    }

    pub(crate) fn report(&self) -> ExportReport {
        ExportReport {
            tensors: self.layout.tensors.len(),
            values: 0,
            bytes: self.layout.file_len,
            left_out: self.index.values.keys().cloned().collect(),
            added: Vec::new(),
            overflowed: Vec::new(),
            not_read: self.index.not_read(),
        }
    }

    pub(super) fn write(&self, copier: &Copier<'_>, file: &mut dyn WriteFile, path: &std::path::Path) -> Result<()> {
        let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
        put(&self.layout.header)?;
        for placed in &self.layout.tensors {
            copier.copy(&placed.name, placed.info.dtype(), &mut put)?;
        }
        Ok(())
    }
}
