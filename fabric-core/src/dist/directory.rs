//! A checkpoint in a directory: a manifest that says how tensors are sharded, and a file for each rank that wrote.
//!
//! Opening reads the manifest, from which a reader computes which file holds a box. A file is opened when a box in it
//! is read; the files that were read last stay open. Each file has its own manifest with checksums, and must agree with
//! the directory's manifest about every box.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::dist::manifest::{self, mesh_of, sharding_of};
use crate::dist::mesh::WriterAssignment;
use crate::entry::{Region, TensorInfo};
use crate::error::{Error, Result};
use crate::format::directory::{FILE_NAME, is_rank_file, rank_file};
use crate::format::manifest::{Body, Manifest, ManifestKind, TensorRecord};
use crate::format::{ManifestError, agree};
use crate::hash::HashMap;
use crate::source::facts;
use crate::source::limit::OverLimit;
use crate::source::open::{open_file, read_whole};
use crate::source::open_files::OpenFiles;
use crate::source::recognized;
use crate::source::refused::Refused;
use crate::source::single::{read_header, read_manifest};
use crate::source::values::own_values;
use crate::source::{About, Check, Edits, Extent, Format, Index, Part, ReadLimit, Source, StoredTensor};
use crate::storage::{FileKind, ReadFile, Storage};

/// The manifest is read in one piece; longer ones are refused before memory is taken for them.
const MAX_MANIFEST: u64 = crate::format::MAX_MANIFEST;

/// Returns true if a directory has an entry with the name of the manifest. If the entry is a FIFO or a device, opening it
/// returns the error.
pub(crate) fn is_one(storage: &dyn Storage, path: &Path) -> Result<bool> {
    let manifest = path.join(FILE_NAME);
    let kind = storage.kind(&manifest).map_err(Error::io("look at", &manifest))?;
    Ok(matches!(kind, Some(FileKind::File | FileKind::Other)))
}

/// The manifest of a rank's file, which was checked to say the same as the header.
fn read_shard(file: &dyn ReadFile, path: &Path, limit: ReadLimit) -> Result<Manifest> {
    let header = read_header(file, path, limit)?;
    let placed = header
        .manifest()
        .map_err(|error| Error::corrupt(path, error.to_string()))?;
    let Some(placed) = placed else {
        return Err(Error::corrupt(path, "it has no manifest, and so no checksums"));
    };
    let bytes = read_manifest(file, path, placed)?;
    let manifest = Manifest::decode(&bytes).map_err(|error| refused(path, &error))?;
    if manifest.head.kind != ManifestKind::Shard {
        return Err(Error::corrupt(
            path,
            "it is a whole checkpoint, and not the file of a rank",
        ));
    }
    agree(&header, &manifest).map_err(|what| Error::corrupt(path, what))?;
    Ok(manifest)
}

/// Reads the manifest of the checkpoint at `path`.
fn read_directory(storage: &dyn Storage, path: &Path) -> Result<(Manifest, u64)> {
    let path = path.join(FILE_NAME);
    let file = open_file(storage, &path)?;
    let len = file.len().map_err(Error::io("look at", &path))?;
    if len > MAX_MANIFEST {
        let what = format!("it has {len} bytes, and no manifest is longer than {MAX_MANIFEST}");
        return Err(Error::UnknownFormat { path, what });
    }
    let bytes = read_whole(&*file, &path, 0, len)?;
    let manifest = Manifest::decode(&bytes).and_then(|manifest| manifest::check(&manifest).map(|()| manifest));
    let manifest = manifest.map_err(|error| match error {
        ManifestError::TooShort { .. } | ManifestError::Magic { .. } => {
            recognized::or_foreign(refused(&path, &error), &*file, &path)
        }
        _ => refused(&path, &error),
    })?;
    if manifest.head.kind != ManifestKind::Directory {
        return Err(Error::corrupt(
            &path,
            "its manifest is that of a file, and not of a directory",
        ));
    }
    Ok((manifest, len))
}

fn refused(path: &Path, error: &ManifestError) -> Error {
    match *error {
        ManifestError::Newer { found, supported } => Error::NewerFormat {
            path: path.to_path_buf(),
            found,
            supported,
        },
        ManifestError::Unsupported(_) => Error::UnknownFormat {
            path: path.to_path_buf(),
            what: error.to_string(),
        },
        _ => Error::corrupt(path, error.to_string()),
    }
}

/// Opens the directory.
pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let (manifest, manifest_len) = read_directory(&**storage, path)?;
    let mesh = mesh_of(&manifest.head);
    let ranks = mesh.world_size();
    check_memory(&manifest, limit).map_err(|over| Refused::from(over).at(&path.join(FILE_NAME)))?;
    let tensors = &manifest.body.tensors;
    let assignment = WriterAssignment::new(mesh, tensors.iter().map(|record| (record.info(), sharding_of(record))));
    let folder = path.join(&manifest.head.generation);
    let names = tensors.iter().map(|record| record.name.clone()).collect();
    Ok(Arc::new(RankDirectory {
        index: Arc::new(index(&manifest, path)?),
        about: About::of_head(Format::FabricDirectory, &manifest.head).with_index(manifest_len),
        storage: storage.clone(),
        open_files: OpenFiles::new(storage.clone()),
        files: (0..ranks).map(|_| RankFile::default()).collect(),
        generation: manifest.head.generation,
        folder,
        names,
        assignment,
        limit,
    }))
}

/// Bounds the memory that the index takes beyond the length of the manifest: the axes that a tensor is not sharded
/// over, and the shapes that ties repeat.
fn check_memory(Manifest { head, body }: &Manifest, limit: ReadLimit) -> std::result::Result<(), OverLimit> {
    let entries = body.tensors.len() + body.ties.len() + body.values.len();
    let mut memory = limit.budget(entries * size_of::<TensorRecord>());
    memory.spend_each(body.tensors.len() * head.mesh.len(), size_of::<usize>())?;
    for tie in &body.ties {
        let target = usize::try_from(tie.target).ok().and_then(|at| body.tensors.get(at));
        memory.spend_each(target.map_or(0, |target| target.shape.len()), size_of::<[usize; 3]>())?;
    }
    Ok(())
}

fn index(manifest: &Manifest, path: &Path) -> Result<Index> {
    let Body {
        structs,
        tensors: records,
        ties,
        values,
        filtered,
        ..
    } = &manifest.body;
    let mut tensors: BTreeMap<String, StoredTensor> = BTreeMap::new();
    for (number, record) in records.iter().enumerate() {
        tensors.insert(record.name.clone(), unlocated(number, record));
    }
    for tie in ties {
        // The manifest was checked to have the target.
        if let Some((number, record)) = usize::try_from(tie.target)
            .ok()
            .and_then(|at| Some((at, records.get(at)?)))
        {
            tensors.insert(tie.name.clone(), unlocated(number, record));
        }
    }
    Ok(Index {
        order: facts::order(&manifest.head.facts, &tensors),
        origin: path.display().to_string(),
        tensors_only: facts::tensors_only(&manifest.head.facts),
        tensors,
        values: own_values(values, &manifest.head.mesh, &path.join(FILE_NAME))?,
        filtered: filtered.iter().cloned().collect(),
        structs: structs.clone(),
        cuts: cuts(manifest),
        edits: Edits::default(),
    })
}

/// The sharded dimensions of each tensor, with the names of the mesh's axes.
fn cuts(manifest: &Manifest) -> BTreeMap<String, Vec<(usize, Vec<String>)>> {
    let axis = |axis: &usize| manifest.head.mesh.get(*axis).map(|(name, _)| name.clone());
    let records = manifest.body.tensors.iter().map(|record| (record, sharding_of(record)));
    let cut = records
        .filter(|(_, sharding)| !sharding.is_whole())
        .map(|(record, sharding)| {
            let cuts = sharding.dims.iter();
            let cuts = cuts.map(|cut| (cut.dim, cut.axes.iter().filter_map(axis).collect()));
            (record.name.clone(), cuts.collect())
        });
    cut.collect()
}

/// A tensor whose files have not been opened: the start of its place is the number of its record.
fn unlocated(number: usize, record: &TensorRecord) -> StoredTensor {
    let info = record.info();
    let place = Extent {
        file: 0,
        start: number as u64,
        len: info.byte_len().unwrap_or_default() as u64,
    };
    let parts = vec![Part::plain(Region::whole(info.shape()), place, Check::Framed)];
    StoredTensor { info, parts }
}

/// An open directory.
#[derive(Debug)]
struct RankDirectory {
    index: Arc<Index>,
    /// The facts, without the files of the ranks.
    about: About,
    storage: Arc<dyn Storage>,
    open_files: OpenFiles,
    folder: PathBuf,
    generation: String,
    names: Vec<String>,
    assignment: WriterAssignment,
    /// One for each rank of the mesh, opened when it is needed.
    files: Vec<RankFile>,
    limit: ReadLimit,
}

/// The file of a rank, opened at the first read. Threads that need it at the same time open it once.
#[derive(Debug, Default)]
struct RankFile {
    opening: Mutex<()>,
    opened: OnceLock<Box<OpenedRankFile>>,
}

/// The open file of a rank.
#[derive(Debug)]
struct OpenedRankFile {
    file: Box<dyn ReadFile>,
    path: PathBuf,
    tensors: HashMap<String, TensorRecord>,
}

impl RankDirectory {
    fn opened(&self, rank: usize) -> Result<&OpenedRankFile> {
        let Some(slot) = self.files.get(rank) else {
            let what = format!(
                "it refers to the file of rank {rank}, and its mesh has {} ranks",
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

    fn open(&self, rank: usize) -> Result<OpenedRankFile> {
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
        let Manifest { head, body } = manifest;
        if head.generation != self.generation || head.rank as usize != rank {
            let what = format!(
                "it is the part of rank {} of save {}, and the checkpoint needs that of rank {rank} of save {}",
                head.rank, head.generation, self.generation
            );
            return Err(Error::corrupt(&path, what));
        }
        let tensors = body.tensors.into_iter();
        Ok(OpenedRankFile {
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
            .filter(|record| record.region() == region)
            .and_then(|record| record.part.as_ref());
        let Some(part) = record else {
            let found = opened.tensors.get(name).map_or_else(
                || "nothing of it".to_owned(),
                |record| format!("{} of {}", record.region(), record.info()),
            );
            let what = format!("it should hold {region} of entry `{name}`, {info}, and holds {found}");
            return Err(Error::corrupt(&opened.path, what));
        };
        let place = Extent {
            file: rank,
            start: part.start,
            len: part.len,
        };
        Ok(Part::plain(region, place, Check::Blocks(part.sums().into())))
    }
}

impl Source for RankDirectory {
    fn index(&self) -> &Arc<Index> {
        &self.index
    }

    fn about(&self) -> Result<About> {
        let mut about = self.about.clone();
        // Files that are lost are an error of the read that needs them.
        let names = match self.storage.list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names.map_err(Error::io("list", &self.folder))?,
        };
        for name in names.iter().filter(|name| is_rank_file(name)) {
            let path = self.folder.join(name);
            match self.storage.open(&path) {
                Ok(file) => about.count(file.len().map_err(Error::io("look at", &path))?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("open", &path)(error)),
            }
        }
        Ok(about)
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
            // No part has such a number.
            None => (&Closed, &self.folder),
        }
    }

    fn locate<'t>(
        &self,
        _entry: &'t str,
        tensor: &'t StoredTensor,
        wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        let Some(number) = placeholder(tensor) else {
            return Ok(Cow::Borrowed(tensor));
        };
        let mut parts = Ok(Vec::new());
        self.assignment
            .overlapping(number, wanted.unwrap_or(&whole(tensor)), &mut |region, rank| {
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

    fn locate_parts(&self, _entry: &str, tensor: &StoredTensor, found: &mut dyn FnMut(Result<Part>)) {
        let Some(number) = placeholder(tensor) else {
            return tensor.parts.iter().cloned().map(Ok).for_each(found);
        };
        let mut find = |region, rank| found(self.part(number, &tensor.info, region, rank));
        self.assignment.overlapping(number, &whole(tensor), &mut find);
    }
}

/// The number of the record of a tensor whose files have not been opened; `None` for a tensor with its own places.
fn placeholder(tensor: &StoredTensor) -> Option<usize> {
    match &tensor.parts[..] {
        [part] if matches!(part.check, Check::Framed) => Some(usize::try_from(part.place.start).unwrap_or(usize::MAX)),
        _ => None,
    }
}

fn whole(tensor: &StoredTensor) -> Region {
    Region::whole(tensor.info.shape())
}

/// A file that was never opened.
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
