//! The comparison of replicas: ranks that hold the same box of a tensor compare its fingerprints. They exchange one
//! number for all tensors that are sharded over the same axes, and a number for each tensor where those differ.

use super::fingerprint::Fingerprint;
use super::{PlannedTensor, Prepared};
use crate::dist::mesh::Mesh;
use crate::dist::ranks::Ranks;
use crate::dist::strategy::Layout;
use crate::error::{Error, Result};
use crate::io::checksum;
use crate::options::Replicas;

/// The tensors that have replicas, by the axes over which they are sharded.
#[derive(Debug, Default)]
pub(super) struct ReplicaGroups(Vec<TensorGroup>);

/// Tensors that are sharded over the same axes, so that the same ranks are replicas of each other.
#[derive(Debug)]
struct TensorGroup {
    axes: Vec<usize>,
    /// True for buffers, which may differ between replicas.
    buffers: bool,
    /// The positions of its tensors in the plan.
    tensors: Vec<usize>,
}

/// A tensor of which replicas differ.
#[derive(Clone, Copy, Debug)]
struct Difference {
    tensor: usize,
    /// The first rank that differs from the first rank with the same box.
    rank: usize,
    first: usize,
    /// The fingerprint on the first rank that holds this rank's box.
    of_first: u64,
}

/// The result of the comparison.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    differences: Vec<Difference>,
    /// The tensors that the first replica writes alone, as places in the plan, sorted.
    only_first: Vec<usize>,
}

impl ReplicaGroups {
    /// Takes the fingerprints of all tensors that have replicas; the others are not read. With `whole`, every byte of a
    /// tensor is in its fingerprint.
    ///
    /// # Errors
    /// If candle cannot read a tensor.
    pub(super) fn fingerprint(tensors: &mut [PlannedTensor], mesh: &Mesh, whole: bool) -> Result<Self> {
        let mut groups: Vec<TensorGroup> = Vec::new();
        for (
            at,
            PlannedTensor {
                row,
                local,
                fingerprint,
            },
        ) in tensors.iter_mut().enumerate()
        {
            let buffers = row.bytes.buffer;
            let mut axes: Vec<usize> = local.shard_dims.iter().flat_map(|(_, axes)| axes).copied().collect();
            axes.sort_unstable();
            if mesh.shard_count(&axes) == mesh.world_size() {
                continue;
            }
            *fingerprint = Fingerprint::of(&local.name, &row.bytes.tensor, whole)?;
            match groups
                .iter_mut()
                .find(|group| group.axes == axes && group.buffers == buffers)
            {
                Some(group) => group.tensors.push(at),
                None => groups.push(TensorGroup {
                    axes,
                    buffers,
                    tensors: vec![at],
                }),
            }
        }
        Ok(Self(groups))
    }

    /// One number for each group, in an order that all ranks share.
    pub(super) fn digests(&self, tensors: &[PlannedTensor]) -> Vec<u64> {
        let digest = |group: &TensorGroup| checksum::of(&message([group], tensors));
        self.0.iter().map(digest).collect()
    }
}

/// The fingerprints of some groups.
fn message<'g>(groups: impl IntoIterator<Item = &'g TensorGroup>, tensors: &[PlannedTensor]) -> Vec<u8> {
    let places = groups.into_iter().flat_map(|group| &group.tensors);
    places
        .flat_map(|&at| tensors[at].fingerprint.number.to_le_bytes())
        .collect()
}

/// Compares the digests of all ranks, and exchanges fingerprints of tensors where digests differ. `digests` has the
/// digests of every rank.
///
/// # Errors
/// If replicas of a tensor that is no buffer differ, unless the call asked for those of rank 0.
pub(super) fn compare(ranks: &Ranks, prepared: &Prepared, digests: &[&[u64]]) -> Result<Comparison> {
    let mesh = &ranks.mesh;
    let alike = |group: &TensorGroup, digest: &dyn Fn(usize) -> Option<u64>| {
        (0..digests.len()).all(|rank| digest(rank) == digest(mesh.first_replica(rank, &group.axes)))
    };
    let groups = prepared.groups.0.iter().enumerate();
    let doubtful = groups.filter(|(at, group)| !alike(group, &|rank| digests[rank].get(*at).copied()));
    let doubtful: Vec<&TensorGroup> = doubtful.map(|(_, group)| group).collect();
    let mut differences = Vec::new();
    if !doubtful.is_empty() {
        let fingerprints = || Ok(((), message(doubtful.iter().copied(), &prepared.tensors)));
        let ((), said) = ranks.step("save: replicas", fingerprints)?;
        differences = find_differences(ranks, &doubtful, &said);
    }
    if prepared.replicas != Replicas::RankZero {
        refuse(ranks, prepared, &differences)?;
    }
    let only_first = only_first(prepared, &differences);
    Ok(Comparison {
        differences,
        only_first,
    })
}

/// The tensors of the groups that differ between replicas. `said` has the fingerprints of every rank.
fn find_differences(ranks: &Ranks, groups: &[&TensorGroup], said: &[Vec<u8>]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let tensors = groups
        .iter()
        .flat_map(|group| group.tensors.iter().map(move |&at| (at, *group)));
    for (place, (tensor, group)) in tensors.enumerate() {
        let number = |rank: usize| {
            let (numbers, _) = said[rank].as_chunks::<8>();
            numbers.get(place).map(|number| u64::from_le_bytes(*number))
        };
        let first = |rank| ranks.mesh.first_replica(rank, &group.axes);
        if let Some(rank) = (0..said.len()).find(|&rank| number(rank) != number(first(rank))) {
            differences.push(Difference {
                tensor,
                rank,
                first: first(rank),
                of_first: number(first(ranks.rank())).unwrap_or_default(),
            });
        }
    }
    differences.sort_by_key(|difference| difference.tensor);
    differences
}

/// The tensors that the first replica writes alone: those that differ, and those that may differ in a byte outside of
/// the sample and whose first replica counts.
fn only_first(prepared: &Prepared, differences: &[Difference]) -> Vec<usize> {
    let mut alone: Vec<usize> = differences.iter().map(|difference| difference.tensor).collect();
    for group in &prepared.groups.0 {
        if group.buffers || prepared.replicas == Replicas::RankZero {
            let sampled = |at: &&usize| !prepared.tensors[**at].fingerprint.is_exact;
            alone.extend(group.tensors.iter().filter(sampled));
        }
    }
    alone.sort_unstable();
    alone
}

/// Refuses replicas that differ, unless the tensor is a buffer.
///
/// # Errors
/// Names the first such tensor.
fn refuse(ranks: &Ranks, prepared: &Prepared, differences: &[Difference]) -> Result<()> {
    let learned = |difference: &&Difference| !prepared.tensors[difference.tensor].row.bytes.buffer;
    let mut learned = differences.iter().filter(learned);
    let Some(first) = learned.next() else {
        return Ok(());
    };
    let more = match learned.count() {
        0 => String::new(),
        1 => ", and so does 1 other tensor".to_owned(),
        more => format!(", and so do {more} other tensors"),
    };
    let mesh = &ranks.mesh;
    let mut axes = mesh.axes().iter().enumerate();
    let axis = axes.find(|(axis, _)| mesh.coordinate(first.rank, *axis) != mesh.coordinate(first.first, *axis));
    let axis = axis.map_or("", |(_, (name, _))| name.as_str());
    let part = match ranks.strategy.layout() {
        Layout::OneFile => format!(
            "under {}, all ranks must hold the same tensors; if ranks hold parts, use Strategy::fsdp or Strategy::mesh with the \
             attribute `shard`",
            ranks.strategy.name()
        ),
        Layout::Directory => format!(
            "mark a rank's part of a larger tensor #[checkpoint(shard(dim = …, axis = \"{axis}\"))], and stack layers or experts of \
             each rank into one tensor with that attribute"
        ),
    };
    Err(Error::Disagreement {
        rank: first.rank,
        what: format!(
            "`{}` differs from that of rank {}{more}, and no attribute allows it: {part}; mark a tensor that is not learned \
             #[checkpoint(buffer)]; or save rank 0's with SaveOptions::replicas(Replicas::RankZero), which reports the \
             difference",
            prepared.tensors[first.tensor].row.name, first.first
        ),
    })
}

impl Comparison {
    /// The tensors that differ, as places in the plan.
    pub(super) fn tensors(&self) -> impl Iterator<Item = usize> {
        self.differences.iter().map(|difference| difference.tensor)
    }

    /// Returns true if the first replica of each box writes the tensor alone.
    pub(super) fn only_first_writes(&self, tensor: usize) -> bool {
        self.only_first.binary_search(&tensor).is_ok()
    }

    /// The bytes of the first replica of a tensor of up to eight bytes, if replicas of it differ.
    pub(super) fn first_replica(&self, tensor: usize) -> Option<[u8; 8]> {
        let found = self.differences.iter().find(|difference| difference.tensor == tensor);
        found.map(|difference| difference.of_first.to_le_bytes())
    }
}
