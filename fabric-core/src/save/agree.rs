//! What ranks say to each other before a save: a digest of what each is about to do, and the little that it cannot tell.

use std::path::Path;

use bincode::config;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Agreed, Prepared};
use crate::checksum;
use crate::error::{Error, Result};
use crate::plan::shard::{self, Global, Local};
use crate::ranks::{Lines, Ranks, digest, value_line};

/// What a rank says of its save.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Of everything that must be the same on all ranks.
    schema: u64,
    /// Of the sizes of its parts, which may differ.
    sizes: u64,
    /// Its own values, in the order of their names.
    per_rank: Vec<Vec<u8>>,
}

impl Hello {
    pub(super) fn of(prepared: &Prepared, ranks: &Ranks, path: &Path) -> Self {
        if ranks.alone() {
            return Self {
                schema: 0,
                sizes: 0,
                per_rank: Vec::new(),
            };
        }
        let own = prepared.plan.per_rank.iter();
        Self {
            schema: digest(&lines(prepared, ranks, path)),
            sizes: checksum::of(&shard::sizes(&prepared.locals)),
            per_rank: own.map(|(_, bytes)| bytes.clone()).collect(),
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        encode(self)
    }
}

fn lines(prepared: &Prepared, ranks: &Ranks, path: &Path) -> Lines {
    let plan = &prepared.plan;
    let mut lines = vec![
        ("the path".to_owned(), path.display().to_string()),
        ("the schema's version".to_owned(), prepared.version.to_string()),
        ("the durability".to_owned(), format!("{:?}", prepared.durability)),
    ];
    let quoted = |name: &str| format!("`{name}`");
    let tensors = prepared.locals.iter();
    lines.extend(tensors.map(|local| (quoted(&local.name), local.describe(&ranks.mesh))));
    let ties = plan.ties.iter();
    lines.extend(ties.map(|(name, at)| (quoted(name), format!("tied to `{}`", plan.tensors[*at].name))));
    let values = plan.values.iter();
    lines.extend(values.map(|(name, bytes)| (quoted(name), value_line(bytes))));
    let own = plan.per_rank.iter();
    lines.extend(own.map(|(name, _)| (quoted(name), "a value of each rank".to_owned())));
    let filtered = plan.filtered.iter();
    lines.extend(filtered.map(|name| (quoted(name), "left out by a filter".to_owned())));
    lines
}

/// Compares what all ranks said, and puts together what they know.
///
/// # Errors
/// If a rank is about to save something else than rank 0, or what cannot be parts of one tensor.
pub(super) fn agree(ranks: &Ranks, prepared: &Prepared, path: &Path, said: &[Vec<u8>]) -> Result<Agreed> {
    if ranks.alone() {
        return Ok(Agreed {
            globals: shard::uniform(&prepared.locals, &ranks.mesh)?,
            per_rank: Vec::new(),
        });
    }
    let hellos = said
        .iter()
        .map(|bytes| decode::<Hello>(bytes))
        .collect::<Result<Vec<_>>>()?;
    let schemas: Vec<u64> = hellos.iter().map(|hello| hello.schema).collect();
    ranks.same("save: compare", &schemas, || lines(prepared, ranks, path))?;
    let alike = hellos.iter().all(|hello| hello.sizes == hellos[0].sizes);
    let globals = wholes(ranks, "save: sizes", &prepared.locals, alike)?;
    let mut per_rank = Vec::new();
    for (rank, hello) in (0u32..).zip(hellos) {
        let names = prepared.plan.per_rank.iter().map(|(name, _)| name.clone());
        per_rank.extend(names.zip(hello.per_rank).map(|(name, bytes)| (name, rank, bytes)));
    }
    Ok(Agreed { globals, per_rank })
}

/// What tensors in parts are as a whole. All ranks know whether their parts are `alike`; if not, they exchange the sizes.
///
/// # Errors
/// If they cannot be parts of one tensor.
pub(super) fn wholes(ranks: &Ranks, step: &str, locals: &[Local], alike: bool) -> Result<Vec<Global>> {
    if alike {
        return Ok(shard::uniform(locals, &ranks.mesh)?);
    }
    let ((), sizes) = ranks.step(step, || Ok(((), shard::sizes(locals))))?;
    Ok(shard::uneven(locals, &ranks.mesh, &sizes)?)
}

/// A message to the other ranks.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    bincode::serde::encode_to_vec(message, config::standard()).map_err(|error| Error::Internal(error.to_string()))
}

/// What another rank's [`encode`] made.
pub(super) fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M> {
    // A rank's own values are as long as its user made them; what bincode may count is bounded all the same.
    const LIMIT: usize = 1 << 31;
    bincode::serde::decode_from_slice(bytes, config::standard().with_limit::<LIMIT>())
        .map(|(message, _)| message)
        .map_err(|error| Error::Protocol(error.to_string()))
}
