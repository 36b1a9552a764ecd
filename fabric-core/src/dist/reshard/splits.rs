//! How stored tensors are cut for another mesh.

use crate::dist::mesh::{Cells, Cut, Mesh, Split};
use crate::dist::strategy::Strategy;
use crate::entry::TensorInfo;

/// How a tensor is cut over `mesh`: as it was, where the mesh has axes of the same names. Of one that was in one piece,
/// nobody said how it should be cut: its rows go over the strategy's own axis. Whatever is chosen here, any rank of any
/// strategy loads its own part of it.
pub(crate) fn split(
    before: Option<&Vec<(usize, Vec<String>)>>,
    info: &TensorInfo,
    strategy: &Strategy,
    mesh: &Mesh,
) -> Split {
    if info.dtype().bits() < 8 {
        return Split::default();
    }
    let cut = |dim: usize, axes: Vec<usize>| Cut {
        dim,
        axes,
        cells: Cells::Balanced,
    };
    let large = |axis: &usize| mesh.size(*axis) > 1;
    let known = before.into_iter().flatten().filter_map(|(dim, axes)| {
        let axes: Vec<usize> = axes.iter().filter_map(|axis| mesh.axis(axis)).filter(large).collect();
        (!axes.is_empty()).then(|| cut(*dim, axes))
    });
    let known: Vec<Cut> = known.collect();
    if !known.is_empty() {
        return Split { cuts: known };
    }
    let own = strategy.own_axis().and_then(|axis| mesh.axis(axis)).filter(large);
    match own {
        Some(axis) if !info.shape().is_empty() => Split {
            cuts: vec![cut(0, vec![axis])],
        },
        _ => Split::default(),
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
        let found = split(Some(&before), &info, &strategy, &mesh);
        assert_eq!(found.cuts.len(), 1);
        assert_eq!((found.cuts[0].dim, &found.cuts[0].axes), (0, &vec![1]));
    }

    #[test]
    fn rows_go_over_the_axis_of_the_strategy() {
        let strategy = Strategy::fsdp().ranks(4);
        let mesh = strategy.grid().unwrap();
        let of = |shape: &[usize]| split(None, &TensorInfo::new(DType::F32, shape.to_vec()), &strategy, &mesh);
        assert_eq!(of(&[3, 2]).cuts[0].dim, 0);
        assert_eq!(of(&[]), Split::default());
        let strategy = Strategy::mesh([("dp", 2), ("tp", 2)]);
        let info = TensorInfo::new(DType::F32, vec![4]);
        assert_eq!(
            split(None, &info, &strategy, &strategy.grid().unwrap()),
            Split::default()
        );
    }
}
