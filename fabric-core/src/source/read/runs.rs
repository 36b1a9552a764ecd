//! The contiguous runs of a box in a row-major tensor, and their places in another tensor.

use crate::entry::Region;

/// A run of bytes with its places in both tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopyRun {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) len: usize,
}

/// The runs of a box, in order, each as long as possible.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    /// The dimensions outside of a run: the number of indices, and the bytes from one index to the next.
    outer: Vec<(usize, usize)>,
    index: Vec<usize>,
    at: usize,
    run: usize,
    done: usize,
    over: bool,
}

impl Runs {
    /// The runs of `region` in a tensor of this shape, with `item` bytes an element.
    pub(crate) fn new(shape: &[usize], region: &Region, item: usize) -> Self {
        let (mut outer, mut run, mut stride, mut at) = (Vec::new(), item, item, 0);
        for dim in (0..shape.len()).rev() {
            at += region.offset[dim] * stride;
            // While all inner dimensions are taken completely, a run extends over the next dimension.
            if outer.is_empty() && run == stride {
                run *= region.size[dim];
            } else if region.size[dim] != 1 {
                outer.push((region.size[dim], stride));
            }
            stride *= shape[dim];
        }
        outer.reverse();
        Self {
            index: vec![0; outer.len()],
            outer,
            at,
            run,
            done: 0,
            over: region.size.contains(&0),
        }
    }

    /// The rest of the current run, at most `most` bytes of it, as (start, length).
    pub(crate) fn next(&mut self, most: usize) -> Option<(usize, usize)> {
        if self.over {
            return None;
        }
        let (start, len) = (self.at + self.done, most.min(self.run - self.done));
        self.done += len;
        if self.done == self.run {
            self.advance();
        }
        Some((start, len))
    }

    fn advance(&mut self) {
        self.done = 0;
        for (index, (size, stride)) in self.index.iter_mut().zip(&self.outer).rev() {
            *index += 1;
            self.at += stride;
            if *index < *size {
                return;
            }
            self.at -= stride * size;
            *index = 0;
        }
        self.over = true;
    }
}

/// A box in two tensors, run by run.
#[derive(Clone, Debug)]
pub(super) struct Pieces<'p> {
    from: Runs,
    to: Runs,
    /// The rest of a run of `from` that spans several runs of `to`.
    left: Option<(usize, usize)>,
    source: (&'p [usize], &'p Region),
    item: usize,
}

impl<'p> Pieces<'p> {
    /// `from` and `to` are each a shape and a box in it. Both boxes have one size.
    pub(crate) fn new(from: (&'p [usize], &'p Region), to: (&[usize], &Region), item: usize) -> Self {
        Self {
            from: Runs::new(from.0, from.1, item),
            to: Runs::new(to.0, to.1, item),
            left: None,
            source: from,
            item,
        }
    }

    /// The run, if the box is one run in both tensors.
    pub(crate) fn only(&self) -> Option<CopyRun> {
        let one = |runs: &Runs| runs.outer.is_empty() && !runs.over;
        (one(&self.from) && one(&self.to)).then_some(CopyRun {
            from: self.from.at,
            to: self.to.at,
            len: self.from.run,
        })
    }

    pub(crate) fn next(&mut self) -> Option<CopyRun> {
        let (from, len) = match self.left.take() {
            Some(left) => left,
            None => self.from.next(usize::MAX)?,
        };
        let (to, now) = self.to.next(len)?;
        if now < len {
            self.left = Some((from + now, len - now));
        }
        Some(CopyRun { from, to, len: now })
    }

    /// The end of the last run in the tensor that is read.
    pub(crate) fn last_end(&self) -> usize {
        let (shape, region) = self.source;
        let mut stride = self.item;
        let mut end = 0;
        for dim in (0..shape.len()).rev() {
            end += (region.offset[dim] + region.size[dim]).saturating_sub(1) * stride;
            stride *= shape[dim];
        }
        end + self.item
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(offset: &[usize], size: &[usize]) -> Region {
        Region {
            offset: offset.to_vec(),
            size: size.to_vec(),
        }
    }

    fn all(mut runs: Runs) -> Vec<(usize, usize)> {
        std::iter::from_fn(|| runs.next(usize::MAX)).collect()
    }

    #[test]
    fn rows_are_one_run_and_columns_are_many() {
        assert_eq!(
            all(Runs::new(&[4, 3, 2], &region(&[1, 0, 0], &[2, 3, 2]), 4)),
            [(24, 48)]
        );
        assert_eq!(
            all(Runs::new(&[3, 4], &region(&[0, 1], &[3, 2]), 2)),
            [(2, 4), (10, 4), (18, 4)]
        );
        assert_eq!(all(Runs::new(&[], &region(&[], &[]), 8)), [(0, 8)], "a scalar");
        assert_eq!(all(Runs::new(&[0, 4], &region(&[0, 0], &[0, 4]), 2)), []);
        assert_eq!(
            all(Runs::new(&[2, 3], &region(&[1, 1], &[1, 2]), 1)),
            [(4, 2)],
            "a part of a row"
        );
    }

    proptest! {
        /// Counts element by element.
        #[test]
        fn pieces_are_where_counting_finds_them(
            sizes in prop::collection::vec((0..4usize, 0..3usize, 0..3usize, 0..3usize, 0..3usize), 0..4), item in 1..4usize,
        ) {
            let size: Vec<usize> = sizes.iter().map(|s| s.0).collect();
            let from = (sizes.iter().map(|s| s.0 + s.1 + s.2).collect::<Vec<_>>(), sizes.iter().map(|s| s.1).collect::<Vec<_>>());
            let to = (sizes.iter().map(|s| s.0 + s.3 + s.4).collect::<Vec<_>>(), sizes.iter().map(|s| s.3).collect::<Vec<_>>());
            let (a, b) = (region(&from.1, &size), region(&to.1, &size));
            let mut pieces = Pieces::new((&from.0, &a), (&to.0, &b), item);
            let mut found = Vec::new();
            while let Some(run) = pieces.next() {
                prop_assert!(run.len > 0);
                found.extend((0..run.len).map(|at| (run.from + at, run.to + at)));
            }
            let count: usize = size.iter().product();
            let place = |shape: &[usize], offset: &[usize], mut n: usize| {
                let (mut at, mut stride) = (0, 1);
                for d in (0..shape.len()).rev() {
                    at += (offset[d] + n % size[d]) * stride;
                    n /= size[d];
                    stride *= shape[d];
                }
                at * item
            };
            let expected: Vec<_> = (0..count).flat_map(|n| {
                let (f, t) = (place(&from.0, &from.1, n), place(&to.0, &to.1, n));
                (0..item).map(move |at| (f + at, t + at))
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
