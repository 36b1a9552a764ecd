//! Verifies every byte of tensors, and goes on behind damage.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::check::RunCheck;
use super::each::{Marked, read_each};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::hash::HashSet;
use crate::progress::Meter;
use crate::source::{Check, Extent, Part, Source, StoredTensor};

/// The numbers of blocks and bytes that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadThrough {
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
    /// The bytes that no checksum covers.
    pub(crate) unchecked: u64,
}

/// A run of bytes to read once, however many tensors show it.
struct Place<'t> {
    /// The first entry that shows it.
    entry: &'t str,
    part: Cow<'t, Part>,
    check: RunCheck,
    /// A block could not be read, so the sum over all of them says nothing.
    is_broken: AtomicBool,
}

impl<'t> Place<'t> {
    fn new(source: &dyn Source, entry: &'t str, part: Cow<'t, Part>) -> Result<Self> {
        Ok(Self {
            check: RunCheck::of(source, entry, &part)?,
            entry,
            part,
            is_broken: AtomicBool::new(false),
        })
    }

    fn has_sums(&self) -> bool {
        !matches!(self.part.check, Check::Nothing | Check::Framed)
    }
}

/// Reads every byte of the tensors once, and compares the checksums. The parts are located. `damaged` gets the error of
/// each block that does not match, and returns an error to end the reading.
///
/// # Errors
/// Those of `damaged`, and if the callback of the meter panics.
pub(crate) fn read_through<'t>(
    source: &dyn Source,
    tensors: impl Iterator<Item = (&'t str, &'t StoredTensor)>,
    meter: &Meter,
    damaged: impl Fn(Error) -> Result<()> + Sync,
) -> Result<ReadThrough> {
    let places = places(source, tensors)?;
    let blocks = || {
        places.iter().flat_map(|place| {
            let entry = place.entry;
            let blocks = place.part.blocks();
            blocks.map(move |block| Marked {
                entry,
                block,
                mark: place,
            })
        })
    };
    let (count, done) = (AtomicU64::new(0), AtomicU64::new(0));
    meter.announce(places.iter().map(|place| place.part.place.len).sum());
    read_each(source, blocks(), |marked, read| {
        match read {
            Ok(bytes) => marked.mark.check.note(marked.block.number, bytes),
            Err(error) => {
                marked.mark.is_broken.store(true, Ordering::Relaxed);
                damaged(error)?;
            }
        }
        let len = marked.block.len as u64;
        count.fetch_add(1, Ordering::Relaxed);
        done.fetch_add(len, Ordering::Relaxed);
        meter.add(marked.entry, len)
    })?;
    let mut read = ReadThrough {
        blocks: count.into_inner(),
        bytes: done.into_inner(),
        unchecked: 0,
    };
    for place in places {
        if !place.has_sums() {
            read.unchecked += place.part.place.len;
        }
        if !place.is_broken.into_inner()
            && let Err(error) = place.check.finish(source, place.entry)
        {
            damaged(error)?;
        }
    }
    Ok(read)
}

/// The places of the tensors' bytes, in their order in the files. Ties and views of one run are one place.
fn places<'t>(
    source: &dyn Source,
    tensors: impl Iterator<Item = (&'t str, &'t StoredTensor)>,
) -> Result<Vec<Place<'t>>> {
    let (mut places, mut seen) = (Vec::new(), HashSet::<Extent>::default());
    let mut bare: Vec<(Extent, &str)> = Vec::new();
    for (entry, stored) in tensors {
        for part in &stored.parts {
            let part = match &part.check {
                Check::Blocks(_) if seen.insert(part.place) => Cow::Borrowed(part),
                Check::Run(run) if seen.insert(run.place) => Cow::Owned(whole(run.place, part.check.clone())),
                Check::Nothing => {
                    bare.push((part.place, entry));
                    continue;
                }
                // The second time, or reported as one that is not located.
                Check::Blocks(_) | Check::Run(_) | Check::Framed => continue,
            };
            places.push(Place::new(source, entry, part)?);
        }
    }
    for (place, entry) in joined(bare) {
        places.push(Place::new(source, entry, Cow::Owned(whole(place, Check::Nothing)))?);
    }
    places.sort_by_key(|place| (place.part.place.file, place.part.place.start));
    Ok(places)
}

/// A part that is a run of bytes.
fn whole(place: Extent, check: Check) -> Part {
    Part::plain(Region::whole(&[]), place, check)
}

/// Runs of bytes of which none overlaps another. Views of one storage overlap.
fn joined(mut runs: Vec<(Extent, &str)>) -> Vec<(Extent, &str)> {
    runs.sort_by_key(|(run, _)| (run.file, run.start));
    let mut joined: Vec<(Extent, &str)> = Vec::with_capacity(runs.len());
    for (run, entry) in runs {
        let end = run.start.saturating_add(run.len);
        match joined.last_mut() {
            Some((last, _)) if last.file == run.file && run.start < last.start.saturating_add(last.len) => {
                last.len = last.len.max(end - last.start);
            }
            _ => joined.push((run, entry)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_several_views_show_are_one_run() {
        let run = |file: usize, start: u64, len: u64| (Extent { file, start, len }, "x");
        let views = vec![
            run(0, 10, 5),
            run(1, 0, 4),
            run(0, 0, 4),
            run(0, 12, 2),
            run(0, 14, 6),
            run(0, 4, 6),
        ];
        let expected = vec![run(0, 0, 4), run(0, 4, 6), run(0, 10, 10), run(1, 0, 4)];
        assert_eq!(joined(views), expected);
    }
}
