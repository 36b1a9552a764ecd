//! Reads the index files of Hugging Face transformers:
//! `{"metadata": {...}, "weight_map": {"<tensor>": "<file>"}}`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::error::Category;

use super::super::pairs;
use crate::error::{Error, Result};
use crate::source::ReadLimit;
use crate::source::open::{open_file, read_whole};
use crate::source::recognized;
use crate::source::refused::Refused;
use crate::storage::Storage;

/// The longest index file that is read, in bytes: a thousand bytes for each of a hundred thousand tensors.
const MAX_INDEX: u64 = 100_000_000;

/// The least memory of an entry, in bytes: two texts with their contents, and their places in a map.
const ENTRY: usize = 160;

#[derive(Deserialize)]
struct IndexFile<'j> {
    #[serde(borrow)]
    weight_map: pairs::Pairs<'j, pairs::Text<'j>>,
}

/// The file of each tensor.
pub(super) struct WeightMap {
    files: BTreeMap<String, String>,
    /// The length of the index file in bytes.
    pub(super) len: u64,
}

impl WeightMap {
    pub(crate) fn files(&self) -> BTreeSet<&String> {
        self.files.values().collect()
    }

    pub(crate) fn file_of(&self, entry: &str) -> Option<&str> {
        self.files.get(entry).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.files.iter()
    }
}

/// Reads an index file.
pub(crate) fn read(storage: &dyn Storage, path: &Path, limit: ReadLimit) -> Result<WeightMap> {
    let file = open_file(storage, path)?;
    let len = file.len().map_err(Error::io("look at", path))?;
    limit.check_piece(path, "index", len, MAX_INDEX)?;
    let bytes = read_whole(&*file, path, 0, len)?;
    parse(&bytes, limit).map_err(|refused| match bytes.trim_ascii_start() {
        [b'{', ..] => refused.at(path),
        _ => recognized::or_foreign(refused.at(path), &*file, path),
    })
}

fn parse(bytes: &[u8], limit: ReadLimit) -> std::result::Result<WeightMap, Refused> {
    let index: IndexFile<'_> = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => Refused::Unknown(format!("it is a JSON file, and no index of weights: {error}")),
        _ => Refused::Damaged(format!("no index of weights: {error}")),
    })?;
    let pairs = index.weight_map.0;
    let mut memory = limit.budget(bytes.len());
    memory.spend_each(pairs.len(), ENTRY)?;
    let mut weight_map = BTreeMap::new();
    for (entry, file) in pairs {
        if let Some(file) = weight_map.insert(entry.0.into_owned(), file.0.into_owned()) {
            return Err(Refused::Damaged(format!(
                "its `weight_map` has an entry of {file} twice"
            )));
        }
    }
    Ok(WeightMap {
        files: weight_map,
        len: bytes.len() as u64,
    })
}

/// Refuses the name of a file outside of the directory.
pub(crate) fn check_file_name(index: &Path, name: &str) -> Result<()> {
    let mut components = Path::new(name).components();
    let plain = matches!(components.next(), Some(std::path::Component::Normal(_))) && components.next().is_none();
    if plain && !name.contains(['/', '\\']) {
        return Ok(());
    }
    Err(Error::corrupt(
        index,
        format!("it names the file {name:?}, which is no plain name in its directory"),
    ))
}
