//! What local tensors are parts of: schema, mesh and local sizes say where each lies in its whole.

use std::sync::Arc;

use super::cut::{Meant, check_state};
use crate::dist::mesh::{Cells, Cut, Mesh, Split};
use crate::dist::strategy::{Layout, Strategy};
use crate::entry::{Dims, Region, TensorInfo};
use crate::error::StateError;
use crate::state::Shards;

/// A tensor of this rank, and the dimensions that it is a part along.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) name: Arc<str>,
    pub(crate) info: TensorInfo,
    /// Dimensions with the axes of the mesh that each is cut over, the outermost first.
    pub(crate) cuts: Vec<(usize, Vec<usize>)>,
}

/// A tensor as all ranks have it together.
#[derive(Clone, Debug)]
pub(crate) struct Global {
    pub(crate) info: TensorInfo,
    pub(crate) split: Split,
}

impl Global {
    /// The box that a rank holds; `None` if that is all of it.
    pub(crate) fn region(&self, mesh: &Mesh, rank: usize) -> Option<Region> {
        (!self.split.is_whole()).then(|| self.split.region(mesh, self.info.shape(), rank))
    }
}

impl Local {
    /// What the attributes above a tensor mean under a strategy. A tensor without the dimension is not cut: the bias of a
    /// layer that is split along its inputs. Where one rank writes one file, nothing is cut.
    ///
    /// # Errors
    /// If the strategy does not say which axis is meant or does not have it, the elements cannot be split, or an optimizer's
    /// state cannot be cut as its parameter is.
    pub(crate) fn new(
        name: &Arc<str>,
        info: TensorInfo,
        shards: &Shards,
        strategy: &Strategy,
        mesh: &Mesh,
    ) -> Result<Self, StateError> {
        let local = Self::cut(name, info, shards, strategy, mesh)?;
        if !local.cuts.is_empty() && local.info.dtype().bits() < 8 {
            return Err(StateError::Tensor {
                name: name.to_string(),
                what: "has elements smaller than a byte, which cannot be split".to_owned(),
            });
        }
        Ok(local)
    }

    /// The cuts of a tensor of any element type, also of one that is not written.
    ///
    /// # Errors
    /// If the strategy does not say which axis is meant or does not have it, or an optimizer's state cannot be cut as its
    /// parameter is.
    pub(crate) fn cut(
        name: &Arc<str>,
        info: TensorInfo,
        shards: &Shards,
        strategy: &Strategy,
        mesh: &Mesh,
    ) -> Result<Self, StateError> {
        let mut cuts: Vec<(usize, Vec<usize>)> = Vec::new();
        // One file is written by one rank, which has everything.
        if strategy.layout() == Layout::Directory {
            let meant = Meant::of(name, shards, strategy, mesh)?;
            if let Some(parameter) = shards.parameter() {
                check_state(name, &info, parameter, &meant, mesh)?;
            }
            for Meant { dim, axis, .. } in meant.into_iter().filter(|meant| meant.dim < info.shape().len()) {
                match cuts.iter_mut().find(|(cut, _)| *cut == dim) {
                    Some((_, axes)) => axes.push(axis),
                    None => cuts.push((dim, vec![axis])),
                }
            }
        }
        cuts.sort_unstable();
        Ok(Self {
            name: name.clone(),
            info,
            cuts,
        })
    }

    /// What all ranks must agree on: the shape with blanks where it is cut.
    pub(crate) fn describe(&self, mesh: &Mesh) -> String {
        let dim = |(dim, len): (usize, &usize)| match self.cuts.iter().find(|(cut, _)| *cut == dim) {
            None => len.to_string(),
            Some((_, axes)) => {
                let axes: Vec<&str> = axes.iter().map(|&axis| mesh.axes()[axis].0.as_str()).collect();
                format!("over {}", axes.join(" and "))
            }
        };
        let dims: Vec<String> = self.info.shape().iter().enumerate().map(dim).collect();
        format!("{} [{}]", self.info.dtype(), dims.join(", "))
    }
}

/// The lengths of this rank's parts along the dimensions that are cut, as a message.
pub(crate) fn sizes(locals: &[Local]) -> Vec<u8> {
    let cut = locals.iter().flat_map(|local| {
        let lens = local.cuts.iter().map(|(dim, _)| local.info.shape()[*dim] as u64);
        lens.flat_map(u64::to_le_bytes)
    });
    cut.collect()
}

/// The whole tensors, where every rank has parts of the same sizes.
pub(crate) fn uniform(locals: &[Local], mesh: &Mesh) -> Result<Vec<Global>, StateError> {
    let whole = |local: &Local| {
        globally(local, |at| {
            let (dim, axes) = &local.cuts[at];
            let count = mesh.cells(axes);
            Ok(vec![local.info.shape()[*dim]; count])
        })
    };
    locals.iter().map(whole).collect()
}

/// The whole tensors, where the [`sizes`] of the ranks differ.
///
/// # Errors
/// If ranks that should hold the same rows hold different numbers of them.
pub(crate) fn uneven(locals: &[Local], mesh: &Mesh, sizes: &[Vec<u8>]) -> Result<Vec<Global>, StateError> {
    let mut globals = Vec::with_capacity(locals.len());
    let mut before = 0;
    for local in locals {
        let place = before;
        before += local.cuts.len();
        globals.push(globally(local, |at| lengths(local, at, place + at, mesh, sizes))?);
    }
    Ok(globals)
}

/// One whole tensor; `lengths` gives those of the pieces of its `n`th cut.
fn globally(local: &Local, lengths: impl Fn(usize) -> Result<Vec<usize>, StateError>) -> Result<Global, StateError> {
    let mut shape = Dims::from_slice(local.info.shape());
    let mut cuts = Vec::with_capacity(local.cuts.len());
    for (at, (dim, axes)) in local.cuts.iter().enumerate() {
        let lengths = lengths(at)?;
        let total = lengths.iter().try_fold(0usize, |sum, len| sum.checked_add(*len));
        shape[*dim] = total.unwrap_or(usize::MAX);
        cuts.push(Cut {
            dim: *dim,
            axes: axes.clone(),
            cells: Cells::of(lengths),
        });
    }
    let info = TensorInfo::of(local.info.dtype(), &shape);
    if info.byte_len().is_none() {
        return Err(StateError::Tensor {
            name: local.name.to_string(),
            what: format!("would be {info} as a whole, larger than memory can be"),
        });
    }
    Ok(Global {
        info,
        split: Split { cuts },
    })
}

/// The lengths of the pieces along one dimension, the `place`th in every rank's message.
fn lengths(local: &Local, cut: usize, place: usize, mesh: &Mesh, sizes: &[Vec<u8>]) -> Result<Vec<usize>, StateError> {
    let (dim, axes) = &local.cuts[cut];
    let count = mesh.cells(axes);
    let mut found: Vec<Option<(usize, usize)>> = vec![None; count];
    for (rank, sizes) in sizes.iter().enumerate() {
        let (numbers, _) = sizes.as_chunks::<8>();
        let number = numbers.get(place).map(|number| u64::from_le_bytes(*number));
        let len = usize::try_from(number.unwrap_or_default()).unwrap_or(usize::MAX);
        match &mut found[mesh.cell(rank, axes)] {
            Some((known, first)) if *known != len => {
                return Err(StateError::Tensor {
                    name: local.name.to_string(),
                    what: format!(
                        "has {known} indices along dimension {dim} on rank {first} and {len} on rank {rank}, which hold the \
                         same part of it"
                    ),
                });
            }
            Some(_) => {}
            empty => *empty = Some((len, rank)),
        }
    }
    Ok(found.into_iter().map(|found| found.map_or(0, |(len, _)| len)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::DType;
    use crate::state::Shard;

    fn local(
        shape: &[usize],
        shards: &[(usize, Option<&'static str>)],
        strategy: &Strategy,
    ) -> Result<Local, StateError> {
        let shards = Shards::new(shards.iter().map(|&(dim, axis)| Shard { dim, axis }).collect());
        let mesh = strategy.grid().unwrap();
        Local::new(
            &"w".into(),
            TensorInfo::new(DType::F32, shape.to_vec()),
            &shards,
            strategy,
            &mesh,
        )
    }

    #[test]
    fn the_same_schema_means_something_under_every_strategy() {
        let both = [(0, None), (1, Some("tp"))];
        let cuts = |strategy: &Strategy| local(&[4, 6], &both, strategy).unwrap().cuts;
        assert_eq!(cuts(&Strategy::single_device()), []);
        assert_eq!(cuts(&Strategy::ddp().ranks(4)), []);
        let named = local(&[4, 6], &[(0, Some("dp"))], &Strategy::ddp().ranks(4)).unwrap();
        assert_eq!(named.cuts, [], "rank 0 writes what it has");
        assert_eq!(cuts(&Strategy::fsdp().ranks(4)), [(0, vec![0])]);
        assert_eq!(
            cuts(&Strategy::mesh([("tp", 2)])),
            [(0, vec![0])],
            "the only axis cuts once, where the nearer attribute says"
        );
        let nearer = local(&[4], &[(1, Some("tp")), (0, Some("tp"))], &Strategy::mesh([("tp", 2)]));
        assert_eq!(
            nearer.unwrap().cuts,
            [],
            "the nearer attribute says that a bias is whole"
        );
        let grid = Strategy::mesh([("dp", 2), ("tp", 2)]).shard_axis("dp");
        assert_eq!(cuts(&grid), [(0, vec![0]), (1, vec![1])]);
        let nested = local(&[4, 6], &[(0, Some("tp")), (0, Some("dp"))], &grid).unwrap();
        assert_eq!(nested.cuts, [(0, vec![1, 0])]);
    }

    #[test]
    fn a_tensor_without_the_dimension_is_whole() {
        let strategy = Strategy::fsdp().ranks(2);
        assert_eq!(local(&[8], &[(1, None)], &strategy).unwrap().cuts, []);
        assert_eq!(local(&[], &[(0, None)], &strategy).unwrap().cuts, []);
    }

    #[test]
    fn an_axis_that_nobody_named_is_asked_for() {
        let strategy = Strategy::mesh([("dp", 2), ("tp", 2)]);
        let error = local(&[8], &[(0, None)], &strategy).unwrap_err().to_string();
        assert!(
            error.contains("shard(dim = 0, axis") && error.contains("(dp = 2, tp = 2)"),
            "{error}"
        );
    }

    #[test]
    fn sizes_make_the_whole() {
        let strategy = Strategy::mesh([("dp", 2), ("tp", 2)]);
        let mesh = strategy.grid().unwrap();
        let rows = |n: usize| vec![local(&[n, 5], &[(0, Some("tp"))], &strategy).unwrap()];
        let even = uniform(&rows(3), &mesh).unwrap();
        assert_eq!(even[0].info.shape(), [6, 5]);
        let messages: Vec<Vec<u8>> = [3, 1, 3, 1].iter().map(|&n| sizes(&rows(n))).collect();
        let found = uneven(&rows(3), &mesh, &messages).unwrap();
        assert_eq!(found[0].info.shape(), [4, 5]);
        assert_eq!(found[0].region(&mesh, 1).unwrap().to_string(), "[1, 5] at [3, 0]");
        let messages: Vec<Vec<u8>> = [3, 1, 3, 2].iter().map(|&n| sizes(&rows(n))).collect();
        let error = uneven(&rows(3), &mesh, &messages).unwrap_err().to_string();
        assert!(
            error.contains("1 indices along dimension 0 on rank 1 and 2 on rank 3"),
            "{error}"
        );
    }
}
