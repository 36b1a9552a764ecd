//! Reads a directory of weights in the layout of model hubs: one file `model.safetensors`, or an index and its shards.
//! Without an index, it reads a complete set of [numbered] files, or the [shards](sharding) that PyTorch writes in the
//! layout of Hugging Face.
//!
//! If a directory holds several sets of weights, the reader takes the set that Hugging Face transformers takes:
//! `model.safetensors` before `model.safetensors.index.json`, and both before `pytorch_model.bin` and its index. The
//! path of an index opens the shards of that index.

mod index;
mod numbered;
mod other;
mod sharding;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::index::{WeightMap, check_file_name};
use self::numbered::Numbered;
use self::sharding::Boxes;
use super::{param_groups, torch};
use crate::error::{Error, Result};
use crate::format::safetensors::Header;
use crate::source::open::first_bytes;
use crate::source::open_files::OpenFiles;
use crate::source::single::{bare_tensor, read_header};
use crate::source::{About, Files, Format, Index, ReadLimit, Source, StoredTensor};
use crate::storage::{ReadFile, Storage};
use crate::value::Value;

/// The name of each unsharded file, with the ending of the index names of its sharded form.
const SETS: [(&str, &str); 2] = [
    ("model.safetensors", ".safetensors.index.json"),
    ("pytorch_model.bin", ".bin.index.json"),
];

/// Opens a directory of weights.
pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let names = storage.list(path).map_err(Error::io("list", path))?;
    let numbered = names.iter().filter_map(|name| Some((Numbered::parse(name)?, name)));
    let mut numbered: Vec<(Numbered, &String)> = numbered.collect();
    for (whole, ending) in SETS {
        if names.iter().any(|name| name == whole) {
            return crate::source::open::open(storage, &path.join(whole), limit);
        }
        if let Some(index) = index_of(&names, whole, ending, path)? {
            return open_index(storage, &path.join(index), limit);
        }
        let numbered = std::mem::take(&mut numbered);
        if !numbered.is_empty() {
            return counted(storage, path, &numbered, limit);
        }
    }
    Err(Error::UnknownFormat {
        path: path.to_path_buf(),
        what: other::what(&names),
    })
}

/// The index file of a directory: the only one, or the index of the model itself.
fn index_of<'n>(names: &'n [String], whole: &str, ending: &str, path: &Path) -> Result<Option<&'n String>> {
    let own = format!("{whole}.index.json");
    let indexes: Vec<&String> = names.iter().filter(|name| name.ends_with(ending)).collect();
    if let Some(own) = indexes.iter().find(|name| ***name == own) {
        return Ok(Some(own));
    }
    match indexes[..] {
        [] => Ok(None),
        [index] => Ok(Some(index)),
        [first, second, ..] => Err(Error::UnknownFormat {
            path: path.to_path_buf(),
            what: format!(
                "it holds {} index files of weights, {first} and {second} among them; give the path of one of them",
                indexes.len()
            ),
        }),
    }
}

/// Opens a set of numbered files.
fn counted(
    storage: &Arc<dyn Storage>,
    path: &Path,
    numbered: &[(Numbered, &String)],
    limit: ReadLimit,
) -> Result<Arc<dyn Source>> {
    numbered::check_complete(numbered).map_err(|refused| refused.at(path))?;
    let mut files: Vec<Box<dyn ReadFile>> = Vec::with_capacity(numbered.len());
    let mut paths: Vec<PathBuf> = Vec::with_capacity(numbered.len());
    let mut tensors = BTreeMap::new();
    let mut boxes = Boxes::default();
    let open_files = OpenFiles::new(storage.clone());
    for (number, (of, name)) in numbered.iter().enumerate() {
        let file_path = path.join(name);
        let file = open_files.open(&file_path).map_err(Error::io("open", &file_path))?;
        let header = read_header(&*file, &file_path, limit)?;
        if of.rank.is_some() {
            boxes.add(&header, number, &file_path)?;
        } else {
            whole_tensors(&header, number, &file_path, &mut tensors)?;
        }
        files.push(file);
        paths.push(file_path);
    }
    tensors.append(&mut boxes.finish(&paths, path)?);
    let about = About::of(Format::HuggingFaceDirectory);
    let files = files.into_iter().zip(paths).collect();
    bare(path, about, (tensors, BTreeMap::new()), files, limit)
}

/// Adds the tensors of one file of a set without split tensors.
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

/// Opens the shards that an index file names. They lie in the directory of the index.
pub(crate) fn open_index(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let weight_map = index::read(&**storage, path, limit)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut shards = Shards::new(storage, path, &weight_map, limit);
    let names = weight_map.files();
    let each = limit.share(1, names.len() as u64);
    for name in names {
        check_file_name(path, name)?;
        shards.add(name, &directory.join(name), each)?;
    }
    shards.finish(directory)
}

/// The opened shards of an index.
struct Shards<'s> {
    open_files: OpenFiles,
    index: &'s Path,
    weight_map: &'s WeightMap,
    limit: ReadLimit,
    files: Vec<(Box<dyn ReadFile>, PathBuf)>,
    tensors: BTreeMap<String, StoredTensor>,
    values: BTreeMap<String, Value>,
}

impl<'s> Shards<'s> {
    fn new(storage: &Arc<dyn Storage>, index: &'s Path, weight_map: &'s WeightMap, limit: ReadLimit) -> Self {
        Self {
            open_files: OpenFiles::new(storage.clone()),
            index,
            weight_map,
            limit,
            files: Vec::new(),
            tensors: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }

    /// Adds a shard: a safetensors file or a `torch.save` file.
    fn add(&mut self, name: &str, path: &Path, each: ReadLimit) -> Result<()> {
        let file = self.open_files.open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NotFound {
                path: path.to_path_buf(),
                hint: format!(
                    "{} names this file, so a part of the weights is missing: download it",
                    self.index.display()
                ),
            },
            _ => Error::io("open", path)(error),
        })?;
        let number = self.files.len();
        if let Some(kind) = torch::kind(&first_bytes::<{ torch::FIRST }>(&*file, path)?) {
            let shard = torch::read(&*file, number, path, kind, each)?;
            for (entry, stored) in shard.tensors {
                self.put(name, path, entry, stored)?;
            }
            self.values.extend(shard.values);
        } else {
            for placed in &read_header(&*file, path, self.limit)?.tensors {
                self.put(name, path, placed.name.clone(), bare_tensor(placed, number))?;
            }
        }
        self.files.push((file, path.to_path_buf()));
        Ok(())
    }

    fn put(&mut self, name: &str, path: &Path, entry: String, stored: StoredTensor) -> Result<()> {
        if self.weight_map.file_of(&entry) != Some(name) {
            let what = format!("it holds entry `{entry}`, which the index gives to no file or to another");
            return Err(Error::corrupt(path, what));
        }
        self.tensors.insert(entry, stored);
        Ok(())
    }

    fn finish(self, directory: &Path) -> Result<Arc<dyn Source>> {
        if let Some((lost, name)) = self
            .weight_map
            .iter()
            .find(|(entry, _)| !self.tensors.contains_key(*entry))
        {
            return Err(Error::corrupt(
                &directory.join(name),
                format!("it lacks entry `{lost}`, which the index says it holds"),
            ));
        }
        let len = self.weight_map.len;
        let about = About::of(Format::HuggingFaceDirectory)
            .with_index(len)
            .with_unchecked(len);
        bare(directory, about, (self.tensors, self.values), self.files, self.limit)
    }
}

/// A directory of weights as a source.
fn bare(
    path: &Path,
    about: About,
    (tensors, values): (BTreeMap<String, StoredTensor>, BTreeMap<String, Value>),
    files: Vec<(Box<dyn ReadFile>, PathBuf)>,
    limit: ReadLimit,
) -> Result<Arc<dyn Source>> {
    let mut index = Index {
        origin: path.display().to_string(),
        tensors,
        tensors_only: values.is_empty(),
        values,
        ..Index::default()
    };
    let mut files = Files {
        index: Arc::default(),
        about,
        files,
        limit,
    };
    param_groups::gather_numbers(&mut index, &files)?;
    files.index = Arc::new(index);
    Ok(Arc::new(files))
}
