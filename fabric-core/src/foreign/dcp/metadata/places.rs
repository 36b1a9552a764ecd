//! The files and the places of the bytes.

use super::{ChunkKey, MetadataReader, Payload};
use crate::foreign::pickle::{Id, Object};
use crate::hash::{HashMap, map_of};
use crate::source::refused::Refused;

impl<'p> MetadataReader<'p> {
    /// Reads `storage_data`, which maps each chunk to a run of bytes.
    pub(super) fn storage(&mut self, id: Id) -> Result<(), Refused> {
        let mut numbers = HashMap::default();
        let entries = self.graph.dict(id, "`storage_data`")?;
        self.memory
            .spend_each(entries.len(), size_of::<(ChunkKey<'_>, Payload)>())?;
        self.places = map_of(entries.len());
        for (key, value) in entries {
            let place = self.place(*key)?;
            let payload = self
                .payload(*value, &mut numbers)
                .map_err(|refused| refused.said(|what| format!("entry `{}`: {what}", place.0)))?;
            // All ranks beyond the end of a tensor write an equal empty chunk, and a dict keeps one of them.
            if let Some(first) = self.places.insert(place, payload)
                && first != payload
            {
                let place = self.place(*key)?;
                let at = place.1.unwrap_or_default();
                return Err(format!("entry `{}` is stored twice at {at:?}", place.0).into());
            }
        }
        Ok(())
    }

    /// Reads a `MetadataIndex`, without its hint.
    fn place(&self, id: Id) -> Result<ChunkKey<'p>, String> {
        let index = self.graph.instance(id, "MetadataIndex")?;
        let name = self.graph.text(index.required("fqn")?, "the name of an entry")?;
        let offset = index.get("offset")?.filter(|id| *self.graph.0.get(*id) != Object::None);
        let offset = offset
            .map(|id| self.graph.size(id, "the offset of a chunk"))
            .transpose();
        Ok((name, offset.map_err(|what| format!("entry `{name}`: {what}"))?))
    }

    fn payload(&mut self, id: Id, numbers: &mut HashMap<&'p str, usize>) -> Result<Payload, Refused> {
        let info = self.graph.instance(id, "_StorageInfo")?;
        let path = self.graph.text(info.required("relative_path")?, "the name of a file")?;
        if let Some(transforms) = info.get("transform_descriptors")? {
            self.no_transforms(transforms)?;
        }
        let file = match numbers.get(path) {
            Some(number) => *number,
            None => {
                check_file_name(path)?;
                let number = self.metadata.files.len();
                self.metadata.files.push(path.to_owned());
                numbers.insert(path, number);
                number
            }
        };
        let (start, len) = (info.required("offset")?, info.required("length")?);
        let start = self.graph.bytes(start, "the place in the file")?;
        let len = self.graph.bytes(len, "the length in the file")?;
        if start.checked_add(len).is_none() {
            return Err(format!("its {len} bytes from {start} lie beyond the end of any file").into());
        }
        Ok(Payload { file, start, len })
    }

    /// Refuses payloads that were written through a stream transform. PyTorch has no built-in transform.
    fn no_transforms(&self, id: Id) -> Result<(), Refused> {
        if *self.graph.0.get(id) == Object::None {
            return Ok(());
        }
        match self.graph.items(id, "the list of transforms")?.first() {
            None => Ok(()),
            Some(first) => Err(Refused::Unknown(format!(
                "it was written through the transform `{}`, which is not supported; save without the extension",
                self.graph.0.text(*first).unwrap_or("?")
            ))),
        }
    }
}

/// Refuses the name of a file outside of the directory.
fn check_file_name(name: &str) -> Result<(), String> {
    let mut components = std::path::Path::new(name).components();
    let plain = matches!(components.next(), Some(std::path::Component::Normal(_))) && components.next().is_none();
    if plain && !name.contains(['/', '\\', ':', '\0']) {
        return Ok(());
    }
    Err(format!(
        "it is stored in {name:?}, which is no plain name in the directory"
    ))
}
