//! The agreement of ranks before a save: each rank sends digests of its plan, and its values of fields marked
//! `per_rank`.

use std::io;
use std::path::Path;

use bincode::config;
use bincode::error::EncodeError;
use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::replicas::{Comparison, compare};
use super::{Agreed, AgreedTensor, PlannedTensor, Prepared};
use crate::dist::manifest::coordinate;
use crate::dist::ranks::{Lines, Ranks, SHARED, digest, no_memory, value_line, version_of};
use crate::dist::shard::{self, GlobalTensor, LocalTensor};
use crate::dist::strategy::Layout;
use crate::error::{Error, Result, StateError};
use crate::io::checksum;
use crate::io::pages::{self, Growing};
use crate::options::Replicas;
use crate::save::SaveReport;

/// The first step of a save: each rank sends a digest of its plan.
pub(super) const PLAN: &str = "save: plan";

/// A list that serde reads piece by piece grows to at most twice its length.
const GROWN: usize = 2;

/// The message of a rank about its plan.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The digest of everything that must be equal on all ranks.
    schema: u64,
    /// The digest of the sizes of its parts, which may differ between ranks.
    sizes: u64,
    /// The digest of the values that all ranks should share.
    values: u64,
    /// The digests of the tensors that other ranks hold too, one for each group.
    replicas: Vec<u64>,
    /// The rank's values of fields marked `per_rank`, with their names. A rank whose field is `None` has no value.
    per_rank: Vec<(String, Vec<u8>)>,
}

impl Hello {
    /// # Errors
    /// If there is no memory for a copy of the `per_rank` values.
    pub(super) fn of(prepared: &Prepared, ranks: &Ranks, path: &Path) -> Result<Self> {
        let own = prepared.plan.per_rank.iter();
        let own = own.map(|(name, bytes)| Ok((name.clone(), pages::copied(bytes)?)));
        let own = own.collect::<io::Result<_>>();
        Ok(Self {
            schema: digest(&lines(prepared, ranks, path)),
            sizes: checksum::of(&shard::sizes(locals(&prepared.tensors))),
            values: digest(&value_lines(prepared)),
            replicas: prepared.groups.digests(&prepared.tensors),
            per_rank: own.map_err(|source| no_memory(PLAN, source))?,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        encode(self)
    }
}

fn locals(tensors: &[PlannedTensor]) -> impl Iterator<Item = &LocalTensor> + Clone {
    tensors.iter().map(|tensor| &tensor.local)
}

/// Everything that must be equal on all ranks, as text.
fn lines(prepared: &Prepared, ranks: &Ranks, path: &Path) -> Lines {
    let plan = &prepared.plan;
    let outermost = plan.structs.first().filter(|first| first.path.is_empty());
    let mut lines = vec![
        (
            "the schema's version".to_owned(),
            outermost.map_or(1, |outermost| outermost.version).to_string(),
        ),
        ("the path".to_owned(), path.display().to_string()),
        ("the durability".to_owned(), format!("{:?}", prepared.durability)),
        (
            "the treatment of replicas".to_owned(),
            format!("Replicas::{:?}", prepared.replicas),
        ),
    ];
    let quoted = |name: &str| format!("`{name}`");
    lines.extend(prepared.tensors.iter().map(|PlannedTensor { row, local, .. }| {
        let kind = if row.bytes.buffer { ", a buffer" } else { "" };
        (quoted(&local.name), local.describe(&ranks.mesh) + kind)
    }));
    let ties = plan.ties.iter();
    lines.extend(ties.map(|tie| {
        (
            quoted(&tie.name),
            format!("tied to `{}`", prepared.tensors[tie.target].row.name),
        )
    }));
    let values = plan.values.iter();
    lines.extend(values.map(|(name, _)| (quoted(name), SHARED.to_owned())));
    let filtered = plan.filtered.iter();
    lines.extend(filtered.map(|name| (quoted(name), "left out by a filter".to_owned())));
    // Ranks may wrap a part in other structs, if no version tells these apart. The lines come last, because a part that only some
    // ranks have is told by its entries.
    let versions = plan.structs.iter().filter(|found| found.version != 1);
    lines.extend(versions.map(|found| (version_of(&found.path), found.version.to_string())));
    lines
}

/// The digests of the values that all ranks should share, as text.
fn value_lines(prepared: &Prepared) -> Lines {
    let values = prepared.plan.values.iter();
    values
        .map(|(name, bytes)| (format!("`{name}`"), value_line(bytes)))
        .collect()
}

/// The agreement of a strategy with one rank: the rank holds every tensor whole.
///
/// # Errors
/// If a tensor is larger than memory can be.
pub(super) fn of_one_rank(ranks: &Ranks, prepared: Prepared) -> Result<Agreed> {
    let globals = shard::uniform(locals(&prepared.tensors), &ranks.mesh)?;
    let agreed = prepared.tensors.into_iter().zip(globals);
    let agreed = agreed.map(|(PlannedTensor { row, .. }, global)| AgreedTensor {
        row,
        global,
        stored: None,
    });
    Ok(Agreed {
        plan: prepared.plan,
        tensors: agreed.collect(),
        per_rank: Vec::new(),
        report: prepared.report,
        durability: prepared.durability,
    })
}

/// Compares the messages of all ranks, and makes one agreement of them.
///
/// # Errors
/// If a rank's plan differs from that of rank 0, if the parts of a tensor do not make one tensor, or if replicas
/// differ.
pub(super) fn agree(ranks: &Ranks, prepared: Prepared, path: &Path, said: &[Vec<u8>]) -> Result<Agreed> {
    let hellos = said
        .iter()
        .map(|bytes| decode::<Hello>(bytes))
        .collect::<Result<Vec<_>>>()?;
    let schemas: Vec<u64> = hellos.iter().map(|hello| hello.schema).collect();
    ranks.require_same("save: compare", &schemas, || lines(&prepared, ranks, path))?;
    let alike = hellos.iter().all(|hello| hello.sizes == hellos[0].sizes);
    let globals = wholes(ranks, "save: sizes", locals(&prepared.tensors), alike)?;
    let mut differing = differing_values(ranks, &prepared, &hellos)?;
    let digests: Vec<&[u64]> = hellos.iter().map(|hello| &hello.replicas[..]).collect();
    let compared = compare(ranks, &prepared, &digests)?;
    let names = compared.tensors().map(|at| prepared.tensors[at].row.name.to_string());
    differing.extend(names);
    differing.sort();
    let mut per_rank = Vec::new();
    for (rank, hello) in hellos.into_iter().enumerate() {
        let at = coordinate(&ranks.mesh, rank);
        per_rank.extend(
            hello
                .per_rank
                .into_iter()
                .map(|(name, bytes)| (name, at.clone(), bytes)),
        );
    }
    let tensors = prepared.tensors.into_iter().zip(globals).enumerate();
    let tensors = tensors.map(|(at, (tensor, global))| agreed_tensor(ranks, tensor, global, at, &compared));
    Ok(Agreed {
        plan: prepared.plan,
        tensors: tensors.collect::<Result<_>>()?,
        per_rank,
        report: SaveReport {
            differing,
            ..prepared.report
        },
        durability: prepared.durability,
    })
}

/// The names of values that differ between ranks.
///
/// # Errors
/// If there are any, and the call did not ask for those of rank 0.
fn differing_values(ranks: &Ranks, prepared: &Prepared, hellos: &[Hello]) -> Result<Vec<String>> {
    let values: Vec<u64> = hellos.iter().map(|hello| hello.values).collect();
    if prepared.replicas != Replicas::RankZero {
        ranks.require_same("save: values", &values, || value_lines(prepared))?;
    }
    if values.iter().all(|value| *value == values[0]) {
        return Ok(Vec::new());
    }
    let own = prepared.plan.values.iter();
    let digests = || {
        Ok((
            (),
            own.flat_map(|(_, bytes)| checksum::of(bytes).to_le_bytes()).collect(),
        ))
    };
    let ((), said) = ranks.step("save: values", digests)?;
    let digest = |rank: &Vec<u8>, at: usize| rank.as_chunks::<8>().0.get(at).copied();
    let names = prepared.plan.values.iter().enumerate();
    let other = names.filter(|(at, _)| said.iter().any(|rank| digest(rank, *at) != digest(&said[0], *at)));
    Ok(other.map(|(_, (name, _))| name.clone()).collect())
}

/// Decides which boxes of a tensor files hold. Where replicas differ, the first replica of each box writes alone; of a
/// tensor without dimensions, all replicas write the elements of the first.
fn agreed_tensor(
    ranks: &Ranks,
    PlannedTensor { mut row, local, .. }: PlannedTensor,
    global: GlobalTensor,
    at: usize,
    compared: &Comparison,
) -> Result<AgreedTensor> {
    let mut stored = None;
    // In one file, rank 0 writes its own tensors.
    if ranks.strategy.layout() != Layout::OneFile && compared.only_first_writes(at) {
        let GlobalTensor { info, sharding } = &global;
        let alone = sharding.held_by_first_replicas(&ranks.mesh, info.shape());
        stored = alone.filter(|_| info.dtype().bits() >= 8);
        if let (None, Some(first)) = (&stored, compared.first_replica(at)) {
            row.bytes.tensor = tensor_of(&local, &row.bytes.tensor, first)?;
        }
    }
    Ok(AgreedTensor { row, global, stored })
}

/// A tensor with the element type of `tensor` and these bytes, of which it has at most eight.
fn tensor_of(local: &LocalTensor, tensor: &Tensor, bytes: [u8; 8]) -> Result<Tensor> {
    let len = local.info.byte_len().unwrap_or_default();
    let bytes = bytes.get(..len).ok_or_else(|| StateError::Tensor {
        name: local.name.to_string(),
        what: "differs between ranks, and has elements smaller than a byte, which the first replica cannot write for all; save it \
               with another element type"
            .to_owned(),
    })?;
    Tensor::from_raw_buffer(bytes, tensor.dtype(), local.info.shape(), &Device::Cpu).map_err(Error::candle(&local.name))
}

/// The whole tensors of which ranks hold parts. All ranks know whether the sizes of their parts are `alike`; if not,
/// they exchange the sizes.
///
/// # Errors
/// If the parts do not make one tensor.
pub(super) fn wholes<'l>(
    ranks: &Ranks,
    step: &str,
    locals: impl IntoIterator<Item = &'l LocalTensor> + Clone,
    alike: bool,
) -> Result<Vec<GlobalTensor>> {
    if alike {
        return Ok(shard::uniform(locals, &ranks.mesh)?);
    }
    let ((), sizes) = ranks.step(step, || Ok(((), shard::sizes(locals.clone()))))?;
    Ok(shard::uneven(locals, &ranks.mesh, &sizes)?)
}

/// A message to the other ranks.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Growing::default();
    let written = bincode::serde::encode_into_std_write(message, &mut bytes, config::standard());
    written.map(|_| bytes.0).map_err(|error| match error {
        EncodeError::Io { inner, .. } => no_memory(PLAN, inner),
        other => Error::Internal(other.to_string()),
    })
}

/// Decodes the message that another rank's [`encode`] made.
pub(super) fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M> {
    // A rank's own values have any length; the length that bincode counts is bounded all the same.
    const LIMIT: usize = 1 << 31;
    pages::look(bytes.len().saturating_mul(GROWN)).map_err(|source| no_memory(PLAN, source))?;
    bincode::serde::decode_from_slice(bytes, config::standard().with_limit::<LIMIT>())
        .map(|(message, _)| message)
        .map_err(|error| Error::Protocol(error.to_string()))
}
