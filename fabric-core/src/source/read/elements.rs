//! The elements of a part: their places in the file and in the tensor, as strides in bytes.

mod copy;

use std::cmp::Reverse;

use self::copy::Window;
use super::runs::{CopyRun, Dim, Dims, Runs};
use crate::source::Part;
use crate::source::layout::row_major;

/// The elements of a part, in the order of the file as far as strides tell it.
#[derive(Clone, Debug)]
pub(super) struct Elements {
    /// The dimensions with more than one index, from the widest steps in the file to the narrowest.
    dims: Dims,
    /// The place of the first element: its offset in the part's place and in the tensor.
    from: usize,
    to: usize,
    /// The bytes of an element.
    item: usize,
    /// The length of a number in bytes if numbers are big-endian, and 1 if not.
    swapped: usize,
}

impl Elements {
    /// The elements of a part that is not empty, in a tensor of this shape; `None` if they do not lie in the part's place, or
    /// in the `len` bytes of the tensor. The index has checked most strides, and this refuses an overflow.
    pub(super) fn of(part: &Part, shape: &[usize], item: usize, len: usize) -> Option<Self> {
        let (layout, rows) = (part.layout(), row_major(shape));
        let (mut dims, mut to) = (Dims::new(), 0usize);
        let sizes = part.region.size.iter().zip(&part.region.offset);
        for (((&size, &offset), &from), &row) in sizes.zip(&layout.strides).zip(&rows) {
            to = to.checked_add(offset.checked_mul(row)?)?;
            if size != 1 {
                let (from, to) = (from.checked_mul(item)?, row.checked_mul(item)?);
                dims.push(Dim { size, from, to });
            }
        }
        dims.sort_by_key(|dim| Reverse(dim.from));
        let elements = Self {
            dims: joined(&dims),
            from: layout.start.checked_mul(item)?,
            to: to.checked_mul(item)?,
            item,
            swapped: layout.swapped,
        };
        let end = |first: usize, step: fn(&Dim) -> usize| {
            let mut steps = elements.dims.iter().map(|dim| (dim.size.saturating_sub(1), step(dim)));
            let last = steps.try_fold(first, |end, (steps, step)| end.checked_add(steps.checked_mul(step)?))?;
            last.checked_add(item)
        };
        let (from, to) = (end(elements.from, |dim| dim.from)?, end(elements.to, |dim| dim.to)?);
        (from as u64 <= part.place.len && to <= len).then_some(elements)
    }

    /// Returns true if no numbers are converted, and the order of the file is that of the tensor.
    pub(super) fn is_in_order(&self) -> bool {
        let falls = self.dims.windows(2).all(|dims| dims[0].to >= dims[1].to);
        self.swapped <= 1 && falls && self.ascends()
    }

    /// The runs that are contiguous in both tensors.
    pub(super) fn runs(&self) -> Runs {
        let mut outer = self.dims.clone();
        let len = match outer.last() {
            Some(last) if last.from == self.item && last.to == self.item => {
                let len = last.size * self.item;
                outer.pop();
                len
            }
            _ => self.item,
        };
        Runs::new(outer, self.first(len))
    }

    /// The runs that are contiguous in the file, from its start to its end. Of elements that several indices share, and that
    /// lie in no order, it is one run over all of them.
    pub(super) fn file_runs(&self) -> Runs {
        if !self.ascends() {
            return Runs::new(Dims::new(), self.first(self.reach(&self.dims)));
        }
        let mut outer: Dims = self.dims.iter().filter(|dim| dim.from > 0).copied().collect();
        let mut len = self.item;
        while let Some(last) = outer.last().filter(|last| last.from == len) {
            len *= last.size;
            outer.pop();
        }
        Runs::new(outer, self.first(len))
    }

    fn first(&self, len: usize) -> CopyRun {
        CopyRun {
            from: self.from,
            to: self.to,
            len,
        }
    }

    /// Returns true if a walk over the dimensions passes the file from its start to its end.
    fn ascends(&self) -> bool {
        (0..self.dims.len()).all(|at| {
            let step = self.dims[at].from;
            step == 0 || step >= self.reach(&self.dims[at + 1..])
        })
    }

    /// The bytes of the file from the first to the last element of a box.
    fn reach(&self, dims: &[Dim]) -> usize {
        let steps = dims.iter().map(|dim| dim.size.saturating_sub(1) * dim.from);
        self.item + steps.sum::<usize>()
    }

    /// Copies those elements that lie in `window`, the bytes of the part's place from `begin` on, to their places in `into`.
    /// The window begins and ends with whole elements.
    pub(super) fn scatter(&self, begin: usize, window: &[u8], into: &mut [u8]) {
        let window = Window {
            begin,
            bytes: window,
            item: self.item,
            swapped: self.swapped,
        };
        self.within(&window, &self.dims, (self.from, self.to), into);
    }

    /// Copies the elements of a box. What lies in the window with all inner dimensions is copied together.
    fn within(&self, window: &Window<'_>, dims: &[Dim], (from, to): (usize, usize), into: &mut [u8]) {
        let (begin, end) = (window.begin, window.begin + window.bytes.len());
        let reach = self.reach(dims);
        if from >= begin && from + reach <= end {
            return window.copy(dims, (from - begin, to), into);
        }
        let Some((&dim, inner)) = dims.split_first() else {
            return;
        };
        if from >= end || from + reach <= begin {
            return;
        }
        let some = indices(dim, from, self.reach(inner), (begin, end));
        for index in some.before.chain(some.behind) {
            let place = (from + index * dim.from, to + index * dim.to);
            self.within(window, inner, place, into);
        }
        if !some.inside.is_empty() {
            let place = (
                from + some.inside.start * dim.from - begin,
                to + some.inside.start * dim.to,
            );
            let mut dims = Dims::from_slice(dims);
            dims[0].size = some.inside.len();
            window.copy(&dims, place, into);
        }
    }

    /// Divides the elements and the bytes of their tensor among at most `count` threads.
    pub(super) fn stripes<'i>(&self, into: &'i mut [u8], count: usize) -> Vec<(Self, &'i mut [u8])> {
        let widest = (0..self.dims.len()).max_by_key(|at| self.dims[*at].to);
        let (Some(widest), true) = (widest, count > 1) else {
            return vec![(self.clone(), into)];
        };
        let Dim { size, from, to } = self.dims[widest];
        let each = size.div_ceil(count).max(1);
        let mut rest = &mut into[self.to..];
        let mut stripes = Vec::with_capacity(count);
        for first in (0..size).step_by(each) {
            let some = each.min(size - first);
            let len = if first + some == size { rest.len() } else { some * to };
            let (now, later) = rest.split_at_mut(len);
            let mut stripe = Self {
                from: self.from + first * from,
                to: 0,
                ..self.clone()
            };
            stripe.dims[widest].size = some;
            stripes.push((stripe, now));
            rest = later;
        }
        stripes
    }
}

/// Dimensions without those that continue the one inside of them, in the file and in the tensor.
fn joined(dims: &[Dim]) -> Dims {
    let mut joined = Dims::new();
    for &dim in dims {
        match joined.last_mut() {
            Some(outer) if outer.from == dim.from * dim.size && outer.to == dim.to * dim.size => {
                *outer = Dim {
                    size: outer.size * dim.size,
                    ..dim
                };
            }
            _ => joined.push(dim),
        }
    }
    joined
}

/// The indices of a dimension whose elements overlap a window.
struct Indices {
    /// Those of which only some elements lie in the window.
    before: std::ops::Range<usize>,
    behind: std::ops::Range<usize>,
    /// Those of which all elements do.
    inside: std::ops::Range<usize>,
}

/// The indices of a dimension that begins at `from`; each index reaches over `reach` bytes.
fn indices(dim: Dim, from: usize, reach: usize, (begin, end): (usize, usize)) -> Indices {
    if dim.from == 0 {
        return Indices {
            before: 0..dim.size,
            behind: 0..0,
            inside: 0..0,
        };
    }
    let below = |bound: usize| bound.checked_sub(from).map_or(0, |bytes| bytes.div_ceil(dim.from));
    let first = (begin + 1)
        .checked_sub(from + reach)
        .map_or(0, |bytes| bytes.div_ceil(dim.from));
    let over = below(end).min(dim.size);
    let whole = below(begin)..below((end + 1).saturating_sub(reach)).min(dim.size);
    if whole.is_empty() {
        return Indices {
            before: first..over,
            behind: 0..0,
            inside: 0..0,
        };
    }
    Indices {
        before: first..whole.start,
        behind: whole.end..over,
        inside: whole,
    }
}

#[cfg(test)]
mod tests;
