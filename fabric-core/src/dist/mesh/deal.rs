//! Which rank writes what: each box once, replicas in turn, large ones in pieces.
//!
//! Tensors that are replicated over the same axes lie, in order, on a tape as long as all of their boxes. The tape is divided
//! evenly among as many replicas as have at least [`PIECE`] bytes of it each: small replicas lie together, in few files. A tensor
//! whose box is longer than a share is cut into equal pieces. The middle of a piece on the tape says which replica writes it,
//! so every writer writes about its share, whatever the boxes' lengths are.
//!
//! This is a part of the file format: a reader finds by it which file holds a box. `docs/format.md` has it in full.

use super::{Mesh, Split};
use crate::entry::{Region, TensorInfo};
use crate::hash::HashMap;

/// No replica writes less, if another one can write it too: small files are no gain.
const PIECE: u64 = 1 << 20;

/// Who writes what, for tensors in a given order.
#[derive(Debug)]
pub(crate) struct Deal {
    mesh: Mesh,
    tensors: Vec<Dealt>,
    tapes: Vec<Tape>,
}

/// The tensors that are replicated over the same axes.
#[derive(Debug)]
struct Tape {
    axes: Vec<usize>,
    replicas: usize,
    len: u64,
}

impl Tape {
    /// How many replicas write, from the first one on.
    fn writers(&self) -> u64 {
        (self.len / PIECE).clamp(1, self.replicas as u64)
    }
}

#[derive(Debug)]
struct Dealt {
    shape: Vec<usize>,
    split: Split,
    tape: usize,
    /// Where it begins on the tape, and how much of it it takes: the length of its box if all were equal.
    from: u64,
    len: u64,
    /// The dimension along which its box is cut into pieces, and how many there are.
    along: usize,
    pieces: usize,
}

impl Deal {
    /// Deals tensors to the ranks of a mesh. Their splits have been [checked](Split::check).
    pub(crate) fn new(mesh: Mesh, tensors: impl IntoIterator<Item = (TensorInfo, Split)>) -> Self {
        let mut tapes: Vec<Tape> = Vec::new();
        let mut known: HashMap<Vec<usize>, usize> = HashMap::default();
        let mut dealt = Vec::new();
        for (info, split) in tensors {
            let axes = split.free_axes(&mesh);
            let tape = *known.entry(axes).or_insert_with_key(|axes| {
                let (axes, replicas) = (axes.clone(), mesh.cells(axes));
                tapes.push(Tape { axes, replicas, len: 0 });
                tapes.len() - 1
            });
            let boxes = mesh.world_size() / tapes[tape].replicas;
            let len = (info.byte_len().unwrap_or_default() as u64).div_ceil(boxes as u64);
            let along = info.shape().iter().position(|&len| len > 1).unwrap_or(0);
            dealt.push(Dealt {
                shape: info.shape().to_vec(),
                split,
                tape,
                from: tapes[tape].len,
                len,
                along,
                // Elements smaller than a byte are not taken apart.
                pieces: usize::from(info.dtype().bits() >= 8),
            });
            tapes[tape].len += len;
        }
        for tensor in &mut dealt {
            tensor.pieces = tensor.count_pieces(&tapes[tensor.tape]);
        }
        Self {
            mesh,
            tensors: dealt,
            tapes,
        }
    }

    /// The box of a tensor that a rank writes, if it writes any of it: its own box, or a piece of that.
    pub(crate) fn own(&self, tensor: usize, rank: usize) -> Option<Region> {
        let dealt = &self.tensors[tensor];
        let tape = &self.tapes[dealt.tape];
        let whole = dealt.split.region(&self.mesh, &dealt.shape, rank);
        let replica = self.mesh.cell(rank, &tape.axes);
        let first = super::split::lower_bound(dealt.pieces, |piece| dealt.replica(piece, tape) < replica);
        let last = super::split::lower_bound(dealt.pieces, |piece| dealt.replica(piece, tape) <= replica);
        dealt.cut(&whole, first, last)
    }

    /// Calls `take` with each box that is written and has anything of `wanted`, and the rank that writes it.
    pub(crate) fn overlapping(&self, tensor: usize, wanted: &Region, take: &mut dyn FnMut(Region, usize)) {
        let dealt = &self.tensors[tensor];
        let tape = &self.tapes[dealt.tape];
        dealt
            .split
            .overlapping(&self.mesh, &dealt.shape, wanted, &mut |whole, rank| {
                let mut first = 0;
                while first < dealt.pieces {
                    let replica = dealt.replica(first, tape);
                    let mut last = first + 1;
                    while last < dealt.pieces && dealt.replica(last, tape) == replica {
                        last += 1;
                    }
                    if let Some(piece) = dealt.cut(whole, first, last)
                        && piece.overlap(wanted).is_some()
                    {
                        take(piece, rank + self.mesh.rank_of_cell(replica, &tape.axes));
                    }
                    first = last;
                }
            });
    }
}

impl Dealt {
    fn count_pieces(&self, tape: &Tape) -> usize {
        if self.pieces == 0 || tape.replicas == 1 || self.len <= PIECE {
            return 1;
        }
        let share = tape.len.div_ceil(tape.writers());
        let most = self.shape.get(self.along).copied().unwrap_or(1).max(1);
        usize::try_from(self.len.div_ceil(share))
            .unwrap_or(usize::MAX)
            .min(most)
    }

    /// Which replica writes a piece.
    fn replica(&self, piece: usize, tape: &Tape) -> usize {
        if tape.len == 0 {
            return 0;
        }
        let (piece, pieces) = (piece as u128, self.pieces as u128);
        let middle = u128::from(self.from) * 2 * pieces + u128::from(self.len) * (2 * piece + 1);
        let replica = middle * u128::from(tape.writers()) / (u128::from(tape.len) * 2 * pieces);
        usize::try_from(replica).unwrap_or(usize::MAX).min(tape.replicas - 1)
    }

    /// Some consecutive pieces of a box; `None` if nothing is in them.
    fn cut(&self, whole: &Region, first: usize, last: usize) -> Option<Region> {
        if first >= last || whole.size.contains(&0) {
            return None;
        }
        let mut region = whole.clone();
        if last - first < self.pieces {
            let len = whole.size[self.along];
            let start = |piece: usize| {
                // Both are below 2^64, so the product fits.
                let at = (piece as u128) * (len as u128) / (self.pieces as u128);
                usize::try_from(at).unwrap_or(len)
            };
            let (from, to) = (start(first), start(last));
            region.offset[self.along] += from;
            region.size[self.along] = to - from;
        }
        (!region.size.contains(&0)).then_some(region)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Cells, Cut};
    use super::*;
    use crate::entry::{DType, covers};

    fn mesh(axes: &[(&str, usize)]) -> Mesh {
        Mesh::new(axes.iter().map(|&(name, size)| (name.to_owned(), size)).collect())
    }

    fn floats(shape: &[usize]) -> TensorInfo {
        TensorInfo::new(DType::F32, shape.to_vec())
    }

    /// The bytes that each rank writes.
    fn loads(mesh: &Mesh, tensors: &[(TensorInfo, Split)]) -> Vec<usize> {
        let deal = Deal::new(mesh.clone(), tensors.iter().cloned());
        let own = |rank| {
            (0..tensors.len())
                .filter_map(|tensor| deal.own(tensor, rank))
                .map(|region: Region| region.size.iter().product::<usize>() * 4)
                .sum()
        };
        (0..mesh.world_size()).map(own).collect()
    }

    #[test]
    fn small_replicas_lie_together() {
        let mesh = mesh(&[("dp", 4)]);
        let tensors: Vec<_> = (0..8).map(|_| (floats(&[16, 4]), Split::default())).collect();
        assert_eq!(loads(&mesh, &tensors), [8 * 256, 0, 0, 0]);
    }

    #[test]
    fn replicas_are_dealt_out_evenly_to_as_many_as_have_enough_to_write() {
        let mesh = mesh(&[("dp", 4)]);
        let tensors: Vec<_> = (0..8).map(|_| (floats(&[1 << 16]), Split::default())).collect();
        assert_eq!(loads(&mesh, &tensors), [1 << 20, 1 << 20, 0, 0]);
        let tensors: Vec<_> = (0..32).map(|_| (floats(&[1 << 16]), Split::default())).collect();
        assert_eq!(loads(&mesh, &tensors), [2 << 20; 4]);
    }

    #[test]
    fn a_large_replica_is_written_in_pieces() {
        let mesh = mesh(&[("dp", 4)]);
        let tensors = [
            (floats(&[1024, 2048]), Split::default()),
            (floats(&[8]), Split::default()),
        ];
        let loads = loads(&mesh, &tensors);
        assert_eq!(loads.iter().sum::<usize>(), 8 * 1024 * 1024 + 32);
        assert!(loads.iter().all(|load| load.abs_diff(2 << 20) < 16 << 10), "{loads:?}");
    }

    #[test]
    fn uneven_tensors_leave_no_rank_with_more_than_one_tensor_too_much() {
        let mesh = mesh(&[("dp", 3)]);
        let tensors: Vec<_> = (1..40)
            .map(|rows| (floats(&[rows * 7, 500]), Split::default()))
            .collect();
        let loads = loads(&mesh, &tensors);
        let (share, largest) = (loads.iter().sum::<usize>() / 3, 39 * 7 * 500 * 4);
        assert!(loads.iter().all(|load| load.abs_diff(share) <= largest), "{loads:?}");
    }

    #[test]
    fn a_shard_is_written_by_the_rank_that_holds_it() {
        let mesh = mesh(&[("dp", 2), ("tp", 2)]);
        let columns = Split {
            cuts: vec![Cut {
                dim: 1,
                axes: vec![1],
                cells: Cells::Balanced,
            }],
        };
        let info = floats(&[4, 6]);
        let deal = Deal::new(mesh, [(info, columns)]);
        let own: Vec<_> = (0..4)
            .map(|rank| deal.own(0, rank).map(|region| region.to_string()))
            .collect();
        // One small tensor, two replicas of each half: the first of them writes.
        assert_eq!(
            own,
            [
                Some("[4, 3] at [0, 0]".into()),
                Some("[4, 3] at [0, 3]".into()),
                None,
                None
            ]
        );
    }

    #[test]
    fn tensors_without_elements_are_written_by_nobody() {
        let mesh = mesh(&[("dp", 2)]);
        let info = floats(&[0, 3]);
        let deal = Deal::new(mesh, [(info, Split::default())]);
        assert_eq!((deal.own(0, 0), deal.own(0, 1)), (None, None));
    }

    proptest! {
        /// What the ranks write tiles every tensor, and a reader who asks for a box is told the same writers.
        #[test]
        fn everything_is_written_once_and_found(
            rows in 0..9usize, columns in 0..9usize, ranks in (1..4usize, 1..4usize, 1..3usize), cut in 0..4usize,
            large in any::<bool>(),
        ) {
            let mesh = mesh(&[("a", ranks.0), ("b", ranks.1), ("c", ranks.2)]);
            let shape = if large { vec![rows, 1 << 17, columns] } else { vec![rows, 3, columns] };
            let cuts = match cut {
                0 => vec![],
                1 => vec![Cut { dim: 0, axes: vec![1], cells: Cells::Balanced }],
                2 => vec![Cut { dim: 2, axes: vec![0], cells: Cells::Chunked(columns.div_ceil(ranks.0)) }],
                _ => vec![Cut { dim: 0, axes: vec![2, 0], cells: Cells::Balanced }, Cut { dim: 2, axes: vec![1], cells: Cells::Balanced }],
            };
            let (info, split, other) = (floats(&shape), Split { cuts }, floats(&[1000]));
            let deal = Deal::new(mesh.clone(), [(other, split.clone()), (info, split.clone())].into_iter().filter(|(i, _)| split.check(&mesh, i.shape()).is_ok()));
            let tensor = deal.tensors.len() - 1;
            let written: Vec<(Region, usize)> = (0..mesh.world_size()).filter_map(|rank| Some((deal.own(tensor, rank)?, rank))).collect();
            let regions: Vec<Region> = written.iter().map(|(region, _)| region.clone()).collect();
            prop_assert_eq!(covers(&shape, &regions), Ok(()));
            let mut found = Vec::new();
            deal.overlapping(tensor, &Region::whole(&shape), &mut |region, rank| found.push((region, rank)));
            found.sort_by_key(|(_, rank)| *rank);
            prop_assert_eq!(found, written);
        }
    }
}
