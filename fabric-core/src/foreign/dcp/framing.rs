//! Looks into the archives around chunks: where the bytes of a load lie.
//!
//! The chunks of all tensors are sorted by their places. Small payloads that lie together are read with one call, whatever
//! tensors they belong to; of a larger one, both ends.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::payload::{Finder, Run, SMALL};
use crate::error::Result;
use crate::source::read::{THREADS, in_parallel, neighbours};
use crate::source::{Check, Files, Part, Place, Sought, Source, StoredTensor};

/// The most that is read with one call.
const RUN: u64 = 64 << 10;

/// The most runs that a thread takes at a time: they share what was parsed, and the memory that they are read into.
const RUNS: usize = 16;

/// Fewer payloads are not worth a second thread.
const SHARED_FROM: usize = 64;

/// A chunk that is looked for: which part of which tensor.
#[derive(Clone, Copy)]
struct Chunk {
    tensor: usize,
    part: usize,
    place: Place,
}

/// Gives every tensor the true places of its bytes.
///
/// # Errors
/// If a payload is damaged, or is not what the index says.
pub(crate) fn locate<'t>(files: &Files, sought: &[Sought<'t>]) -> Result<Vec<Cow<'t, StoredTensor>>> {
    let near: Vec<Cow<'t, StoredTensor>> = sought.iter().map(near).collect();
    let chunks = chunks(&near);
    let small = |chunk: &Chunk| Some(chunk.place).filter(|place| place.len <= SMALL);
    let runs = neighbours(&chunks, RUN, small);
    let found: Mutex<Vec<(Chunk, Part)>> = Mutex::new(Vec::with_capacity(chunks.len()));
    let threads = if chunks.len() < SHARED_FROM { 1 } else { THREADS };
    let several = runs.len().div_ceil(4 * threads).clamp(1, RUNS);
    let shares: Vec<&[Range<usize>]> = runs.chunks(several).collect();
    let next = AtomicUsize::new(0);
    in_parallel(threads, || {
        let share = shares.get(next.fetch_add(1, Ordering::Relaxed))?;
        let runs = share.iter().map(|run| &chunks[run.clone()]);
        Some(look_into(files, sought, &near, runs).map(|mut parts| {
            found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut parts);
        }))
    })?;
    let mut located = near;
    for (chunk, part) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        put(&mut located[chunk.tensor], chunk.part, part);
    }
    Ok(located)
}

/// Puts a part in the place of the one that says less. Where that is all of a tensor, nothing of it is copied before.
fn put(tensor: &mut Cow<'_, StoredTensor>, at: usize, part: Part) {
    match tensor {
        Cow::Borrowed(stored) if stored.parts.len() == 1 => {
            let info = stored.info.clone();
            let parts = vec![part];
            *tensor = Cow::Owned(StoredTensor { info, parts });
        }
        _ => tensor.to_mut().parts[at] = part,
    }
}

/// The tensor with those parts that hold anything of what is wanted.
fn near<'t>(sought: &Sought<'t>) -> Cow<'t, StoredTensor> {
    match &sought.wanted {
        Some(wanted) if sought.stored.is_framed() => Cow::Owned(sought.stored.near(wanted)),
        _ => Cow::Borrowed(sought.stored),
    }
}

/// All chunks that have not been looked into, sorted by their places.
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

/// Finds the bytes of the chunks of several runs.
fn look_into<'c>(
    files: &Files,
    sought: &[Sought<'_>],
    tensors: &[Cow<'_, StoredTensor>],
    runs: impl Iterator<Item = &'c [Chunk]>,
) -> Result<Vec<(Chunk, Part)>> {
    let mut found = Vec::new();
    let (mut finder, mut run) = (Finder::new(files.limit), Run::default());
    for chunks in runs {
        let (Some(Chunk { place: first, .. }), Some(Chunk { place: last, .. })) = (chunks.first(), chunks.last())
        else {
            continue;
        };
        let file = files.file(first.file);
        let is_small = first.len <= SMALL;
        if is_small {
            run.refill(file.0, file.1, first.start, last.start + last.len - first.start)?;
        }
        found.reserve(chunks.len());
        for chunk in chunks {
            let (entry, tensor) = (sought[chunk.tensor].entry, &*tensors[chunk.tensor]);
            let part = &tensor.parts[chunk.part];
            let part = finder.locate(file, (entry, tensor), part, is_small.then_some(&run))?;
            found.push((*chunk, part));
        }
    }
    Ok(found)
}
