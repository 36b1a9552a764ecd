//! Reads the tensors of two checkpoints side by side, piece by piece, and measures how they differ.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use super::TensorChange;
use super::change::{Change, Comparison, Decoded};
use super::pieces::{Pieces, divide, is_spread};
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::io::pages;
use crate::load::raw::RawCheckpoint;
use crate::progress::Meter;
use crate::source::read::{PartialSums, THREADS, in_parallel, read_noting, verify_around};
use crate::source::{Sought, Source, StoredTensor, check_tensors};

/// The smallest number of bytes that several threads compare.
const SHARED_FROM: u64 = 4 << 20;

/// A tensor of each checkpoint, with its name there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'c> {
    pub(super) first: (&'c str, &'c StoredTensor),
    pub(super) second: (&'c str, &'c StoredTensor),
}

/// Two tensors that are read.
struct Work<'c> {
    names: (&'c str, &'c str),
    first: StoredTensor,
    second: StoredTensor,
    comparison: Comparison,
    pieces: Pieces,
    change: Change,
}

/// The memory of a thread.
#[derive(Default)]
struct Buffers {
    first: Vec<u8>,
    second: Vec<u8>,
    decoded: Decoded,
}

/// The result for a pair.
#[derive(Clone, Copy)]
enum Outcome {
    /// Not known before the places of the bytes are.
    Open,
    Known(Option<TensorChange>),
    /// That of the work with this number.
    Work(usize),
}

/// The changes of the tensors; `None` for two tensors whose contents cannot be compared: of other shapes, or of element types of
/// which one has numbers and the other has not.
///
/// # Errors
/// If bytes cannot be read or are damaged, or the callback panics.
pub(super) fn changes(
    checkpoints: (&RawCheckpoint, &RawCheckpoint),
    pairs: &[Pair<'_>],
    meter: &Meter,
) -> Result<Vec<Option<TensorChange>>> {
    let sources = (&*checkpoints.0.source, &*checkpoints.1.source);
    let is_one_source = Arc::ptr_eq(&checkpoints.0.source, &checkpoints.1.source);
    let (outcomes, mut work) = plan(sources, is_one_source, pairs)?;
    check_tensors(sources.0, work.iter().map(|work| &work.first))?;
    check_tensors(sources.1, work.iter().map(|work| &work.second))?;
    meter.announce(work.iter().map(Work::bytes).sum());
    read(sources, &mut work, meter)?;
    let outcome = |outcome| match outcome {
        Outcome::Known(change) => change,
        Outcome::Open => None,
        Outcome::Work(at) => {
            let work: &Work<'_> = &work[at];
            Some(work.change.finish(work.comparison))
        }
    };
    Ok(outcomes.into_iter().map(outcome).collect())
}

/// Finds the pairs whose contents must be read, each place of two files once.
fn plan<'c>(
    sources: (&dyn Source, &dyn Source),
    is_one_source: bool,
    pairs: &[Pair<'c>],
) -> Result<(Vec<Outcome>, Vec<Work<'c>>)> {
    let mut outcomes: Vec<Outcome> = pairs.iter().map(Pair::without_reading).collect();
    let open = outcomes.iter().zip(pairs).enumerate();
    let open: Vec<(usize, &Pair<'c>)> = open
        .filter(|(_, (outcome, _))| matches!(outcome, Outcome::Open))
        .map(|(at, (_, pair))| (at, pair))
        .collect();
    let first = locate(sources.0, open.iter().map(|(_, pair)| pair.first))?;
    let second = locate(sources.1, open.iter().map(|(_, pair)| pair.second))?;
    let (mut work, mut known) = (Vec::new(), HashMap::default());
    for ((at, pair), (first, second)) in open.into_iter().zip(first.into_iter().zip(second)) {
        let places = (
            (first.info.clone(), first.extents()),
            (second.info.clone(), second.extents()),
        );
        let is_equal = first.is_proven_equal(&second) || (is_one_source && places.0 == places.1);
        outcomes[at] = match Comparison::of(first.info.dtype(), second.info.dtype()) {
            _ if is_equal => Outcome::Known(Some(TensorChange::none(&first.info))),
            Some(comparison) if same_length(&first, &second) => {
                Outcome::Work(*known.entry(places).or_insert_with(|| {
                    work.push(Work::new(pair, first.into_owned(), second.into_owned(), comparison));
                    work.len() - 1
                }))
            }
            _ => Outcome::Known(None),
        };
    }
    Ok((outcomes, work))
}

/// Elements of unknown types have no length of their own.
fn same_length(first: &StoredTensor, second: &StoredTensor) -> bool {
    let bytes = |stored: &StoredTensor| stored.parts.iter().map(|part| part.place.len).sum::<u64>();
    first.info.dtype().bits() > 0 || bytes(first) == bytes(second)
}

/// The tensors with the places of their bytes.
fn locate<'c>(
    source: &dyn Source,
    tensors: impl Iterator<Item = (&'c str, &'c StoredTensor)>,
) -> Result<Vec<Cow<'c, StoredTensor>>> {
    let sought = tensors.map(|(entry, stored)| Sought {
        entry,
        stored,
        wanted: None,
    });
    let sought: Vec<Sought<'c>> = sought.collect();
    if sought.iter().any(|sought| sought.stored.is_framed()) {
        return source.locate_all(&sought);
    }
    Ok(sought.into_iter().map(|sought| Cow::Borrowed(sought.stored)).collect())
}

impl Pair<'_> {
    /// The change of tensors that are not read: none, if their element types and shapes are equal.
    pub(super) fn unread(&self) -> Option<TensorChange> {
        let (first, second) = (&self.first.1.info, &self.second.1.info);
        (first == second).then(|| TensorChange::none(first))
    }

    /// The outcome, if the index has it.
    fn without_reading(&self) -> Outcome {
        let (first, second) = (self.first.1, self.second.1);
        if first.info.shape() != second.info.shape() {
            Outcome::Known(None)
        } else if first.is_proven_equal(second) {
            Outcome::Known(Some(TensorChange::none(&first.info)))
        } else {
            Outcome::Open
        }
    }
}

impl<'c> Work<'c> {
    fn new(pair: &Pair<'c>, mut first: StoredTensor, mut second: StoredTensor, comparison: Comparison) -> Self {
        let pieces = divide(&mut first, &mut second, comparison.items());
        Self {
            names: (pair.first.0, pair.second.0),
            first,
            second,
            comparison,
            pieces,
            change: Change::default(),
        }
    }

    /// The bytes of both tensors.
    fn bytes(&self) -> u64 {
        let bytes = |info: &TensorInfo| info.byte_len().unwrap_or_default() as u64;
        bytes(&self.first.info).saturating_add(bytes(&self.second.info))
    }

    fn is_spread(&self) -> bool {
        is_spread(&self.first) || is_spread(&self.second)
    }

    /// Reads a piece of both tensors, and compares them.
    fn compare(
        &self,
        sources: (&dyn Source, &dyn Source),
        piece: usize,
        sums: (&PartialSums, &PartialSums),
        buffers: &mut Buffers,
    ) -> Result<Change> {
        let region = self.pieces.get(piece);
        let first = self.first.cut_out(&region);
        fill(sources.0, self.names.0, &first, &mut buffers.first, sums.0)?;
        let second = self.second.cut_out(&region);
        fill(sources.1, self.names.1, &second, &mut buffers.second, sums.1)?;
        Ok(self
            .comparison
            .change(&buffers.first, &buffers.second, &mut buffers.decoded))
    }
}

/// Reads a tensor into memory that has been used before.
fn fill(source: &dyn Source, entry: &str, stored: &StoredTensor, into: &mut Vec<u8>, sums: &PartialSums) -> Result<()> {
    let len = stored.info.byte_len().unwrap_or_default();
    pages::resize(into, len).map_err(Error::io("read", source.file(0).1))?;
    read_noting(source, entry, stored, into, 1, sums)
}

/// Reads all pieces, and verifies the blocks that were read in part after the last piece.
fn read(sources: (&dyn Source, &dyn Source), work: &mut [Work<'_>], meter: &Meter) -> Result<()> {
    for work in &*work {
        // Several threads would otherwise verify one run at once.
        let verify = |source, name, stored: &StoredTensor| {
            stored
                .parts
                .iter()
                .try_for_each(|part| verify_around(source, name, part))
        };
        verify(sources.0, work.names.0, &work.first)?;
        verify(sources.1, work.names.1, &work.second)?;
    }
    let (spread, plain): (Vec<usize>, Vec<usize>) = (0..work.len()).partition(|at| work[*at].is_spread());
    let sums = (PartialSums::default(), PartialSums::default());
    // A piece of a spread tensor is large, so one thread has the memory for it.
    let mut pieces = read_some(sources, work, &spread, 1, (&sums.0, &sums.1), meter)?;
    let bytes: u64 = plain.iter().map(|at| work[*at].bytes()).sum();
    let threads = if bytes < SHARED_FROM { 1 } else { THREADS };
    pieces.extend(read_some(sources, work, &plain, threads, (&sums.0, &sums.1), meter)?);
    sums.0.finish(sources.0)?;
    sums.1.finish(sources.1)?;
    // In their order, so that sums of floats are the same in every run.
    pieces.sort_unstable_by_key(|(place, _)| *place);
    for ((at, _), change) in pieces {
        work[at].change.merge(&change);
    }
    Ok(())
}

/// The change of a piece, with the number of the work and of the piece.
type PieceChange = ((usize, usize), Change);

/// Reads the pieces of some of the work.
fn read_some(
    sources: (&dyn Source, &dyn Source),
    work: &[Work<'_>],
    some: &[usize],
    threads: usize,
    sums: (&PartialSums, &PartialSums),
    meter: &Meter,
) -> Result<Vec<PieceChange>> {
    let places = some
        .iter()
        .flat_map(|at| (0..work[*at].pieces.count()).map(move |piece| (*at, piece)));
    let (places, changes, spare) = (
        Mutex::new(places),
        Mutex::new(Vec::new()),
        Mutex::new(Vec::<Buffers>::new()),
    );
    in_parallel(threads, || {
        let place = lock(&places).next()?;
        let mut buffers = lock(&spare).pop().unwrap_or_default();
        let compare = || {
            let work = &work[place.0];
            let change = work.compare(sources, place.1, sums, &mut buffers)?;
            let bytes = (buffers.first.len() + buffers.second.len()) as u64;
            lock(&changes).push((place, change));
            lock(&spare).push(buffers);
            meter.add(work.names.0, bytes)
        };
        Some(compare())
    })?;
    Ok(changes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Nothing is half changed when a thread panics with the lock.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
