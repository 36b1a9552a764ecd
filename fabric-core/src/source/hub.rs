//! A directory of safetensors files: from a model hub, with an index file, `*.safetensors.index.json`, or without one,
//! then [numbered] completely; or the [shards](sharding) that PyTorch writes in the manner of the hubs.
//!
//! The index is that of Hugging Face transformers: `{"metadata": {...}, "weight_map": {"<tensor>": "<file>"}}`.

mod numbered;
mod sharding;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use self::numbered::Numbered;
use self::sharding::Boxes;
use super::open::open_file;
use super::open_files::OpenFiles;
use super::single::{bare_tensor, read_header};
use super::{Files, Index, Source, StoredTensor};
use crate::error::{Error, Result};
use crate::format::safetensors::Header;
use crate::pages;
use crate::storage::{ReadFile, Storage};

/// How the names of index files end.
const INDEX: &str = ".safetensors.index.json";

/// The file that a model in one piece has in place of an index.
const WHOLE: &str = "model.safetensors";

/// Longer index files are refused: a thousand bytes for each of a hundred thousand tensors.
const MAX_INDEX: u64 = 100_000_000;

#[derive(Deserialize)]
struct IndexFile {
    weight_map: BTreeMap<String, String>,
}

/// Opens a directory of weights.
pub(super) fn open(storage: &Arc<dyn Storage>, path: &Path) -> Result<Arc<dyn Source>> {
    let names = storage.list(path).map_err(Error::io("list", path))?;
    let indexes: Vec<&String> = names.iter().filter(|name| name.ends_with(INDEX)).collect();
    let numbered = names.iter().filter_map(|name| Some((Numbered::parse(name)?, name)));
    let numbered: Vec<(Numbered, &String)> = numbered.collect();
    match indexes[..] {
        [index] => indexed(storage, path, &path.join(index)),
        [] if !numbered.is_empty() => counted(storage, path, &numbered),
        [] if names.iter().any(|name| name == WHOLE) => super::open::open(storage, &path.join(WHOLE)),
        [] => Err(Error::UnknownFormat {
            path: path.to_path_buf(),
            what: nothing(&names),
        }),
        _ => Err(Error::UnknownFormat {
            path: path.to_path_buf(),
            what: format!(
                "it holds {} index files ({INDEX}); give the path of one model",
                indexes.len()
            ),
        }),
    }
}

fn nothing(names: &[String]) -> String {
    let likely = names.iter().find(|name| {
        let name = Path::new(name);
        name.extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("ckpt") || end.eq_ignore_ascii_case("safetensors"))
    });
    match likely {
        Some(name) => format!("it is a directory without an index ({INDEX}); did you mean the file {name} in it?"),
        None => format!("it is a directory, and holds neither an index ({INDEX}) nor {WHOLE}"),
    }
}

/// A set of files that count themselves.
fn counted(storage: &Arc<dyn Storage>, path: &Path, numbered: &[(Numbered, &String)]) -> Result<Arc<dyn Source>> {
    numbered::check_complete(numbered).map_err(|what| Error::corrupt(path, what))?;
    let mut files: Vec<Box<dyn ReadFile>> = Vec::with_capacity(numbered.len());
    let mut paths: Vec<PathBuf> = Vec::with_capacity(numbered.len());
    let mut tensors = BTreeMap::new();
    let mut boxes = Boxes::default();
    let open_files = OpenFiles::new(storage.clone());
    for (number, (of, name)) in numbered.iter().enumerate() {
        let file_path = path.join(name);
        let file = open_files.open(&file_path).map_err(Error::io("open", &file_path))?;
        let header = read_header(&*file, &file_path)?;
        if of.rank.is_some() {
            boxes.add(&header, number, &file_path)?;
        } else {
            whole_tensors(&header, number, &file_path, &mut tensors)?;
        }
        files.push(file);
        paths.push(file_path);
    }
    tensors.append(&mut boxes.finish(&paths, path)?);
    Ok(bare(path, tensors, files.into_iter().zip(paths).collect()))
}

/// Adds the tensors of one file of a set in which each is in one piece.
fn whole_tensors(
    header: &Header,
    number: usize,
    path: &Path,
    tensors: &mut BTreeMap<String, StoredTensor>,
) -> Result<()> {
    for placed in &header.tensors {
        let stored = bare_tensor(placed, number);
        if tensors.insert(placed.name.clone(), stored).is_some() {
            let what = format!("it holds entry `{}`, which another file holds too", placed.name);
            return Err(Error::corrupt(path, what));
        }
    }
    Ok(())
}

fn indexed(storage: &Arc<dyn Storage>, path: &Path, index_path: &Path) -> Result<Arc<dyn Source>> {
    let weight_map = read_index(&**storage, index_path)?;
    let open_files = OpenFiles::new(storage.clone());
    let mut files: Vec<(Box<dyn ReadFile>, PathBuf)> = Vec::new();
    let mut tensors = BTreeMap::new();
    let named: BTreeSet<&String> = weight_map.values().collect();
    for (number, name) in named.into_iter().enumerate() {
        check_file_name(index_path, name)?;
        let file_path = path.join(name);
        let file = open_files.open(&file_path).map_err(Error::io("open", &file_path))?;
        let header = read_header(&*file, &file_path)?;
        for placed in &header.tensors {
            if weight_map.get(&placed.name) != Some(name) {
                let what = format!(
                    "it holds entry `{}`, which the index gives to no file or to another",
                    placed.name
                );
                return Err(Error::corrupt(&file_path, what));
            }
            tensors.insert(placed.name.clone(), bare_tensor(placed, number));
        }
        files.push((file, file_path));
    }
    if let Some((lost, name)) = weight_map.iter().find(|(tensor, _)| !tensors.contains_key(*tensor)) {
        return Err(Error::corrupt(
            &path.join(name),
            format!("it lacks entry `{lost}`, which the index says it holds"),
        ));
    }
    Ok(bare(path, tensors, files))
}

/// A directory of weights as a source: tensors, and nothing else.
fn bare(
    path: &Path,
    tensors: BTreeMap<String, StoredTensor>,
    files: Vec<(Box<dyn ReadFile>, PathBuf)>,
) -> Arc<dyn Source> {
    let index = Index {
        origin: path.display().to_string(),
        tensors,
        tensors_only: true,
        ..Index::default()
    };
    Arc::new(Files {
        index: Arc::new(index),
        files,
    })
}

fn read_index(storage: &dyn Storage, path: &Path) -> Result<BTreeMap<String, String>> {
    let file = open_file(storage, path)?;
    let len = file.len().map_err(Error::io("look at", path))?;
    if len > MAX_INDEX {
        return Err(Error::corrupt(
            path,
            format!("an index of {len} bytes; {MAX_INDEX} are the most that is read"),
        ));
    }
    let len = usize::try_from(len).unwrap_or_default();
    let mut bytes = pages::zeroed(len).map_err(Error::io("read", path))?;
    file.read_exact_at(&mut bytes, 0).map_err(Error::io("read", path))?;
    let index: IndexFile = serde_json::from_slice(&bytes)
        .map_err(|error| Error::corrupt(path, format!("no index of weights: {error}")))?;
    Ok(index.weight_map)
}

/// A name from a file must not lead out of the directory.
fn check_file_name(index: &Path, name: &str) -> Result<()> {
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
