//! Finds the bytes of tensors inside of the archives around their chunks.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::payload;
use crate::error::Result;
use crate::source::read::{THREADS, in_parallel};
use crate::source::{Check, Extent, Files, Part, Sought, Source, StoredTensor};

/// The number of chunks that a thread takes at a time. A second thread gains nothing for fewer chunks.
const SHARE: usize = 64;

/// A chunk to locate: a part of a tensor.
#[derive(Clone, Copy)]
struct Chunk {
    tensor: usize,
    part: usize,
    place: Extent,
}

/// Replaces the places of archives by the places of the tensor bytes inside of them.
///
/// # Errors
/// If a payload is damaged, or contradicts the index.
pub(crate) fn locate<'t>(files: &Files, sought: &[Sought<'t>]) -> Result<Vec<Cow<'t, StoredTensor>>> {
    let near: Vec<Cow<'t, StoredTensor>> = sought.iter().map(near).collect();
    let chunks = chunks(&near);
    let found: Mutex<Vec<(Chunk, Part)>> = Mutex::new(Vec::with_capacity(chunks.len()));
    let shares: Vec<&[Chunk]> = chunks.chunks(SHARE).collect();
    let next = AtomicUsize::new(0);
    in_parallel(shares.len().min(THREADS), || {
        let share = shares.get(next.fetch_add(1, Ordering::Relaxed))?;
        let parts = share.iter().map(|chunk| {
            let (entry, tensor) = (sought[chunk.tensor].entry, &*near[chunk.tensor]);
            let file = files.file(chunk.place.file);
            let part = payload::locate(file, (entry, tensor), &tensor.parts[chunk.part], files.limit)?;
            Ok((*chunk, part))
        });
        Some(parts.collect::<Result<Vec<_>>>().map(|mut parts| {
            found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut parts);
        }))
    })?;
    let mut located = near;
    for (chunk, part) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        located[chunk.tensor].to_mut().parts[chunk.part] = part;
    }
    Ok(located)
}

/// The tensor with those parts that overlap the wanted box.
fn near<'t>(sought: &Sought<'t>) -> Cow<'t, StoredTensor> {
    match &sought.wanted {
        Some(wanted) if sought.stored.is_framed() => Cow::Owned(sought.stored.near(wanted)),
        _ => Cow::Borrowed(sought.stored),
    }
}

/// All chunks that have not been located, sorted by their places.
fn chunks(tensors: &[Cow<'_, StoredTensor>]) -> Vec<Chunk> {
    let parts = tensors.iter().enumerate().flat_map(|(tensor, stored)| {
        let parts = stored.parts.iter().enumerate();
        parts.filter_map(move |(part, held)| {
            let place = held.place;
            matches!(held.check, Check::Framed).then_some(Chunk { tensor, part, place })
        })
    });
    let mut chunks: Vec<Chunk> = parts.collect();
    chunks.sort_unstable_by_key(|chunk| (chunk.place.file, chunk.place.start));
    chunks
}
