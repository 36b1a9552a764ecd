//! Reads the pickled objects of a distributed checkpoint. Each is a payload by itself, and is read when the checkpoint
//! is opened.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::OpenFile;
use super::gather::{Leaf, gather};
use super::metadata::Stored;
use super::payload;
use crate::error::{Error, Result};
use crate::foreign::torch;
use crate::source::read::{THREADS, in_parallel};
use crate::source::{Index, ReadLimit};

/// The smallest number of objects that several threads read.
const SHARED_FROM: usize = 64;

/// Reads all objects into `index`, which holds the tensors.
pub(crate) fn read(
    objects: &[Stored],
    files: &[OpenFile],
    index: &mut Index,
    metadata: &Path,
    limit: ReadLimit,
) -> Result<()> {
    let mut leaves = Vec::new();
    for (object, found) in objects.iter().zip(read_all(objects, files, limit)?) {
        // A tuple is one object, and may contain tensors.
        for (name, tensor) in found.tensors {
            if index.tensors.insert(name.clone(), tensor).is_some() {
                return Err(Error::corrupt(metadata, format!("two entries have the name `{name}`")));
            }
        }
        for (name, value) in found.values {
            let path = object.path.clone().filter(|_| name == object.name);
            leaves.push(Leaf { name, path, value });
        }
    }
    let values = gather(leaves, &index.tensors).map_err(|what| Error::corrupt(metadata, what))?;
    index.values.extend(values);
    Ok(())
}

fn read_all(objects: &[Stored], files: &[OpenFile], limit: ReadLimit) -> Result<Vec<Index>> {
    let all = objects
        .iter()
        .fold(0, |all, object| object.payload.len.saturating_add(all));
    let found: Vec<Mutex<Index>> = objects.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    in_parallel(if objects.len() < SHARED_FROM { 1 } else { THREADS }, || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let (object, found) = (objects.get(at)?, found.get(at)?);
        let limit = limit.share(object.payload.len, all);
        Some(read_one(object, files, limit).map(|index| {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = index;
        }))
    })?;
    let found = found.into_iter();
    Ok(found
        .map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect())
}

fn read_one(object: &Stored, files: &[OpenFile], limit: ReadLimit) -> Result<Index> {
    let (file, path) = &files[object.payload.file];
    let (pickle, storages) = payload::read(&**file, path, object.payload.place(), limit)?;
    torch::index_below(&pickle, &storages, &object.name, limit).map_err(|refused| refused.at(path))
}
