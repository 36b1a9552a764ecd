//! A checkpoint of ours in a directory: a manifest that says how tensors are cut, and a file for each rank that wrote.
//!
//! Opening reads the manifest. Which file holds a box follows from it, and a file is opened when something of it is read:
//! a rank that needs its own rows of a tensor opens the files that overlap them, however many there are; those that were
//! read last stay open. Each file has a
//! manifest of its own, with checksums, and must say the same of every box as the directory does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::dist::mesh::Deal;
use crate::entry::{Region, TensorInfo};
use crate::error::{Error, Result};
use crate::foreign::recognized;
use crate::format::directory::{DirectoryManifest, FILE_NAME, MAGIC, SplitRecord, rank_file};
use crate::format::manifest::{ManifestError, ShardManifest, TensorRecord};
use crate::format::shard_agrees;
use crate::hash::HashMap;
use crate::io::pages;
use crate::source::limit::OverLimit;
use crate::source::open::{open_file, read_whole};
use crate::source::open_files::OpenFiles;
use crate::source::refused::Refused;
use crate::source::single::{DECODED, read_header, read_manifest};
use crate::source::values::own_values;
use crate::source::{Check, Index, Part, Place, ReadLimit, Source, StoredTensor};
use crate::storage::{FileKind, ReadFile, Storage};

/// The manifest is read in one piece; longer ones are refused before memory is taken for them.
const MAX_MANIFEST: u64 = crate::format::MAX_MANIFEST;

/// Whether a directory is to be opened as a checkpoint of ours: it has an entry of the manifest's name. If that is a FIFO or a
/// device, opening it says so.
pub(crate) fn is_one(storage: &dyn Storage, path: &Path) -> Result<bool> {
    let manifest = path.join(FILE_NAME);
    let kind = storage.kind(&manifest).map_err(Error::io("look at", &manifest))?;
    Ok(matches!(kind, Some(FileKind::File | FileKind::Other)))
}

/// Whether a directory carries our mark: it has a manifest, which begins as ours do.
pub(crate) fn is_ours(storage: &dyn Storage, path: &Path) -> Result<bool> {
    let manifest = path.join(FILE_NAME);
    let kind = storage.kind(&manifest).map_err(Error::io("look at", &manifest))?;
    if kind != Some(FileKind::File) {
        return Ok(false);
    }
    let file = open_file(storage, &manifest)?;
    let mut first = [0; MAGIC.len()];
    match file.read_exact_at(&mut first, 0) {
        Ok(()) => Ok(first == MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::io("read", &manifest)(error)),
    }
}

/// The generation that a rank's file says it is of.
pub(crate) fn generation_of(storage: &dyn Storage, path: &Path) -> Result<String> {
    let file = open_file(storage, path)?;
    read_shard(&*file, path, ReadLimit::default()).map(|manifest| manifest.generation)
}

/// The manifest of a rank's file, which was checked to say the same as the header.
fn read_shard(file: &dyn ReadFile, path: &Path, limit: ReadLimit) -> Result<ShardManifest> {
    let header = read_header(file, path, limit)?;
    let placed = header
        .manifest()
        .map_err(|error| Error::corrupt(path, error.to_string()))?;
    let Some(placed) = placed else {
        return Err(Error::corrupt(path, "it has no manifest, and so no checksums"));
    };
    let bytes = read_manifest(file, path, placed)?;
    let manifest = ShardManifest::decode(&bytes).map_err(|error| refused(path, &error))?;
    shard_agrees(&header, &manifest).map_err(|what| Error::corrupt(path, what))?;
    Ok(manifest)
}

/// Reads the manifest of the checkpoint at `path`.
pub(crate) fn read_directory(storage: &dyn Storage, path: &Path) -> Result<DirectoryManifest> {
    let path = path.join(FILE_NAME);
    let file = open_file(storage, &path)?;
    let len = file.len().map_err(Error::io("look at", &path))?;
    if len > MAX_MANIFEST {
        let what = format!("it has {len} bytes, and no manifest is longer than {MAX_MANIFEST}");
        return Err(Error::UnknownFormat { path, what });
    }
    let bytes = read_whole(&*file, &path, 0, len)?;
    pages::look(bytes.len().saturating_mul(DECODED)).map_err(Error::io("read", &path))?;
    DirectoryManifest::decode(&bytes).map_err(|error| match error {
        ManifestError::TooShort { .. } | ManifestError::Magic { .. } => {
            recognized::or_foreign(refused(&path, &error), &*file, &path)
        }
        _ => refused(&path, &error),
    })
}

fn refused(path: &Path, error: &ManifestError) -> Error {
    match *error {
        ManifestError::Newer { found, supported } => Error::NewerFormat {
            path: path.to_path_buf(),
            found,
            supported,
        },
        _ => Error::corrupt(path, error.to_string()),
    }
}

/// Opens the directory.
pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let manifest = read_directory(&**storage, path)?;
    let ranks = manifest.mesh().world_size();
    check_memory(&manifest, limit).map_err(|over| Refused::from(over).at(&path.join(FILE_NAME)))?;
    let deal = Deal::new(
        manifest.mesh(),
        manifest.tensors.iter().map(|record| (record.info(), record.split())),
    );
    let folder = path.join(&manifest.generation);
    let names = manifest.tensors.iter().map(|record| record.name.clone()).collect();
    Ok(Arc::new(Directory {
        index: Arc::new(index(&manifest, path)?),
        open_files: OpenFiles::new(storage.clone()),
        files: (0..ranks).map(|_| Slot::default()).collect(),
        generation: manifest.generation,
        folder,
        names,
        deal,
        limit,
    }))
}

/// What is derived of a manifest is in proportion to it, but for these: which axes a tensor is not cut over, and what ties
/// repeat.
fn check_memory(manifest: &DirectoryManifest, limit: ReadLimit) -> std::result::Result<(), OverLimit> {
    let entries = manifest.tensors.len() + manifest.ties.len() + manifest.values.len();
    let mut memory = limit.budget(entries * size_of::<SplitRecord>());
    memory.spend_each(manifest.tensors.len() * manifest.mesh.len(), size_of::<usize>())?;
    for tie in &manifest.ties {
        let target = usize::try_from(tie.target).ok().and_then(|at| manifest.tensors.get(at));
        memory.spend_each(target.map_or(0, |target| target.shape.len()), size_of::<[usize; 3]>())?;
    }
    Ok(())
}

fn index(manifest: &DirectoryManifest, path: &Path) -> Result<Index> {
    let mut tensors: BTreeMap<String, StoredTensor> = BTreeMap::new();
    for (number, record) in manifest.tensors.iter().enumerate() {
        tensors.insert(record.name.clone(), unlocated(number, record));
    }
    for tie in &manifest.ties {
        // The manifest was checked to have the target.
        if let Some((number, record)) = usize::try_from(tie.target)
            .ok()
            .and_then(|at| Some((at, manifest.tensors.get(at)?)))
        {
            tensors.insert(tie.name.clone(), unlocated(number, record));
        }
    }
    Ok(Index {
        order: Arc::default(),
        origin: path.display().to_string(),
        tensors,
        values: own_values(&manifest.values, &path.join(FILE_NAME))?,
        filtered: manifest.filtered.iter().cloned().collect(),
        tensors_only: false,
        state_version: manifest.state_version,
        cuts: cuts(manifest),
    })
}

/// How tensors are cut, by the names of the mesh's axes.
fn cuts(manifest: &DirectoryManifest) -> BTreeMap<String, Vec<(usize, Vec<String>)>> {
    let axis = |axis: &usize| manifest.mesh.get(*axis).map(|(name, _)| name.clone());
    let records = manifest.tensors.iter().map(|record| (record, record.split()));
    let cut = records.filter(|(_, split)| !split.is_whole()).map(|(record, split)| {
        let cuts = split.cuts.iter();
        let cuts = cuts.map(|cut| (cut.dim, cut.axes.iter().filter_map(axis).collect()));
        (record.name.clone(), cuts.collect())
    });
    cut.collect()
}

/// A tensor whose files have not been looked at: its place has the number of its record.
fn unlocated(number: usize, record: &SplitRecord) -> StoredTensor {
    let info = record.info();
    let place = Place {
        file: 0,
        start: number as u64,
        len: info.byte_len().unwrap_or_default() as u64,
    };
    let parts = vec![Part::plain(Region::whole(info.shape()), place, Check::Framed)];
    StoredTensor { info, parts }
}

/// A directory, opened.
#[derive(Debug)]
struct Directory {
    index: Arc<Index>,
    open_files: OpenFiles,
    folder: PathBuf,
    generation: String,
    names: Vec<String>,
    deal: Deal,
    /// One for each rank that could have written, opened when it is needed.
    files: Vec<Slot>,
    limit: ReadLimit,
}

/// Where the file of a rank is kept, once it is open. Threads that want it at the same time open it once.
#[derive(Debug, Default)]
struct Slot {
    opening: Mutex<()>,
    opened: OnceLock<Box<Opened>>,
}

/// The file of a rank.
#[derive(Debug)]
struct Opened {
    file: Box<dyn ReadFile>,
    path: PathBuf,
    tensors: HashMap<String, TensorRecord>,
}

impl Directory {
    fn opened(&self, rank: usize) -> Result<&Opened> {
        let Some(slot) = self.files.get(rank) else {
            let what = format!(
                "it asks for a file of rank {rank}, and its mesh has {}",
                self.files.len()
            );
            return Err(Error::corrupt(&self.folder, what));
        };
        if let Some(opened) = slot.opened.get() {
            return Ok(opened);
        }
        let _turn = slot.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = slot.opened.get() {
            return Ok(opened);
        }
        let opened = self.open(rank)?;
        Ok(slot.opened.get_or_init(|| Box::new(opened)))
    }

    fn open(&self, rank: usize) -> Result<Opened> {
        let path = self.folder.join(rank_file(rank));
        let file = self.open_files.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound {
                path: path.clone(),
                hint: format!(
                    "the manifest of the checkpoint needs this file, the part of rank {rank}; it was lost, not copied along, or \
                     a newer save has replaced this checkpoint since it was opened"
                ),
            },
            _ => Error::io("open", &path)(error),
        })?;
        let manifest = read_shard(&*file, &path, self.limit)?;
        if manifest.generation != self.generation || manifest.rank as usize != rank {
            let what = format!(
                "it is the part of rank {} of save {}, and the checkpoint needs that of rank {rank} of save {}",
                manifest.rank, manifest.generation, self.generation
            );
            return Err(Error::corrupt(&path, what));
        }
        let tensors = manifest.tensors.into_iter();
        Ok(Opened {
            file,
            path,
            tensors: tensors.map(|record| (record.name.clone(), record)).collect(),
        })
    }

    /// A box of a tensor in the file of a rank, which must say of it what the directory does.
    fn part(&self, number: usize, info: &TensorInfo, region: Region, rank: usize) -> Result<Part> {
        let opened = self.opened(rank)?;
        let name = &self.names[number];
        let record = opened
            .tensors
            .get(name)
            .filter(|record| record.info() == *info)
            .and_then(|record| Some((record, record.parts.first()?)))
            .filter(|(_, part)| part.region() == region);
        let Some((_, part)) = record else {
            let found = opened.tensors.get(name).map_or_else(
                || "nothing of it".to_owned(),
                |record| {
                    let parts: Vec<String> = record.parts.iter().map(|part| part.region().to_string()).collect();
                    format!("{} of {}", parts.join(", "), record.info())
                },
            );
            let what = format!("it should hold {region} of entry `{name}`, {info}, and holds {found}");
            return Err(Error::corrupt(&opened.path, what));
        };
        let place = Place {
            file: rank,
            start: part.start,
            len: part.len,
        };
        Ok(Part::plain(region, place, Check::Blocks(part.sums())))
    }
}

impl Source for Directory {
    fn index(&self) -> &Arc<Index> {
        &self.index
    }

    fn limit(&self) -> ReadLimit {
        self.limit
    }

    fn mark(&self) -> Option<&str> {
        Some(&self.generation)
    }

    fn file(&self, number: usize) -> (&dyn ReadFile, &Path) {
        match self.files.get(number).and_then(|slot| slot.opened.get()) {
            Some(opened) => (&*opened.file, &opened.path),
            // No part has been given out with such a number.
            None => (&Closed, &self.folder),
        }
    }

    fn locate<'t>(
        &self,
        _entry: &'t str,
        tensor: &'t StoredTensor,
        wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        let [
            placeholder @ Part {
                check: Check::Framed, ..
            },
        ] = &tensor.parts[..]
        else {
            return Ok(Cow::Borrowed(tensor));
        };
        let number = usize::try_from(placeholder.place.start).unwrap_or(usize::MAX);
        let whole = Region::whole(tensor.info.shape());
        let mut parts = Ok(Vec::new());
        self.deal
            .overlapping(number, wanted.unwrap_or(&whole), &mut |region, rank| {
                if let Ok(found) = &mut parts {
                    match self.part(number, &tensor.info, region, rank) {
                        Ok(part) => found.push(part),
                        Err(error) => parts = Err(error),
                    }
                }
            });
        Ok(Cow::Owned(StoredTensor {
            info: tensor.info.clone(),
            parts: parts?,
        }))
    }
}

/// Stands for a file that was never opened.
#[derive(Debug)]
struct Closed;

impl ReadFile for Closed {
    fn len(&self) -> io::Result<u64> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn read_at(&self, _into: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(io::ErrorKind::NotFound.into())
    }
}
