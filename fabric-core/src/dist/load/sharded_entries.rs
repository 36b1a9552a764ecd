//! The whole tensors of which ranks hold parts: each rank sends the shapes of its parts, and all ranks compute the
//! whole shapes.

use crate::dist::partial_crc::Replicas;
use crate::dist::ranks::{Lines, Ranks, digest};
use crate::dist::shard::{GlobalTensor, LocalTensor, sizes, uneven, uniform};
use crate::entry::{Selection, TensorInfo};
use crate::error::{Result, StateError};
use crate::io::checksum;
use crate::load::entries::Selections;
use crate::load::loading::Loading;
use crate::state::Content;

/// The tensors of this rank that the strategy cuts, each with its place among the items of the state.
pub(super) struct ShardedEntries {
    locals: Vec<LocalTensor>,
    items: Vec<usize>,
}

/// The whole tensors, after all ranks have sent the shapes of their parts.
pub(super) struct AgreedSelections {
    /// The boxes that this rank holds.
    pub(super) selections: Selections,
    /// The number of this rank among the ranks that hold the same box.
    pub(super) replicas: Replicas,
}

impl ShardedEntries {
    /// Finds the tensors that are cut.
    pub(super) fn of(ranks: &Ranks, loading: &Loading<'_>) -> Result<Self, StateError> {
        let (mut locals, mut items) = (Vec::new(), Vec::new());
        for (at, item) in loading.places.items.iter().enumerate() {
            let (Content::Tensor(tensor, _), scope) = (&item.content, &item.scope) else {
                continue;
            };
            if scope.shards.is_empty() {
                continue;
            }
            let name = scope.name.as_str().into();
            let local = LocalTensor::new(&name, tensor.into(), &scope.shards, &ranks.strategy, &ranks.mesh)?;
            if !local.shard_dims.is_empty() {
                locals.push(local);
                items.push(at);
            }
        }
        Ok(Self { locals, items })
    }

    /// Everything that must be equal on all ranks.
    fn lines(&self, ranks: &Ranks, loading: &Loading<'_>) -> Lines {
        let file = &loading.file;
        let contents = format!("{:016x}{}", file.index.digest(), file.source.mark().unwrap_or_default());
        let opened = if file.index.edits.origins.is_empty() {
            "the opened checkpoint"
        } else {
            "the opened checkpoint after the recipe, whose functions must give every rank the same tensors and values"
        };
        let mut lines = vec![
            ("the path".to_owned(), file.index.origin.clone()),
            (opened.to_owned(), format!("one with the digest {contents}")),
        ];
        lines.extend(loading.policy.options.lines());
        let mut locals = self.items.iter().zip(&self.locals).peekable();
        for (at, item) in loading.places.items.iter().enumerate() {
            let name = loading.own.get(&at).map_or(&item.scope.name, |own| &own.declared[0]);
            let cut = locals.next_if(|(cut, _)| **cut == at);
            let what = match &item.content {
                Content::Tensor(tensor, _) => cut.map_or_else(
                    || TensorInfo::from(tensor).to_string(),
                    |(_, local)| local.describe(&ranks.mesh),
                ),
                _ => "a value".to_owned(),
            };
            lines.push((format!("`{name}`"), what));
        }
        lines
    }

    /// The message of this rank to the other ranks.
    pub(super) fn message(&self, ranks: &Ranks, loading: &Loading<'_>) -> Vec<u8> {
        if ranks.is_single() {
            return Vec::new();
        }
        let schema = digest(&self.lines(ranks, loading));
        let sizes = checksum::of(&sizes(&self.locals));
        [schema.to_le_bytes(), sizes.to_le_bytes()].concat()
    }

    /// Computes the boxes of this rank from the messages of all ranks.
    ///
    /// # Errors
    /// If ranks load into different states, or if the parts of a tensor do not make one tensor.
    pub(super) fn agree(self, ranks: &Ranks, loading: &Loading<'_>, said: &[Vec<u8>]) -> Result<AgreedSelections> {
        let mut agreed = AgreedSelections {
            selections: Selections::default(),
            replicas: Replicas::default(),
        };
        if ranks.is_single() {
            return Ok(agreed);
        }
        let number = |said: &Vec<u8>, at: usize| {
            let (numbers, _) = said.as_chunks::<8>();
            numbers.get(at).map_or(0, |number| u64::from_le_bytes(*number))
        };
        let schemas: Vec<u64> = said.iter().map(|said| number(said, 0)).collect();
        ranks.require_same("load: compare", &schemas, || self.lines(ranks, loading))?;
        let globals = if said.iter().all(|other| number(other, 1) == number(&said[0], 1)) {
            uniform(&self.locals, &ranks.mesh)?
        } else {
            let ((), sizes) = ranks.step("load: sizes", || Ok(((), sizes(&self.locals))))?;
            uneven(&self.locals, &ranks.mesh, &sizes)?
        };
        let (mesh, rank) = (&ranks.mesh, ranks.rank());
        for (item, global) in self.items.into_iter().zip(globals) {
            let Some(region) = global.region(mesh, rank) else {
                continue;
            };
            let GlobalTensor { info: whole, sharding } = global;
            let name = &loading.places.items[item].scope.name;
            agreed.replicas.insert(name.clone(), sharding.replica_index(mesh, rank));
            agreed.selections.insert(item, Selection { whole, region });
        }
        Ok(agreed)
    }
}
