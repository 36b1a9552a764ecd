//! Which tensors filters ask about whose whole shape no rank knows by itself.

use super::save::Reading;
use super::shard::{Global, Local};
use crate::entry::TensorInfo;
use crate::error::StateError;
use crate::filter::Filter;
use crate::hash::HashMap;
use crate::ranks::{Lines, Ranks};
use crate::state::Content;

/// Tensors in parts under filters that look at shapes.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Their places among the items of the state.
    items: Vec<usize>,
    pub(crate) locals: Vec<Local>,
}

/// What tensors in parts are as a whole, by their places among the items of the state.
pub(crate) type Wholes = HashMap<usize, TensorInfo>;

impl Asked {
    /// # Errors
    /// If the strategy does not say which axis a tensor is split over.
    pub(crate) fn of(state: &Reading<'_>, called: &[(String, Filter)], ranks: &Ranks) -> Result<Self, StateError> {
        let mut asked = Self::default();
        if ranks.alone() {
            return Ok(asked);
        }
        for (at, item) in state.items.iter().enumerate() {
            let Content::Tensor(tensor, _) = &item.content else {
                continue;
            };
            if item.scope.shards.is_empty() || !state.is_shape_asked(at, called) {
                continue;
            }
            let name = item.scope.name.as_str().into();
            let local = Local::cut(&name, tensor.into(), &item.scope.shards, &ranks.strategy, &ranks.mesh)?;
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

    /// What all ranks must ask about alike.
    pub(crate) fn lines(&self, ranks: &Ranks) -> Lines {
        let asked = self.locals.iter();
        asked
            .map(|local| {
                let about = format!("a filter by shape over `{}`", local.name);
                (about, format!("asked about {}", local.describe(&ranks.mesh)))
            })
            .collect()
    }

    pub(crate) fn wholes(&self, globals: Vec<Global>) -> Wholes {
        self.items
            .iter()
            .copied()
            .zip(globals.into_iter().map(|global| global.info))
            .collect()
    }
}
