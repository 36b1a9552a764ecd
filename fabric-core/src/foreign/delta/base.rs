//! The file that a delta is made against and applied to.

use std::path::Path;
use std::sync::Arc;

use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::format::delta::listed;
use crate::io::checksum::BLOCK;
use crate::source::read::read_block;
use crate::source::{Block, Check, Part, Source, StoredTensor};

/// A file of weights whose tensors are plain runs of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'s> {
    source: &'s Arc<dyn Source>,
}

impl<'s> Base<'s> {
    /// # Errors
    /// [`Error::UnknownFormat`] if its tensors are not plain runs of bytes.
    pub(crate) fn of(source: &'s Arc<dyn Source>) -> Result<Self> {
        let base = Self { source };
        for (name, stored) in &source.index().tensors {
            if run(stored).is_none() {
                return Err(Error::UnknownFormat {
                    path: base.path().to_path_buf(),
                    what: format!(
                        "entry `{name}` is no plain run of bytes, as the base of a delta has them; write a base with \
                         Fabric::export, to a name that ends in .safetensors"
                    ),
                });
            }
        }
        Ok(base)
    }

    pub(super) fn path(self) -> &'s Path {
        Path::new(&self.source.index().origin)
    }

    /// The name of the file, for people.
    pub(super) fn name(self) -> String {
        let name = self.path().file_name();
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The checksum of the names, element types and shapes of its tensors.
    pub(super) fn list(self) -> u64 {
        let tensors = &self.source.index().tensors;
        listed(tensors.iter().map(|(name, stored)| (name.as_str(), &stored.info)))
    }

    /// The names of its tensors.
    pub(super) fn names(self) -> impl Iterator<Item = &'s String> {
        self.source.index().tensors.keys()
    }

    /// The bytes of its tensors.
    pub(super) fn bytes(self) -> u64 {
        let tensors = self.source.index().tensors.values().filter_map(run);
        tensors.map(|part| part.place.len).fold(0, u64::saturating_add)
    }

    /// The blocks of the tensor of this name; `None` if there is none of this element type and shape.
    pub(super) fn blocks(self, name: &str, info: &TensorInfo) -> Option<impl Iterator<Item = Block> + use<'s>> {
        let stored = self.source.index().tensors.get(name)?;
        run(stored).filter(|_| stored.info == *info).map(Part::blocks)
    }

    /// Fills `into` with a block.
    pub(super) fn read(self, entry: &str, block: Block, into: &mut Vec<u8>) -> Result<()> {
        into.resize(block.len.min(BLOCK), 0);
        read_block(&**self.source, entry, block, into)
    }
}

/// The only part of a tensor that is one plain run of bytes.
fn run(stored: &StoredTensor) -> Option<&Part> {
    match &stored.parts[..] {
        [
            part @ Part {
                arrangement: None,
                cut: None,
                check: Check::Nothing | Check::Blocks(_),
                ..
            },
        ] if stored.info.byte_len().map(|len| len as u64) == Some(part.place.len) => Some(part),
        _ => None,
    }
}
