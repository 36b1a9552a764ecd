//! The contiguous runs of a box, and their places in another tensor.

use smallvec::SmallVec;

/// A run of bytes with its places in both tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CopyRun {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) len: usize,
}

/// One dimension of a box: the number of indices, and the bytes from one index to the next in both tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dim {
    pub(crate) size: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

pub(super) type Dims = SmallVec<[Dim; 4]>;

/// Runs of one length, at every index of some dimensions.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    outer: Dims,
    index: SmallVec<[usize; 4]>,
    run: CopyRun,
    over: bool,
}

impl Runs {
    /// The runs that begin with `first`. The innermost of the `outer` dimensions is the last.
    pub(crate) fn new(outer: Dims, first: CopyRun) -> Self {
        Self {
            index: SmallVec::from_elem(0, outer.len()),
            over: outer.iter().any(|dim| dim.size == 0),
            outer,
            run: first,
        }
    }

    /// The run, if there is only one.
    pub(crate) fn only(&self) -> Option<CopyRun> {
        self.outer.is_empty().then_some(self.run)
    }

    /// The length of each run.
    pub(crate) fn len(&self) -> usize {
        self.run.len
    }
}

impl Iterator for Runs {
    type Item = CopyRun;

    fn next(&mut self) -> Option<CopyRun> {
        if self.over {
            return None;
        }
        let run = self.run;
        for (index, dim) in self.index.iter_mut().zip(&self.outer).rev() {
            *index += 1;
            self.run.from += dim.from;
            self.run.to += dim.to;
            if *index < dim.size {
                return Some(run);
            }
            self.run.from -= dim.from * dim.size;
            self.run.to -= dim.to * dim.size;
            *index = 0;
        }
        self.over = true;
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_at_every_index_of_the_outer_dimensions() {
        let first = CopyRun {
            from: 4,
            to: 100,
            len: 8,
        };
        let dims = [(2, 50, 16), (3, 10, 32)].map(|(size, from, to)| Dim { size, from, to });
        let runs = Runs::new(SmallVec::from_slice(&dims), first);
        assert_eq!((runs.only(), runs.len()), (None, 8));
        let places: Vec<(usize, usize)> = runs.map(|run| (run.from, run.to)).collect();
        assert_eq!(
            places,
            [(4, 100), (14, 132), (24, 164), (54, 116), (64, 148), (74, 180)]
        );
        let one = Runs::new(Dims::new(), first);
        assert_eq!((one.only(), one.collect::<Vec<_>>()), (Some(first), vec![first]));
    }
}
