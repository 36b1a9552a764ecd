//! Which tensors filters ask about whose whole shape no rank knows by itself.

use super::shard::{Global, Local};
use crate::dist::mesh::Mesh;
use crate::dist::strategy::Strategy;
use crate::error::StateError;
use crate::filter::Filter;
use crate::save::plan::{Reading, Wholes};
use crate::state::{Content, Handle};

/// Tensors in parts under filters that look at shapes.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Their places among the items of the state.
    items: Vec<usize>,
    pub(crate) locals: Vec<Local>,
}

impl Asked {
    /// # Errors
    /// If the strategy does not say which axis a tensor is split over.
    pub(crate) fn of(
        state: &Reading<'_>,
        called: &[(Handle, Filter)],
        strategy: &Strategy,
        mesh: &Mesh,
    ) -> Result<Self, StateError> {
        let mut asked = Self::default();
        for (at, item) in state.items.iter().enumerate() {
            let Content::Tensor(tensor, _) = &item.content else {
                continue;
            };
            if item.scope.shards.is_empty() || !state.is_shape_asked(at, called) {
                continue;
            }
            let name = item.scope.name.as_str().into();
            let local = Local::cut(&name, tensor.into(), &item.scope.shards, strategy, mesh)?;
            if !local.cuts.is_empty() {
                asked.items.push(at);
                asked.locals.push(local);
            }
        }
        Ok(asked)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn wholes(&self, globals: Vec<Global>) -> Wholes {
        self.items
            .iter()
            .copied()
            .zip(globals.into_iter().map(|global| global.info))
            .collect()
    }
}
