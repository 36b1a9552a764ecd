//! Whether ranks that hold one box of a tensor hold the same elements of it: they compare fingerprints, by one number for all
//! tensors that are cut over the same axes, and look closer where those differ.

use super::Prepared;
use super::fingerprint::Fingerprint;
use crate::dist::mesh::Mesh;
use crate::dist::ranks::Ranks;
use crate::dist::shard::Local;
use crate::dist::strategy::Layout;
use crate::entry::Row;
use crate::error::{Error, Result};
use crate::io::checksum;
use crate::options::Replicas;
use crate::save::contents::Live;

/// What a rank knows of its replicas before it has heard of others.
#[derive(Debug, Default)]
pub(crate) struct Prints {
    /// For each tensor of the plan; that of a tensor without replicas says nothing.
    prints: Vec<Fingerprint>,
    groups: Vec<Group>,
}

/// Tensors that are cut over the same axes, so that the same ranks are replicas of each other.
#[derive(Debug)]
struct Group {
    axes: Vec<usize>,
    /// Buffers may differ.
    buffers: bool,
    /// Places in the plan.
    tensors: Vec<usize>,
}

/// A tensor of which not all ranks hold the same.
#[derive(Clone, Copy, Debug)]
struct Difference {
    tensor: usize,
    /// The first rank that differs from the first one that holds the same box.
    rank: usize,
    first: usize,
    /// The fingerprint of the first rank that holds this rank's box.
    right: u64,
}

/// What has come of the comparison.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    differences: Vec<Difference>,
    /// Tensors that the first replica writes alone.
    pub(crate) of_first: Vec<bool>,
}

impl Prints {
    /// Takes the fingerprints of all tensors that have replicas; the others are not read.
    ///
    /// # Errors
    /// If candle cannot read a tensor.
    pub(crate) fn of(tensors: &[Row<Live>], locals: &[Local], mesh: &Mesh, whole: bool) -> Result<Self> {
        let mut groups: Vec<Group> = Vec::new();
        for (at, (local, row)) in locals.iter().zip(tensors).enumerate() {
            let buffers = row.bytes.buffer;
            let mut axes: Vec<usize> = local.cuts.iter().flat_map(|(_, axes)| axes).copied().collect();
            axes.sort_unstable();
            if mesh.cells(&axes) == mesh.world_size() {
                continue;
            }
            match groups
                .iter_mut()
                .find(|group| group.axes == axes && group.buffers == buffers)
            {
                Some(group) => group.tensors.push(at),
                None => groups.push(Group {
                    axes,
                    buffers,
                    tensors: vec![at],
                }),
            }
        }
        let mut prints = vec![Fingerprint::default(); tensors.len()];
        for &at in groups.iter().flat_map(|group| &group.tensors) {
            prints[at] = Fingerprint::of(&locals[at].name, &tensors[at].bytes.tensor, whole)?;
        }
        Ok(Self { prints, groups })
    }

    /// One number for each group, in an order that all ranks have.
    pub(crate) fn digests(&self) -> Vec<u64> {
        let digest = |group: &Group| checksum::of(&self.message([group]));
        self.groups.iter().map(digest).collect()
    }

    /// The fingerprints of some groups.
    fn message<'g>(&'g self, groups: impl IntoIterator<Item = &'g Group>) -> Vec<u8> {
        let tensors = groups.into_iter().flat_map(|group| &group.tensors);
        tensors.flat_map(|&at| self.prints[at].number.to_le_bytes()).collect()
    }
}

/// Compares what all ranks said of their replicas, and looks closer where that differs. `digests` are those of every rank.
///
/// # Errors
/// If replicas of a tensor that is no buffer differ, unless the call asked for those of rank 0.
pub(crate) fn compare(ranks: &Ranks, prepared: &Prepared, digests: &[&[u64]]) -> Result<Compared> {
    let (prints, mesh) = (&prepared.prints, &ranks.mesh);
    let alike = |group: &Group, said: &dyn Fn(usize) -> Option<u64>| {
        (0..digests.len()).all(|rank| said(rank) == said(mesh.first_replica(rank, &group.axes)))
    };
    let groups = prints.groups.iter().enumerate();
    let doubtful = groups.filter(|(at, group)| !alike(group, &|rank| digests[rank].get(*at).copied()));
    let doubtful: Vec<&Group> = doubtful.map(|(_, group)| group).collect();
    let mut differences = Vec::new();
    if !doubtful.is_empty() {
        let say = || Ok(((), prints.message(doubtful.iter().copied())));
        let ((), said) = ranks.step("save: replicas", say)?;
        let tensors = doubtful
            .iter()
            .flat_map(|group| group.tensors.iter().map(move |&at| (at, *group)));
        for (place, (tensor, group)) in tensors.enumerate() {
            let number = |rank: usize| {
                let (numbers, _) = said[rank].as_chunks::<8>();
                numbers.get(place).map(|number| u64::from_le_bytes(*number))
            };
            let first = |rank| mesh.first_replica(rank, &group.axes);
            if let Some(rank) = (0..said.len()).find(|&rank| number(rank) != number(first(rank))) {
                differences.push(Difference {
                    tensor,
                    rank,
                    first: first(rank),
                    right: number(first(ranks.rank())).unwrap_or_default(),
                });
            }
        }
        differences.sort_by_key(|difference| difference.tensor);
    }
    if prepared.replicas != Replicas::RankZero {
        refuse(ranks, prepared, &differences)?;
    }
    let of_first = of_first(prepared, &differences);
    Ok(Compared { differences, of_first })
}

/// The tensors that the first replica writes alone: those that differ, and those of which a sample leaves it open and it is to
/// be the first one's.
fn of_first(prepared: &Prepared, differences: &[Difference]) -> Vec<bool> {
    let mut alone = vec![false; prepared.locals.len()];
    for group in &prepared.prints.groups {
        for &at in &group.tensors {
            let open = group.buffers || prepared.replicas == Replicas::RankZero;
            alone[at] = open && !prepared.prints.prints[at].is_exact;
        }
    }
    for difference in differences {
        alone[difference.tensor] = true;
    }
    alone
}

/// # Errors
/// If a tensor differs that is no buffer: about the first of them.
fn refuse(ranks: &Ranks, prepared: &Prepared, differences: &[Difference]) -> Result<()> {
    let learned = |difference: &&Difference| !prepared.plan.tensors[difference.tensor].bytes.buffer;
    let mut learned = differences.iter().filter(learned);
    let Some(first) = learned.next() else {
        return Ok(());
    };
    let more = match learned.count() {
        0 => String::new(),
        1 => ", as has 1 other tensor".to_owned(),
        more => format!(", as have {more} other tensors"),
    };
    let mesh = &ranks.mesh;
    let mut axes = mesh.axes().iter().enumerate();
    let axis = axes.find(|(axis, _)| mesh.coordinate(first.rank, *axis) != mesh.coordinate(first.first, *axis));
    let axis = axis.map_or("", |(_, (name, _))| name.as_str());
    let part = match ranks.strategy.layout() {
        Layout::OneFile => format!(
            "under {}, all ranks hold the same tensors, and ranks that hold parts need Strategy::fsdp or Strategy::mesh and the \
             attribute `shard`",
            ranks.strategy.name()
        ),
        Layout::Directory => format!(
            "a rank's part of a larger tensor says #[checkpoint(shard(dim = …, axis = \"{axis}\"))]; layers or experts of each rank \
             are stacked into one tensor with that attribute"
        ),
    };
    Err(Error::Disagreement {
        rank: first.rank,
        what: format!(
            "`{}` has other elements there than on rank {}{more}, and no attribute says that it may: {part}; a tensor that is \
             kept and not learned says #[checkpoint(buffer)]; SaveOptions::replicas(Replicas::RankZero) saves rank 0's and \
             reports the difference",
            prepared.locals[first.tensor].name, first.first
        ),
    })
}

impl Compared {
    /// The tensors that differ, as places in the plan.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = usize> {
        self.differences.iter().map(|difference| difference.tensor)
    }

    /// The bytes that all replicas write of a tensor of up to eight bytes, if they differ.
    pub(crate) fn right(&self, tensor: usize) -> Option<[u8; 8]> {
        let found = self.differences.iter().find(|difference| difference.tensor == tensor);
        found.map(|difference| difference.right.to_le_bytes())
    }
}
