//! The tensors of which a rank holds a part and a filter asks for the whole shape.

use crate::dist::mesh::Mesh;
use crate::dist::shard::{GlobalTensor, LocalTensor};
use crate::dist::strategy::Strategy;
use crate::error::StateError;
use crate::filter::Filter;
use crate::save::plan::{ResolvedState, WholeShapes};
use crate::state::{Content, Part};

/// Tensors in parts under filters that look at shapes.
#[derive(Debug, Default)]
pub(super) struct ShapeQueries {
    /// The places of the tensors among the items of the state.
    items: Vec<usize>,
    pub(super) locals: Vec<LocalTensor>,
}

impl ShapeQueries {
    /// # Errors
    /// If the strategy does not say which axis a tensor is sharded over.
    pub(super) fn of(
        state: &ResolvedState<'_>,
        filters: &[(Part, Filter)],
        strategy: &Strategy,
        mesh: &Mesh,
    ) -> Result<Self, StateError> {
        let mut queries = Self::default();
        for (at, item) in state.items.iter().enumerate() {
            let Content::Tensor(tensor, _) = &item.content else {
                continue;
            };
            if item.scope.shards.is_empty() || !state.is_shape_asked(at, filters) {
                continue;
            }
            let name = item.scope.name.as_str().into();
            let local = LocalTensor::of_any_dtype(&name, tensor.into(), &item.scope.shards, strategy, mesh)?;
            if !local.shard_dims.is_empty() {
                queries.items.push(at);
                queries.locals.push(local);
            }
        }
        Ok(queries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The answers: the whole shape for each item of the state.
    pub(super) fn wholes(&self, globals: Vec<GlobalTensor>) -> WholeShapes {
        self.items
            .iter()
            .copied()
            .zip(globals.into_iter().map(|global| global.info))
            .collect()
    }
}
