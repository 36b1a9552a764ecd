//! The shardings of stored tensors over another mesh.

use crate::dist::mesh::{ChunkSizes, Mesh, ShardDim, Sharding};
use crate::dist::strategy::Strategy;
use crate::entry::TensorInfo;

/// The sharding of a tensor over `mesh`: as before, over axes of the same names. A tensor that was whole is sharded by
/// its rows, over the axis that `shard` means by default. The choice affects speed only: any rank of any strategy loads
/// its own part.
pub(super) fn sharding_over(
    before: Option<&Vec<(usize, Vec<String>)>>,
    info: &TensorInfo,
    strategy: &Strategy,
    mesh: &Mesh,
) -> Sharding {
    if info.dtype().bits() < 8 {
        return Sharding::default();
    }
    let cut = |dim: usize, axes: Vec<usize>| ShardDim {
        dim,
        axes,
        sizes: ChunkSizes::Balanced,
    };
    let large = |axis: &usize| mesh.size(*axis) > 1;
    let known = before.into_iter().flatten().filter_map(|(dim, axes)| {
        let axes: Vec<usize> = axes.iter().filter_map(|axis| mesh.axis(axis)).filter(large).collect();
        (!axes.is_empty()).then(|| cut(*dim, axes))
    });
    let known: Vec<ShardDim> = known.collect();
    if !known.is_empty() {
        return Sharding { dims: known };
    }
    let own = strategy.own_axis().and_then(|axis| mesh.axis(axis)).filter(large);
    match own {
        Some(axis) if !info.shape().is_empty() => Sharding {
            dims: vec![cut(0, vec![axis])],
        },
        _ => Sharding::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::DType;

    #[test]
    fn cuts_are_kept_by_the_names_of_axes() {
        let info = TensorInfo::new(DType::F32, vec![8, 8]);
        let before = vec![(0, vec!["dp".to_owned(), "tp".to_owned()]), (1, vec!["ep".to_owned()])];
        let strategy = Strategy::mesh([("dp", 1), ("tp", 4)]);
        let mesh = strategy.grid().unwrap();
        let found = sharding_over(Some(&before), &info, &strategy, &mesh);
        assert_eq!(found.dims.len(), 1);
        assert_eq!((found.dims[0].dim, &found.dims[0].axes), (0, &vec![1]));
    }

    #[test]
    fn rows_go_over_the_axis_of_the_strategy() {
        let strategy = Strategy::fsdp().ranks(4);
        let mesh = strategy.grid().unwrap();
        let of = |shape: &[usize]| sharding_over(None, &TensorInfo::new(DType::F32, shape.to_vec()), &strategy, &mesh);
        assert_eq!(of(&[3, 2]).dims[0].dim, 0);
        assert_eq!(of(&[]), Sharding::default());
        let strategy = Strategy::mesh([("dp", 2), ("tp", 2)]);
        let info = TensorInfo::new(DType::F32, vec![4]);
        assert_eq!(
            sharding_over(None, &info, &strategy, &strategy.grid().unwrap()),
            Sharding::default()
        );
    }
}
