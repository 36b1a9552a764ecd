//! The agreement of ranks before a save: each rank sends a digest of its plan, and its own values.

use std::io;
use std::path::Path;

use bincode::config;
use bincode::error::EncodeError;
use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::replicas::{Compared, compare};
use super::{Agreed, Prepared};
use crate::dist::manifest::coordinate;
use crate::dist::mesh::Split;
use crate::dist::ranks::{Lines, Ranks, digest, no_memory, value_line};
use crate::dist::shard::{self, Global, Local};
use crate::dist::strategy::Layout;
use crate::error::{Error, Result, StateError};
use crate::hash::HashMap;
use crate::io::checksum;
use crate::io::pages::{self, Growing};
use crate::options::Replicas;

/// The step at which ranks say what they are about to do.
pub(super) const PLAN: &str = "save: plan";

/// What serde reads piece by piece grows to twice its length at most.
const GROWN: usize = 2;

/// What a rank says of its save.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Of everything that must be the same on all ranks.
    schema: u64,
    /// Of the sizes of its parts, which may differ.
    sizes: u64,
    /// Of the values that all ranks should have alike.
    values: u64,
    /// Of tensors that other ranks hold too.
    replicas: Vec<u64>,
    /// Its own values, in the order of their names.
    per_rank: Vec<Vec<u8>>,
}

impl Hello {
    ///
    /// # Errors
    /// If there is no memory for them.
    pub(super) fn of(prepared: &Prepared, ranks: &Ranks, path: &Path) -> Result<Self> {
        if ranks.alone() {
            return Ok(Self {
                schema: 0,
                sizes: 0,
                values: 0,
                replicas: Vec::new(),
                per_rank: Vec::new(),
            });
        }
        let own = prepared.plan.per_rank.iter();
        let own = own.map(|(_, bytes)| pages::copied(bytes)).collect::<io::Result<_>>();
        Ok(Self {
            schema: digest(&lines(prepared, ranks, path)),
            sizes: checksum::of(&shard::sizes(&prepared.locals)),
            values: digest(&value_lines(prepared)),
            replicas: prepared.prints.digests(),
            per_rank: own.map_err(|source| no_memory(PLAN, source))?,
        })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        encode(self)
    }
}

fn lines(prepared: &Prepared, ranks: &Ranks, path: &Path) -> Lines {
    let plan = &prepared.plan;
    let mut lines = vec![
        ("the path".to_owned(), path.display().to_string()),
        ("the schema's version".to_owned(), prepared.state.version.to_string()),
        ("the durability".to_owned(), format!("{:?}", prepared.durability)),
        (
            "the treatment of replicas".to_owned(),
            format!("Replicas::{:?}", prepared.replicas),
        ),
    ];
    let quoted = |name: &str| format!("`{name}`");
    let tensors = prepared.locals.iter().zip(&plan.tensors);
    lines.extend(tensors.map(|(local, row)| {
        let kind = if row.bytes.buffer { ", a buffer" } else { "" };
        (quoted(&local.name), local.describe(&ranks.mesh) + kind)
    }));
    let ties = plan.ties.iter();
    lines.extend(ties.map(|tie| {
        (
            quoted(&tie.name),
            format!("tied to `{}`", plan.tensors[tie.target].name),
        )
    }));
    let values = plan.values.iter();
    lines.extend(values.map(|(name, _)| (quoted(name), "a value of all ranks".to_owned())));
    let own = plan.per_rank.iter();
    lines.extend(own.map(|(name, _)| (quoted(name), "a value of each rank".to_owned())));
    let filtered = plan.filtered.iter();
    lines.extend(filtered.map(|name| (quoted(name), "left out by a filter".to_owned())));
    lines
}

/// What is compared of values that all ranks should have alike.
fn value_lines(prepared: &Prepared) -> Lines {
    let values = prepared.plan.values.iter();
    values
        .map(|(name, bytes)| (format!("`{name}`"), value_line(bytes)))
        .collect()
}

/// Compares what all ranks said, and puts together what they know.
///
/// # Errors
/// If a rank is about to save something else than rank 0, or what cannot be parts of one tensor, or another replica.
pub(super) fn agree(ranks: &Ranks, prepared: &Prepared, path: &Path, said: &[Vec<u8>]) -> Result<Agreed> {
    if ranks.alone() {
        return Ok(Agreed {
            globals: shard::uniform(&prepared.locals, &ranks.mesh)?,
            of_first: HashMap::default(),
            replaced: Vec::new(),
            differing: Vec::new(),
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
    let mut differing = other_values(ranks, prepared, &hellos)?;
    let digests: Vec<&[u64]> = hellos.iter().map(|hello| &hello.replicas[..]).collect();
    let compared = compare(ranks, prepared, &digests)?;
    differing.extend(compared.tensors().map(|at| prepared.locals[at].name.to_string()));
    differing.sort();
    let (of_first, replaced) = first_replicas(ranks, prepared, &globals, &compared)?;
    let mut per_rank = Vec::new();
    for (rank, hello) in hellos.into_iter().enumerate() {
        let at = coordinate(&ranks.mesh, rank);
        let names = prepared.plan.per_rank.iter().map(|(name, _)| name.clone());
        per_rank.extend(names.zip(hello.per_rank).map(|(name, bytes)| (name, at.clone(), bytes)));
    }
    Ok(Agreed {
        globals,
        of_first,
        replaced,
        differing,
        per_rank,
    })
}

/// The names of values that differ between ranks.
///
/// # Errors
/// If there are any, and the call did not ask for those of rank 0.
fn other_values(ranks: &Ranks, prepared: &Prepared, hellos: &[Hello]) -> Result<Vec<String>> {
    let values: Vec<u64> = hellos.iter().map(|hello| hello.values).collect();
    if prepared.replicas != Replicas::RankZero {
        ranks.same("save: values", &values, || value_lines(prepared))?;
    }
    if values.iter().all(|value| *value == values[0]) {
        return Ok(Vec::new());
    }
    let own = prepared.plan.values.iter();
    let say = || {
        Ok((
            (),
            own.flat_map(|(_, bytes)| checksum::of(bytes).to_le_bytes()).collect(),
        ))
    };
    let ((), said) = ranks.step("save: values", say)?;
    let digest = |rank: &Vec<u8>, at: usize| rank.as_chunks::<8>().0.get(at).copied();
    let names = prepared.plan.values.iter().enumerate();
    let other = names.filter(|(at, _)| said.iter().any(|rank| digest(rank, *at) != digest(&said[0], *at)));
    Ok(other.map(|(_, (name, _))| name.clone()).collect())
}

/// By place in the plan: how a tensor is stored that only its first replica writes, and the tensors that take the place of
/// this rank's own.
type FirstReplicas = (HashMap<usize, Split>, Vec<(usize, Tensor)>);

/// How tensors are stored that only the first of their replicas writes, and those without dimensions, which all write as the
/// first one has them.
fn first_replicas(
    ranks: &Ranks,
    prepared: &Prepared,
    globals: &[Global],
    compared: &Compared,
) -> Result<FirstReplicas> {
    let (mut of_first, mut replaced) = (HashMap::default(), Vec::new());
    if ranks.strategy.layout() == Layout::OneFile {
        // Rank 0 writes its own.
        return Ok((of_first, replaced));
    }
    for at in (0..globals.len()).filter(|at| compared.of_first[*at]) {
        let (local, Global { info, split }) = (&prepared.locals[at], &globals[at]);
        let alone = split.of_first_replicas(&ranks.mesh, info.shape());
        if let Some(alone) = alone.filter(|_| info.dtype().bits() >= 8) {
            of_first.insert(at, alone);
        } else if let Some(right) = compared.right(at) {
            replaced.push((at, of_bytes(local, &prepared.plan.tensors[at].bytes.tensor, right)?));
        }
    }
    Ok((of_first, replaced))
}

/// A tensor of a few bytes like `tensor`.
fn of_bytes(local: &Local, tensor: &Tensor, bytes: [u8; 8]) -> Result<Tensor> {
    let len = local.info.byte_len().unwrap_or_default();
    let bytes = bytes.get(..len).ok_or_else(|| StateError::Tensor {
        name: local.name.to_string(),
        what: "differs between ranks, and has elements smaller than a byte, of which no rank can write all".to_owned(),
    })?;
    Tensor::from_raw_buffer(bytes, tensor.dtype(), local.info.shape(), &Device::Cpu).map_err(Error::candle(&local.name))
}

impl Agreed {
    /// How files hold a tensor.
    pub(crate) fn stored<'a>(&'a self, at: usize, global: &'a Global) -> &'a Split {
        self.of_first.get(&at).unwrap_or(&global.split)
    }
}

/// What tensors in parts are as a whole. All ranks know whether their parts are `alike`; if not, they exchange the sizes.
///
/// # Errors
/// If they cannot be parts of one tensor.
pub(crate) fn wholes(ranks: &Ranks, step: &str, locals: &[Local], alike: bool) -> Result<Vec<Global>> {
    if alike {
        return Ok(shard::uniform(locals, &ranks.mesh)?);
    }
    let ((), sizes) = ranks.step(step, || Ok(((), shard::sizes(locals))))?;
    Ok(shard::uneven(locals, &ranks.mesh, &sizes)?)
}

/// A message to the other ranks.
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Growing::default();
    let written = bincode::serde::encode_into_std_write(message, &mut bytes, config::standard());
    written.map(|_| bytes.0).map_err(|error| match error {
        EncodeError::Io { inner, .. } => no_memory(PLAN, inner),
        other => Error::Internal(other.to_string()),
    })
}

/// What another rank's [`encode`] made.
pub(crate) fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M> {
    // A rank's own values are as long as its user made them; what bincode may count is bounded all the same.
    const LIMIT: usize = 1 << 31;
    pages::look(bytes.len().saturating_mul(GROWN)).map_err(|source| no_memory(PLAN, source))?;
    bincode::serde::decode_from_slice(bytes, config::standard().with_limit::<LIMIT>())
        .map(|(message, _)| message)
        .map_err(|error| Error::Protocol(error.to_string()))
}
