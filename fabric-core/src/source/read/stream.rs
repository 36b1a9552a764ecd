//! Passes the bytes of a tensor on in row-major order, for destinations that are not contiguous.

use super::check::RunCheck;
use super::elements::Elements;
use super::{PartialSums, item, no_less, read_noting};
use crate::entry::Region;
use crate::error::Result;
use crate::io::checksum::BLOCK;
use crate::io::pages;
use crate::source::{Check, Part, Source, StoredTensor};

/// The most bytes of the pieces of a tensor in several parts that are streamed.
const ROWS: usize = 4 * BLOCK;

/// The most bytes of the pieces of a tensor in another order. A smaller piece is spread over as much of the file, and costs as
/// many reads.
const SPREAD: usize = 16 * BLOCK;

/// Passes every byte of a tensor to `take`, in row-major order. Each call has whole blocks, a multiple of [`BLOCK`] bytes,
/// except the last. A view of a part of a run with one checksum is read completely first.
pub(crate) fn stream(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let sums = PartialSums::default();
    stream_noting(source, entry, tensor, &sums, take)?;
    sums.finish(source)
}

/// Passes every byte to `take` as [`stream`] does. Blocks that are read in part are recorded in `sums`, and verified by
/// its `finish`.
pub(crate) fn stream_noting(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    sums: &PartialSums,
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let tensor = &*source.locate(entry, tensor, None)?;
    if let [
        part @ Part {
            arrangement: None,
            cut: None,
            ..
        },
    ] = &tensor.parts[..]
    {
        return blocks_in_order(source, entry, part, take);
    }
    let len = tensor.info.byte_len().unwrap_or_default();
    if len == 0 {
        return Ok(());
    }
    let is_view =
        |part: &Part| part.arrangement.is_some() && matches!(part.check, Check::Run(_)) && !part.is_whole_run();
    let most = if item(tensor) == 0 || tensor.parts.iter().any(is_view) {
        // Of elements that share bytes, no box can be read, and a view's pieces are read again for each box.
        usize::MAX
    } else if tensor.parts.iter().any(|part| is_spread(part, tensor)) {
        SPREAD
    } else {
        ROWS
    };
    stream_pieces(source, entry, tensor, most, sums, take)
}

/// Returns true if the elements of a part lie in another order than the tensor's.
fn is_spread(part: &Part, tensor: &StoredTensor) -> bool {
    let len = tensor.info.byte_len().unwrap_or_default();
    part.arrangement.is_some()
        && Elements::of(part, tensor.info.shape(), item(tensor), len).is_none_or(|elements| !elements.is_in_order())
}

/// Passes the bytes of a contiguous part to `take`, block by block.
fn blocks_in_order(
    source: &dyn Source,
    entry: &str,
    part: &Part,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let run = RunCheck::of(source, entry, part)?;
    let mut bytes = vec![0; BLOCK.min(usize::try_from(part.place.len).unwrap_or(BLOCK))];
    for block in part.blocks() {
        let bytes = &mut bytes[..block.len];
        run.read(source, entry, block, bytes)?;
        take(bytes)?;
    }
    run.finish(source, entry)
}

/// Streams a tensor in boxes of at most `most` bytes, each from all parts that contain some of it.
fn stream_pieces(
    source: &dyn Source,
    entry: &str,
    tensor: &StoredTensor,
    most: usize,
    sums: &PartialSums,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut held = Vec::new();
    for region in boxes(tensor.info.shape(), most / item(tensor).max(1)) {
        let some = tensor.cut_out(&region);
        let before = held.len();
        let len = before + some.info.byte_len().unwrap_or_default();
        no_less(source, pages::resize(&mut held, len))?;
        read_noting(source, entry, &some, &mut held[before..], 1, sums)?;
        // Whole blocks, so that the caller can divide the bytes into blocks again.
        let whole = held.len() - held.len() % BLOCK;
        take_nonempty(&held[..whole], &mut take)?;
        held.drain(..whole);
    }
    take_nonempty(&held, &mut take)
}

/// The boxes of at most `most` elements that a tensor of this shape is made of, in row-major order.
fn boxes(shape: &[usize], most: usize) -> impl Iterator<Item = Region> {
    // Of the dimensions before `along`, a box has one index; of those behind it, all.
    let (mut along, mut inner) = (shape.len().saturating_sub(1), 1usize);
    while along > 0 && shape[along].saturating_mul(inner) <= most {
        inner *= shape[along];
        along -= 1;
    }
    let rows = (most / inner).max(1);
    let count = shape.get(along).copied().unwrap_or(1);
    let stretches = count.div_ceil(rows);
    let outer: usize = shape.iter().take(along).product();
    let shape = shape.to_vec();
    (0..outer * stretches).map(move |number| {
        let mut region = Region::whole(&shape);
        if shape.is_empty() {
            return region;
        }
        region.offset[along] = number % stretches * rows;
        region.size[along] = rows.min(count - region.offset[along]);
        let mut rest = number / stretches;
        for dim in (0..along).rev() {
            (region.offset[dim], region.size[dim]) = (rest % shape[dim], 1);
            rest /= shape[dim];
        }
        region
    })
}

fn take_nonempty(bytes: &[u8], take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if bytes.is_empty() { Ok(()) } else { take(bytes) }
}
