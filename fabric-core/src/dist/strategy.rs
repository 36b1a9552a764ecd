//! Strategies: a mesh of ranks, and the layout of the files.

use crate::dist::mesh::Mesh;
use crate::save::manifest::Origin;

/// The name of strategies whose axes a program lists.
const MESH: &str = "mesh";

/// The mesh of ranks and the layout of the files. A strategy is data: named mesh axes, the axis that `shard` means when
/// it names none, and a layout.
///
/// | strategy | mesh | files | who writes |
/// |---|---|---|---|
/// | [`single_device`](Self::single_device) | one rank | one file | the process |
/// | [`ddp`](Self::ddp) | `dp`: all ranks | one file | rank 0 |
/// | [`fsdp`](Self::fsdp) | `fsdp`: all ranks, the axis of `shard` | a directory | every rank its shards, and its share of replicated tensors |
/// | [`mesh`](Self::mesh) | as given, the last axis innermost | a directory | every rank its shards, each box once |
///
/// A checkpoint of any strategy loads into any other.
///
/// ```
/// use fabric_core::Strategy;
///
/// let strategy = Strategy::mesh([("dp", 2), ("tp", 4)]).shard_axis("dp");
/// assert_eq!(strategy.world_size(), Some(8));
/// assert_eq!(Strategy::fsdp().world_size(), None, "as many as the process group has");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    name: &'static str,
    /// An axis without a size has as many ranks as the process group.
    axes: Vec<(String, Option<usize>)>,
    shard_axis: Option<String>,
    layout: Layout,
}

/// The layout of a checkpoint on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// One file, written by rank 0.
    OneFile,
    /// A directory with a manifest and one file for each rank that writes.
    Directory,
}

impl Strategy {
    /// One process, which writes one file.
    #[must_use]
    pub fn single_device() -> Self {
        Self {
            name: "single_device",
            axes: Vec::new(),
            shard_axis: None,
            layout: Layout::OneFile,
        }
    }

    /// Data parallelism: every rank holds a replica of the state, and rank 0 writes one file.
    #[must_use]
    pub fn ddp() -> Self {
        Self {
            name: "ddp",
            axes: vec![("dp".to_owned(), None)],
            shard_axis: None,
            layout: Layout::OneFile,
        }
    }

    /// Fully sharded data parallelism: tensors of fields with `shard` are split over all ranks.
    #[must_use]
    pub fn fsdp() -> Self {
        Self {
            name: "fsdp",
            axes: vec![("fsdp".to_owned(), None)],
            shard_axis: Some("fsdp".to_owned()),
            layout: Layout::Directory,
        }
    }

    /// A mesh of ranks: axes with their sizes, the outermost first. Rank 0 is followed by its neighbour along the last
    /// axis.
    ///
    /// `shard` without an axis means the axis named `fsdp`, or the only axis; [`shard_axis`](Self::shard_axis) sets
    /// another one.
    #[must_use]
    pub fn mesh<N: Into<String>>(axes: impl IntoIterator<Item = (N, usize)>) -> Self {
        let axes: Vec<(String, Option<usize>)> =
            axes.into_iter().map(|(name, size)| (name.into(), Some(size))).collect();
        let own = match axes.as_slice() {
            [(only, _)] => Some(only.clone()),
            axes => axes.iter().map(|(name, _)| name).find(|name| *name == "fsdp").cloned(),
        };
        Self {
            name: MESH,
            axes,
            shard_axis: own,
            layout: Layout::Directory,
        }
    }

    /// The axis that `shard` means where it names none.
    #[must_use]
    pub fn shard_axis(mut self, axis: impl Into<String>) -> Self {
        self.shard_axis = Some(axis.into());
        self
    }

    /// Sets the number of ranks of [`ddp`](Self::ddp) or [`fsdp`](Self::fsdp), which is otherwise that of the process
    /// group: for [`Fabric::reshard`](crate::Fabric::reshard), where one process writes the files of all ranks.
    #[must_use]
    pub fn ranks(mut self, ranks: usize) -> Self {
        for (_, size) in &mut self.axes {
            size.get_or_insert(ranks);
        }
        self
    }

    /// The name of the strategy in checkpoints.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The layout of a checkpoint on disk.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The axes of the mesh with their sizes, the outermost first; `None` for the size of the process group.
    pub fn axes(&self) -> impl Iterator<Item = (&str, Option<usize>)> {
        self.axes.iter().map(|(name, size)| (name.as_str(), *size))
    }

    /// The number of ranks; `None` for that of the process group. 1 for a single device.
    #[must_use]
    pub fn world_size(&self) -> Option<usize> {
        self.axes
            .iter()
            .try_fold(1usize, |ranks, (_, size)| ranks.checked_mul((*size)?))
    }

    /// Returns true if the program has listed the axes, so that an attribute with another axis is a mistake. The other
    /// strategies have one axis each, and every other axis counts as of size 1.
    pub(crate) fn lists_its_axes(&self) -> bool {
        self.name == MESH
    }

    /// The axis that `shard` means where it names none.
    pub(crate) fn own_axis(&self) -> Option<&str> {
        self.shard_axis.as_deref()
    }

    /// The strategy and its mesh as manifests record them. An axis without a size counts as of size 1.
    pub(crate) fn origin(&self) -> Origin {
        let axis = |(name, size): (&str, Option<usize>)| (name.to_owned(), size.unwrap_or(1) as u64);
        Origin {
            strategy: self.name.to_owned(),
            mesh: self.axes().map(axis).collect(),
        }
    }

    /// The mesh, once its sizes are known.
    ///
    /// # Errors
    /// Names an axis without a size, without ranks or without a name, or a name that is there twice.
    pub(crate) fn grid(&self) -> Result<Mesh, String> {
        let mut axes: Vec<(String, usize)> = Vec::new();
        for (name, size) in &self.axes {
            let size = size.ok_or_else(|| {
                format!(
                    "strategy `{}` needs the number of ranks; call .ranks(n), or give a process group",
                    self.name
                )
            })?;
            if size == 0 || name.is_empty() || axes.iter().any(|(other, _)| other == name) {
                return Err(format!(
                    "axis `{name}` of size {size} is not possible; give every axis of a mesh another name and at least one rank"
                ));
            }
            axes.push((name.clone(), size));
        }
        if let Some(own) = self.own_axis()
            && !axes.iter().any(|(name, _)| name == own)
        {
            let names: Vec<&str> = axes.iter().map(|(name, _)| name.as_str()).collect();
            let names = names.join(", ");
            return Err(format!(
                "the default axis of `shard` is `{own}`, and the mesh has {names}; call Strategy::shard_axis with one of these"
            ));
        }
        Ok(Mesh::new(axes))
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::single_device()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_the_world_is_fixed_or_left_to_the_group() {
        assert_eq!(Strategy::single_device().world_size(), Some(1));
        assert_eq!(Strategy::ddp().world_size(), None);
        assert_eq!(Strategy::fsdp().ranks(3).world_size(), Some(3));
        assert_eq!(Strategy::mesh([("dp", 2), ("tp", 3)]).ranks(9).world_size(), Some(6));
    }

    #[test]
    fn shard_without_a_name_has_an_axis_where_there_is_no_doubt() {
        assert_eq!(Strategy::mesh([("x", 2)]).own_axis(), Some("x"));
        assert_eq!(Strategy::mesh([("dp", 2), ("fsdp", 2)]).own_axis(), Some("fsdp"));
        assert_eq!(Strategy::mesh([("dp", 2), ("tp", 2)]).own_axis(), None);
        assert_eq!(
            Strategy::mesh([("dp", 2), ("tp", 2)]).shard_axis("dp").own_axis(),
            Some("dp")
        );
    }

    #[test]
    fn meshes_that_cannot_be_are_refused() {
        for (strategy, says) in [
            (Strategy::fsdp(), "number of ranks"),
            (Strategy::mesh([("a", 0)]), "`a` of size 0"),
            (Strategy::mesh([("a", 2), ("a", 2)]), "another name"),
            (Strategy::mesh([("", 2)]), "another name"),
            (Strategy::mesh([("a", 2)]).shard_axis("b"), "the mesh has a"),
        ] {
            let error = strategy.grid().unwrap_err();
            assert!(error.contains(says), "{says:?} is not in {error:?}");
        }
    }
}
