//! Reads a directory of PyTorch's Distributed Checkpoint. `.metadata` is a pickled index. Each chunk of a tensor and
//! each pickled object is a `torch.save` archive inside of a `*.distcp` file. Lightning Fabric adds `meta.pt`.
//!
//! Opening reads the index and the objects, so its cost grows with the length of the index. The first read of a tensor
//! finds the bytes inside of the archives around its chunks; until then these chunks are [`Check::Framed`]. A load
//! therefore reads about six kilobytes of framing for each chunk that it loads, and nothing of other chunks.

mod framing;
pub(crate) mod gather;
mod graph;
mod metadata;
mod objects;
mod payload;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::metadata::{Metadata, Payload};
use super::{param_groups, torch};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::source::open::{open_file, read_whole};
use crate::source::open_files::OpenFiles;
use crate::source::recognized;
use crate::source::window::Slice;
use crate::source::{
    About, Check, Extent, Files, Format, Index, Part, ReadLimit, Sought, Source, StoredTensor, by_name,
};
use crate::storage::{FileKind, ReadFile, Storage};

/// The file with the index of a checkpoint.
const METADATA: &str = ".metadata";

/// The file in which Lightning Fabric keeps all state that belongs to neither a module nor an optimizer.
const META: &str = "meta.pt";

/// The longest index that is read, in bytes: two hundred bytes for each of five million chunks.
const MAX_METADATA: u64 = 1 << 30;

/// Returns true if a directory is a distributed checkpoint.
///
/// # Errors
/// If the directory has `.distcp` files and no index.
pub(crate) fn is_one(storage: &dyn Storage, path: &Path) -> Result<bool> {
    let names = storage.list(path).map_err(Error::io("list", path))?;
    if names.iter().any(|name| name == METADATA) {
        return Ok(true);
    }
    let Some(shard) = names.iter().find(|name| name.ends_with(".distcp")) else {
        return Ok(false);
    };
    Err(Error::UnknownFormat {
        path: path.to_path_buf(),
        what: format!(
            "it holds {shard}, a part of a distributed checkpoint, but not `{METADATA}`, which is written last: the save \
             was interrupted, or not all of it was copied"
        ),
    })
}

/// Opens a distributed checkpoint.
pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let metadata_path = path.join(METADATA);
    let (metadata, metadata_len) = read_metadata(&**storage, &metadata_path, limit)?;
    let mut files = open_files(&OpenFiles::new(storage.clone()), path, &metadata)?;
    let order = written_order(&metadata);
    let twice = |name| Error::corrupt(&metadata_path, format!("two entries have the name `{name}`"));
    let mut index = Index {
        origin: path.display().to_string(),
        tensors: by_name(metadata.tensors.into_iter().map(framed)).map_err(twice)?,
        order,
        ..Index::default()
    };
    objects::read(&metadata.objects, &files, &mut index, &metadata_path, limit)?;
    let meta = path.join(META);
    if storage.kind(&meta).map_err(Error::io("look at", &meta))? == Some(FileKind::File) {
        let file = open_file(&**storage, &meta)?;
        merge(&mut index, read_meta(&*file, files.len(), &meta, limit)?, &meta)?;
        files.push((file, meta));
    }
    let mut directory = Directory(Files {
        index: Arc::default(),
        about: About::of(Format::DistributedCheckpoint)
            .with_index(metadata_len)
            .with_unchecked(metadata_len),
        files,
        limit,
    });
    param_groups::gather_numbers(&mut index, &directory)?;
    directory.0.index = Arc::new(index);
    Ok(Arc::new(directory))
}

/// The order of the state dict if one rank wrote all of it. Several ranks share the writing of replicas, so their files
/// show no order.
fn written_order(metadata: &Metadata) -> Arc<[String]> {
    let has_groups = metadata
        .objects
        .iter()
        .any(|object| object.name.contains("param_groups"));
    let by_one = metadata.files.iter().all(|name| name.starts_with("__0_"));
    if !(has_groups && by_one) {
        return Arc::default();
    }
    metadata.tensors.iter().map(|tensor| tensor.name.clone()).collect()
}

fn read_metadata(storage: &dyn Storage, path: &Path, limit: ReadLimit) -> Result<(Metadata, u64)> {
    let file = open_file(storage, path)?;
    let len = file.len().map_err(Error::io("look at", path))?;
    limit.check_piece(path, "index", len, MAX_METADATA)?;
    let bytes = read_whole(&*file, path, 0, len)?;
    let metadata = metadata::read(&bytes, limit);
    let metadata = metadata.map_err(|refused| recognized::or_foreign(refused.at(path), &*file, path))?;
    Ok((metadata, len))
}

type OpenFile = (Box<dyn ReadFile>, PathBuf);

/// Opens all files that the index names.
fn open_files(files_of: &OpenFiles, path: &Path, metadata: &Metadata) -> Result<Vec<OpenFile>> {
    let mut files = Vec::with_capacity(metadata.files.len());
    let mut lens = Vec::with_capacity(metadata.files.len());
    for name in &metadata.files {
        let path = path.join(name);
        let file = files_of.open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound {
                path: path.clone(),
                hint: format!("`{METADATA}` beside it names this file, so a part of the checkpoint is missing"),
            },
            _ => Error::io("open", &path)(error),
        })?;
        lens.push(file.len().map_err(Error::io("look at", &path))?);
        files.push((file, path));
    }
    check_places(metadata, &lens, &files)?;
    Ok(files)
}

/// Checks that payloads do not overlap within their files. Overlapping payloads prove that the index is wrong.
fn check_places(metadata: &Metadata, lens: &[u64], files: &[OpenFile]) -> Result<()> {
    let chunks = metadata
        .tensors
        .iter()
        .flat_map(|tensor| tensor.payloads.iter().map(move |payload| (&tensor.name, payload)));
    let objects = metadata.objects.iter().map(|object| (&object.name, &object.payload));
    let mut payloads: Vec<(&String, &Payload)> = chunks.chain(objects).collect();
    payloads.sort_by_key(|(_, payload)| (payload.file, payload.start));
    let mut before: Option<(&String, &Payload)> = None;
    for (name, payload) in payloads {
        // Reading the index has checked that this sum does not overflow.
        let (end, len) = (payload.start + payload.len, lens[payload.file]);
        let path = &files[payload.file].1;
        if end > len {
            let what = format!("it has {len} bytes, and entry `{name}` lies in it up to byte {end}: it was cut short");
            let (file, _) = &files[payload.file];
            return Err(recognized::or_foreign(Error::corrupt(path, what), &**file, path));
        }
        if let Some((other, last)) = before
            && last.file == payload.file
            && last.start + last.len > payload.start
        {
            let what = format!(
                "entries `{other}` and `{name}` share its bytes from {}: the index is not that of this file",
                payload.start
            );
            return Err(Error::corrupt(path, what));
        }
        before = Some((name, payload));
    }
    Ok(())
}

/// A tensor whose chunks have not been located inside of their archives.
fn framed(tensor: metadata::Tensor) -> (String, StoredTensor) {
    let mut parts = Vec::with_capacity(tensor.regions.len());
    let chunks = tensor.regions.into_iter().zip(tensor.payloads);
    parts.extend(chunks.map(|(region, payload)| Part::plain(region, payload.place(), Check::Framed)));
    let info = tensor.info;
    (tensor.name, StoredTensor { info, parts })
}

impl Payload {
    fn place(self) -> Extent {
        Extent {
            file: self.file,
            start: self.start,
            len: self.len,
        }
    }
}

fn read_meta(file: &dyn ReadFile, number: usize, path: &Path, limit: ReadLimit) -> Result<Index> {
    let slice = Slice::whole(file).map_err(Error::io("look at", path))?;
    let archive = torch::archive(slice, number, path, limit);
    let (pickle, storages) = archive.map_err(|error| recognized::or_foreign(error, file, path))?;
    torch::index(&pickle, &storages, path, limit)
}

/// Adds the entries of another file. An entry that the index has already is an error.
fn merge(index: &mut Index, more: Index, path: &Path) -> Result<()> {
    if let Some(name) = more.names().find(|name| index.contains(name)) {
        let what = format!("it holds entry `{name}`, which the checkpoint has already");
        return Err(Error::corrupt(path, what));
    }
    index.tensors.extend(more.tensors);
    index.values.extend(more.values);
    Ok(())
}

/// An opened distributed checkpoint.
#[derive(Debug)]
struct Directory(Files);

impl Source for Directory {
    fn index(&self) -> &Arc<Index> {
        self.0.index()
    }

    fn about(&self) -> Result<About> {
        self.0.about()
    }

    fn unchecked_index(&self) -> u64 {
        self.0.unchecked_index()
    }

    fn file(&self, number: usize) -> (&dyn ReadFile, &Path) {
        self.0.file(number)
    }

    fn limit(&self) -> ReadLimit {
        self.0.limit
    }

    fn locate<'t>(
        &self,
        entry: &'t str,
        stored: &'t StoredTensor,
        wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        let wanted = wanted.cloned();
        let sought = Sought { entry, stored, wanted };
        let mut located = framing::locate(&self.0, &[sought])?;
        Ok(located.pop().unwrap_or(Cow::Borrowed(stored)))
    }

    fn locate_all<'t>(&self, sought: &[Sought<'t>]) -> Result<Vec<Cow<'t, StoredTensor>>> {
        framing::locate(&self.0, sought)
    }
}
