//! Local tensors and the global tensors that they are parts of: schema, mesh and local sizes give the place of each
//! part.

use std::sync::Arc;

use super::shard_attributes::{ActiveShard, check_state};
use crate::dist::mesh::{ChunkSizes, Mesh, ShardDim, Sharding};
use crate::dist::strategy::{Layout, Strategy};
use crate::entry::{Dims, Region, TensorInfo};
use crate::error::StateError;
use crate::state::Shards;

/// A tensor of this rank, with the dimensions along which it is a part of a global tensor.
#[derive(Clone, Debug)]
pub(crate) struct LocalTensor {
    pub(crate) name: Arc<str>,
    pub(crate) info: TensorInfo,
    /// The sharded dimensions, each with the axes of the mesh that it is split over, the outermost first.
    pub(crate) shard_dims: Vec<(usize, Vec<usize>)>,
}

/// The tensor that the local tensors of all ranks make together.
#[derive(Clone, Debug)]
pub(crate) struct GlobalTensor {
    pub(crate) info: TensorInfo,
    pub(crate) sharding: Sharding,
}

impl GlobalTensor {
    /// The box that a rank holds; `None` if the rank holds the whole tensor.
    pub(crate) fn region(&self, mesh: &Mesh, rank: usize) -> Option<Region> {
        (!self.sharding.is_whole()).then(|| self.sharding.region(mesh, self.info.shape(), rank))
    }
}

impl LocalTensor {
    /// Applies the `shard` attributes above a tensor under a strategy. A tensor without the dimension is not sharded:
    /// the bias of a layer that is sharded along its inputs. Where rank 0 writes one file, no tensor is sharded.
    ///
    /// # Errors
    /// If an attribute names no axis and the strategy has no default axis, if the mesh lacks the axis, if elements are
    /// smaller than a byte, or if an optimizer's state cannot be sharded as its parameter is.
    pub(crate) fn new(
        name: &Arc<str>,
        info: TensorInfo,
        shards: &Shards,
        strategy: &Strategy,
        mesh: &Mesh,
    ) -> Result<Self, StateError> {
        let local = Self::of_any_dtype(name, info, shards, strategy, mesh)?;
        if !local.shard_dims.is_empty() && local.info.dtype().bits() < 8 {
            return Err(StateError::Tensor {
                name: name.to_string(),
                what: "has elements smaller than a byte, which cannot be split".to_owned(),
            });
        }
        Ok(local)
    }

    /// Applies the `shard` attributes to a tensor of any element type, also to one that is not written.
    ///
    /// # Errors
    /// If an attribute names no axis and the strategy has no default axis, if the mesh lacks the axis, or if an
    /// optimizer's state cannot be sharded as its parameter is.
    pub(crate) fn of_any_dtype(
        name: &Arc<str>,
        info: TensorInfo,
        shards: &Shards,
        strategy: &Strategy,
        mesh: &Mesh,
    ) -> Result<Self, StateError> {
        let mut cuts: Vec<(usize, Vec<usize>)> = Vec::new();
        // Rank 0, which writes the one file, holds whole tensors.
        if strategy.layout() == Layout::Directory {
            let active = ActiveShard::of(name, shards, strategy, mesh)?;
            if let Some(parameter) = shards.parameter() {
                check_state(name, &info, parameter, &active, mesh)?;
            }
            for ActiveShard { dim, axis, .. } in active.into_iter().filter(|active| active.dim < info.shape().len()) {
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
            shard_dims: cuts,
        })
    }

    /// The text that must be equal on all ranks: the shape, with the names of axes in place of sharded dimensions.
    pub(crate) fn describe(&self, mesh: &Mesh) -> String {
        let dim = |(dim, len): (usize, &usize)| match self.shard_dims.iter().find(|(cut, _)| *cut == dim) {
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

/// The message with the lengths of this rank's parts along the sharded dimensions.
pub(crate) fn sizes<'l>(locals: impl IntoIterator<Item = &'l LocalTensor>) -> Vec<u8> {
    let cut = locals.into_iter().flat_map(|local| {
        let lens = local.shard_dims.iter().map(|(dim, _)| local.info.shape()[*dim] as u64);
        lens.flat_map(u64::to_le_bytes)
    });
    cut.collect()
}

/// The global tensors, if the parts of all ranks have equal sizes.
pub(crate) fn uniform<'l>(
    locals: impl IntoIterator<Item = &'l LocalTensor>,
    mesh: &Mesh,
) -> Result<Vec<GlobalTensor>, StateError> {
    let whole = |local: &LocalTensor| {
        globally(local, |at| {
            let (dim, axes) = &local.shard_dims[at];
            let count = mesh.shard_count(axes);
            Ok(vec![local.info.shape()[*dim]; count])
        })
    };
    locals.into_iter().map(whole).collect()
}

/// The global tensors, if the [`sizes`] of the ranks differ.
///
/// # Errors
/// If ranks that hold the same part have different sizes of it.
pub(crate) fn uneven<'l>(
    locals: impl IntoIterator<Item = &'l LocalTensor>,
    mesh: &Mesh,
    sizes: &[Vec<u8>],
) -> Result<Vec<GlobalTensor>, StateError> {
    let mut globals = Vec::new();
    let mut before = 0;
    for local in locals {
        let place = before;
        before += local.shard_dims.len();
        globals.push(globally(local, |at| lengths(local, at, place + at, mesh, sizes))?);
    }
    Ok(globals)
}

/// One global tensor; `lengths` gives the lengths of the chunks of its `n`th sharded dimension.
fn globally(
    local: &LocalTensor,
    lengths: impl Fn(usize) -> Result<Vec<usize>, StateError>,
) -> Result<GlobalTensor, StateError> {
    let mut shape = Dims::from_slice(local.info.shape());
    let mut dims = Vec::with_capacity(local.shard_dims.len());
    for (at, (dim, axes)) in local.shard_dims.iter().enumerate() {
        let lengths = lengths(at)?;
        let total = lengths.iter().try_fold(0usize, |sum, len| sum.checked_add(*len));
        shape[*dim] = total.unwrap_or(usize::MAX);
        dims.push(ShardDim {
            dim: *dim,
            axes: axes.clone(),
            sizes: ChunkSizes::of(lengths),
        });
    }
    let info = TensorInfo::of(local.info.dtype(), &shape);
    if info.byte_len().is_none() {
        return Err(StateError::Tensor {
            name: local.name.to_string(),
            what: format!(
                "would be {info} as a whole, which is larger than any memory; correct the shapes of its parts"
            ),
        });
    }
    Ok(GlobalTensor {
        info,
        sharding: Sharding { dims },
    })
}

/// The lengths of the chunks along one dimension, whose length is the `place`th number in every rank's message.
fn lengths(
    local: &LocalTensor,
    cut: usize,
    place: usize,
    mesh: &Mesh,
    sizes: &[Vec<u8>],
) -> Result<Vec<usize>, StateError> {
    let (dim, axes) = &local.shard_dims[cut];
    let count = mesh.shard_count(axes);
    let mut found: Vec<Option<(usize, usize)>> = vec![None; count];
    for (rank, sizes) in sizes.iter().enumerate() {
        let (numbers, _) = sizes.as_chunks::<8>();
        let number = numbers.get(place).map(|number| u64::from_le_bytes(*number));
        let len = usize::try_from(number.unwrap_or_default()).unwrap_or(usize::MAX);
        match &mut found[mesh.shard_index(rank, axes)] {
            Some((known, first)) if *known != len => {
                return Err(StateError::Tensor {
                    name: local.name.to_string(),
                    what: format!(
                        "has {known} indices along dimension {dim} on rank {first} and {len} on rank {rank}, which hold the \
                         same part of it; give the ranks equal parts"
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
    ) -> Result<LocalTensor, StateError> {
        let shards = Shards::new(shards.iter().map(|&(dim, axis)| Shard { dim, axis }).collect());
        let mesh = strategy.grid().unwrap();
        LocalTensor::new(
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
        let cuts = |strategy: &Strategy| local(&[4, 6], &both, strategy).unwrap().shard_dims;
        assert_eq!(cuts(&Strategy::single_device()), []);
        assert_eq!(cuts(&Strategy::ddp().ranks(4)), []);
        let named = local(&[4, 6], &[(0, Some("dp"))], &Strategy::ddp().ranks(4)).unwrap();
        assert_eq!(named.shard_dims, [], "rank 0 writes what it has");
        assert_eq!(cuts(&Strategy::fsdp().ranks(4)), [(0, vec![0])]);
        assert_eq!(
            cuts(&Strategy::mesh([("tp", 2)])),
            [(0, vec![0])],
            "the only axis cuts once, where the nearer attribute says"
        );
        let nearer = local(&[4], &[(1, Some("tp")), (0, Some("tp"))], &Strategy::mesh([("tp", 2)]));
        assert_eq!(
            nearer.unwrap().shard_dims,
            [],
            "the nearer attribute says that a bias is whole"
        );
        let grid = Strategy::mesh([("dp", 2), ("tp", 2)]).shard_axis("dp");
        assert_eq!(cuts(&grid), [(0, vec![0]), (1, vec![1])]);
        let nested = local(&[4, 6], &[(0, Some("tp")), (0, Some("dp"))], &grid).unwrap();
        assert_eq!(nested.shard_dims, [(0, vec![1, 0])]);
    }

    #[test]
    fn a_tensor_without_the_dimension_is_whole() {
        let strategy = Strategy::fsdp().ranks(2);
        assert_eq!(local(&[8], &[(1, None)], &strategy).unwrap().shard_dims, []);
        assert_eq!(local(&[], &[(0, None)], &strategy).unwrap().shard_dims, []);
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
