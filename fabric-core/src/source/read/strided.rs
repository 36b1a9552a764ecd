//! Reads parts that are not contiguous: transposed, sliced and expanded views, and big-endian numbers.

use super::{BLOCK, RunCheck, out_of_bounds};
use crate::error::Result;
use crate::source::{Arrangement, Part, Source};

/// Fills `into` with the part's elements in row-major order. The file is read in its own order, and each element goes
/// straight to its place, so there is no second copy of the part.
pub(crate) fn gather(
    source: &dyn Source,
    entry: &str,
    part: &Part,
    arrangement: &Arrangement,
    item: usize,
    into: &mut [u8],
) -> Result<()> {
    let mut walk = StridedWalk::new(&part.region.size, &arrangement.strides, item);
    if item == 0 || !BLOCK.is_multiple_of(item) || !walk.fits(into.len(), part.place.len) {
        return Err(out_of_bounds(source, entry));
    }
    if !walk.ascends() {
        return gather_from_memory(source, entry, part, arrangement, item, into);
    }
    let check = RunCheck::of(source, entry, part)?;
    let mut bytes = vec![0; BLOCK.min(usize::try_from(part.place.len).unwrap_or(BLOCK))];
    for block in part.blocks() {
        let bytes = &mut bytes[..block.len];
        check.read(source, entry, block, bytes)?;
        let begin = block.number * BLOCK;
        while let Some((from, to)) = walk.now(begin + block.len) {
            let from = from - begin;
            copy(&bytes[from..from + item], &mut into[to..to + item], arrangement.swapped);
            walk.advance();
        }
    }
    check.finish(source, entry)
}

/// Reads the whole span first, for views in which several indices share elements.
fn gather_from_memory(
    source: &dyn Source,
    entry: &str,
    part: &Part,
    arrangement: &Arrangement,
    item: usize,
    into: &mut [u8],
) -> Result<()> {
    let mut span = Vec::new();
    super::blocks_in_order(source, entry, part, |block| {
        span.extend_from_slice(block);
        Ok(())
    })?;
    let mut walk = StridedWalk::new(&part.region.size, &arrangement.strides, item);
    while let Some((from, to)) = walk.now(span.len()) {
        copy(&span[from..from + item], &mut into[to..to + item], arrangement.swapped);
        walk.advance();
    }
    Ok(())
}

fn copy(from: &[u8], to: &mut [u8], swapped: usize) {
    to.copy_from_slice(from);
    if swapped > 1 {
        to.chunks_exact_mut(swapped).for_each(<[u8]>::reverse);
    }
}

/// Walks over the elements of a view, with the dimensions of the widest strides outermost, which is usually the order
/// of the file.
struct StridedWalk {
    dims: Vec<Dim>,
    item: usize,
    from: usize,
    to: usize,
    done: bool,
}

#[derive(Clone, Copy)]
struct Dim {
    size: usize,
    index: usize,
    /// The bytes from one index to the next, in the file and in the result.
    from: usize,
    to: usize,
}

impl StridedWalk {
    /// The index has checked strides against the file; `fits` refuses an overflow.
    fn new(shape: &[usize], strides: &[usize], item: usize) -> Self {
        let mut dims = Vec::with_capacity(shape.len());
        let mut to = item;
        for (&size, &stride) in shape.iter().zip(strides).rev() {
            if size != 1 {
                dims.push(Dim {
                    size,
                    index: 0,
                    from: stride.saturating_mul(item),
                    to,
                });
            }
            to = to.saturating_mul(size);
        }
        dims.reverse();
        dims.sort_by_key(|dim| std::cmp::Reverse(dim.from));
        Self {
            dims,
            item,
            from: 0,
            to: 0,
            done: shape.contains(&0),
        }
    }

    /// Returns true if every element lies inside a span of `from` bytes and a result of `to` bytes.
    fn fits(&self, to: usize, from: u64) -> bool {
        let last = |stride: fn(&Dim) -> usize| {
            let steps = self.dims.iter().map(|dim| (dim.size.saturating_sub(1), stride(dim)));
            steps.fold(self.item, |end, (steps, stride)| {
                end.saturating_add(steps.saturating_mul(stride))
            })
        };
        self.done || (last(|dim| dim.to) <= to && last(|dim| dim.from) as u64 <= from)
    }

    /// Returns true if the walk passes the file from its start to its end.
    fn ascends(&self) -> bool {
        let mut inner = 0usize;
        self.dims.iter().rev().all(|dim| {
            let ascends = dim.from >= inner;
            inner = inner.saturating_add((dim.size.saturating_sub(1)).saturating_mul(dim.from));
            ascends
        })
    }

    /// The offsets of the current element in the span and in the result, if the element lies before `end`.
    fn now(&self, end: usize) -> Option<(usize, usize)> {
        (!self.done && self.from < end).then_some((self.from, self.to))
    }

    fn advance(&mut self) {
        for dim in self.dims.iter_mut().rev() {
            dim.index += 1;
            self.from += dim.from;
            self.to += dim.to;
            if dim.index < dim.size {
                return;
            }
            self.from -= dim.from * dim.size;
            self.to -= dim.to * dim.size;
            dim.index = 0;
        }
        self.done = true;
    }
}
