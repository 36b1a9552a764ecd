//! What the tensors of this rank are parts of, and which values are its own.

use crate::dist::ranks::{Lines, Ranks, digest};
use crate::dist::shard::{Global, Local, sizes, uneven, uniform};
use crate::entry::{Region, of_rank};
use crate::error::{Result, StateError};
use crate::load::Places;
use crate::load::plan::PerRank;
use crate::options::LoadOptions;
use crate::raw::RawCheckpoint;
use crate::state::Content;

/// What this rank knows by itself.
pub(crate) struct Parts {
    /// The tensors that are cut, and the item that each of them is.
    locals: Vec<Local>,
    items: Vec<usize>,
    /// For each item, how the file calls it if every rank has its own.
    per_rank: Vec<Option<PerRank>>,
}

/// What all ranks know together.
pub(crate) struct AgreedParts<'r> {
    ranks: &'r Ranks,
    /// For each item that is cut, the whole of it.
    globals: Vec<Option<Global>>,
    per_rank: Vec<Option<PerRank>>,
}

impl Parts {
    /// Finds the parts, and gives the values of this rank the names that they have in the file.
    pub(crate) fn of(ranks: &Ranks, places: &mut Places<'_>) -> Result<Self, StateError> {
        let mut parts = Self {
            locals: Vec::new(),
            items: Vec::new(),
            per_rank: Vec::with_capacity(places.items.len()),
        };
        for (at, item) in places.items.iter_mut().enumerate() {
            let mut per_rank = None;
            match &item.content {
                Content::Tensor(tensor, _) if !item.scope.shards.is_empty() => {
                    let scope = &item.scope;
                    let name = scope.name.as_str().into();
                    let local = Local::new(&name, tensor.into(), &scope.shards, &ranks.strategy, &ranks.mesh)?;
                    if !local.cuts.is_empty() {
                        parts.locals.push(local);
                        parts.items.push(at);
                    }
                }
                Content::Value(_) if item.scope.per_rank => {
                    per_rank = Some(name_by_rank(ranks, &mut item.scope.name, &mut item.scope.alternatives));
                }
                _ => {}
            }
            parts.per_rank.push(per_rank);
        }
        Ok(parts)
    }

    /// Everything that must be the same on all ranks.
    fn lines(&self, file: &RawCheckpoint, places: &Places<'_>, options: &LoadOptions) -> Lines {
        let contents = format!("{:016x}{}", file.index.digest(), file.source.mark().unwrap_or_default());
        let mut lines = vec![
            ("the path".to_owned(), file.index.origin.clone()),
            (
                "what was opened there".to_owned(),
                format!("a checkpoint with the digest {contents}"),
            ),
        ];
        lines.extend(options.lines());
        let mut locals = self.items.iter().zip(&self.locals).peekable();
        for (at, item) in places.items.iter().enumerate() {
            let name = self.per_rank[at].as_ref().map_or(&item.scope.name, |own| &own.names[0]);
            let cut = locals.next_if(|(cut, _)| **cut == at);
            let what = match &item.content {
                Content::Tensor(tensor, _) => cut.map_or_else(
                    || crate::TensorInfo::from(tensor).to_string(),
                    |(_, local)| local.describe(&file.ranks.mesh),
                ),
                _ => "a value".to_owned(),
            };
            lines.push((format!("`{name}`"), what));
        }
        lines
    }

    /// What this rank says of itself.
    pub(crate) fn message(&self, file: &RawCheckpoint, places: &Places<'_>, options: &LoadOptions) -> Vec<u8> {
        if file.ranks.alone() {
            return Vec::new();
        }
        let schema = digest(&self.lines(file, places, options));
        let sizes = crate::io::checksum::of(&sizes(&self.locals));
        [schema.to_le_bytes(), sizes.to_le_bytes()].concat()
    }

    /// Puts together what all ranks said.
    ///
    /// # Errors
    /// If they are about to load into different states, or into what cannot be parts of one tensor.
    pub(crate) fn agree<'r>(
        self,
        file: &'r RawCheckpoint,
        places: &Places<'_>,
        options: &LoadOptions,
        said: &[Vec<u8>],
    ) -> Result<AgreedParts<'r>> {
        let ranks = &*file.ranks;
        let mut globals = vec![None; places.items.len()];
        if !ranks.alone() {
            let number = |said: &Vec<u8>, at: usize| {
                let (numbers, _) = said.as_chunks::<8>();
                numbers.get(at).map_or(0, |number| u64::from_le_bytes(*number))
            };
            let schemas: Vec<u64> = said.iter().map(|said| number(said, 0)).collect();
            ranks.same("load: compare", &schemas, || self.lines(file, places, options))?;
            let found = if said.iter().all(|other| number(other, 1) == number(&said[0], 1)) {
                uniform(&self.locals, &ranks.mesh)?
            } else {
                let ((), sizes) = ranks.step("load: sizes", || Ok(((), sizes(&self.locals))))?;
                uneven(&self.locals, &ranks.mesh, &sizes)?
            };
            for (item, global) in self.items.into_iter().zip(found) {
                globals[item] = Some(global);
            }
        }
        Ok(AgreedParts {
            ranks,
            globals,
            per_rank: self.per_rank,
        })
    }
}

impl AgreedParts<'_> {
    /// The whole that an item is a part of.
    pub(crate) fn whole(&self, item: usize) -> Option<&Global> {
        self.globals[item].as_ref()
    }

    /// The box that an item is of it, and which of the ranks with the same box this one is.
    pub(crate) fn region(&self, item: usize) -> Option<(Region, usize)> {
        let global = self.whole(item)?;
        let (mesh, rank) = (&self.ranks.mesh, self.ranks.rank());
        Some((global.region(mesh, rank)?, global.split.replica(mesh, rank)))
    }

    pub(crate) fn per_rank(&self, item: usize) -> Option<&PerRank> {
        self.per_rank[item].as_ref()
    }
}

/// Gives a value the name of this rank's. What one process saved by itself belongs to rank 0, and has no number.
fn name_by_rank(ranks: &Ranks, name: &mut String, alternatives: &mut Vec<String>) -> PerRank {
    let plain: Vec<String> = std::iter::once(name.clone())
        .chain(alternatives.iter().cloned())
        .collect();
    let rank = ranks.rank();
    let numbered = plain.iter().map(|name| of_rank(name, rank));
    let mut names: Vec<String> = if ranks.alone() {
        plain.iter().cloned().chain(numbered).collect()
    } else if rank == 0 {
        numbered.chain(plain.iter().cloned()).collect()
    } else {
        numbered.collect()
    };
    *name = names.remove(0);
    *alternatives = names;
    PerRank {
        names: plain,
        world_size: ranks.world_size(),
    }
}
