//! Copies a box of elements from memory to memory, with other strides.

use std::ops::Range;

use super::{Dim, Dims};

/// The elements of a tile along each dimension: a tile of both tensors fits in the fastest cache.
const TILE: usize = 32;

/// Bytes of a part's place, from `begin` on.
pub(super) struct Window<'w> {
    pub(super) begin: usize,
    pub(super) bytes: &'w [u8],
    pub(super) item: usize,
    /// The length of a number that is big-endian, or 1.
    pub(super) swapped: usize,
}

impl Window<'_> {
    /// Copies a box. `place` are the first element's places in the window and in `into`.
    pub(super) fn copy(&self, dims: &[Dim], place: (usize, usize), into: &mut [u8]) {
        let mut outer: Dims = dims.iter().filter(|dim| dim.size != 1).copied().collect();
        let one = Dim {
            size: 1,
            from: 0,
            to: 0,
        };
        let line = take(&mut outer, |dim| dim.to).unwrap_or(one);
        if line.size == 1 || (line.from == self.item && line.to == self.item) {
            return each(&outer, place, &mut |from, to| {
                self.run(from, to, line.size * self.item, into);
            });
        }
        let across = take(&mut outer, |dim| dim.from).unwrap_or(one);
        let item = if self.swapped > 1 { 0 } else { self.item };
        each(&outer, place, &mut |from, to| match item {
            1 => self.tiles::<1>((line, across), (from, to), into),
            2 => self.tiles::<2>((line, across), (from, to), into),
            4 => self.tiles::<4>((line, across), (from, to), into),
            8 => self.tiles::<8>((line, across), (from, to), into),
            _ => self.by_items((line, across), (from, to), into),
        });
    }

    /// Copies a run of elements.
    fn run(&self, from: usize, to: usize, len: usize, into: &mut [u8]) {
        let into = &mut into[to..to + len];
        into.copy_from_slice(&self.bytes[from..from + len]);
        if self.swapped > 1 {
            into.chunks_exact_mut(self.swapped).for_each(<[u8]>::reverse);
        }
    }

    /// Copies two dimensions, tile by tile. A tile is read by rows and written by columns, so that each line of the cache is
    /// needed once on both sides, also where rows are a power of two apart.
    fn tiles<const N: usize>(&self, (line, across): (Dim, Dim), place: (usize, usize), into: &mut [u8]) {
        if line.to != N || across.from != N {
            return self.by_items((line, across), place, into);
        }
        let mut tile = [[[0; N]; TILE]; TILE];
        for lines in ranges(across.size) {
            for items in ranges(line.size) {
                let from = place.0 + lines.start * N;
                for (row, at) in tile.iter_mut().zip(items.clone()) {
                    let from = from + at * line.from;
                    let (sources, _) = self.bytes[from..from + lines.len() * N].as_chunks();
                    row[..lines.len()].copy_from_slice(sources);
                }
                let to = place.1 + items.start * N;
                for (column, at) in lines.clone().enumerate() {
                    let to = to + at * across.to;
                    let (targets, _) = into[to..to + items.len() * N].as_chunks_mut();
                    for (target, row) in targets.iter_mut().zip(&tile) {
                        *target = row[column];
                    }
                }
            }
        }
    }

    /// Copies two dimensions, element by element.
    fn by_items(&self, (line, across): (Dim, Dim), (from, to): (usize, usize), into: &mut [u8]) {
        each(&[across, line], (from, to), &mut |from, to| {
            self.run(from, to, self.item, into);
        });
    }
}

/// Takes the dimension with the narrowest steps out of the list.
fn take(dims: &mut Dims, step: fn(&Dim) -> usize) -> Option<Dim> {
    let at = (0..dims.len()).min_by_key(|at| step(&dims[*at]))?;
    Some(dims.remove(at))
}

/// The numbers below `len`, in ranges that are as long as a tile.
fn ranges(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(TILE).map(move |from| from..len.min(from + TILE))
}

/// Calls `copy` with the places of every index of the dimensions.
fn each(dims: &[Dim], (from, to): (usize, usize), copy: &mut impl FnMut(usize, usize)) {
    let Some((dim, inner)) = dims.split_first() else {
        return copy(from, to);
    };
    for index in 0..dim.size {
        each(inner, (from + index * dim.from, to + index * dim.to), copy);
    }
}
