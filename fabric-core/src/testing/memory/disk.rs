//! The names on a disk in memory: what they are now, which are durable, and the steps between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::file::File;

/// The directory that relative and absolute paths start from.
pub(super) const ROOT: DirectoryId = 0;

pub(super) type DirectoryId = u64;

/// A name in a directory.
pub(super) type Name = (DirectoryId, String);

#[derive(Clone, Debug)]
pub(super) enum DiskNode {
    File(Arc<File>),
    Directory(DirectoryId),
}

#[derive(Debug, Default)]
pub(super) struct DirectoryNode {
    pub(super) now: BTreeMap<String, DiskNode>,
    pub(super) durable: BTreeMap<String, DiskNode>,
}

/// A creation, renaming or removal that no sync has made durable: a crash leaves all of its effects or none.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) effects: Vec<(Name, Option<DiskNode>)>,
}

impl Step {
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.effects.iter().map(|(name, _)| name)
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) directories: BTreeMap<DirectoryId, DirectoryNode>,
    /// In the order in which they happened.
    pub(super) pending: Vec<Step>,
    next: DirectoryId,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            directories: BTreeMap::from([(ROOT, DirectoryNode::default())]),
            pending: Vec::new(),
            next: ROOT + 1,
        }
    }

    /// The name that a path stands for, or `None` for the root.
    pub(super) fn locate(&self, path: &Path) -> io::Result<Option<Name>> {
        let mut names: Vec<Name> = Vec::new();
        for component in path.components() {
            let directory = self.directory_at(names.last())?;
            match component {
                Component::Normal(name) => {
                    let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
                    names.push((directory, name.to_owned()));
                }
                Component::ParentDir => drop(names.pop()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Ok(names.pop())
    }

    pub(super) fn node(&self, path: &Path) -> io::Result<Option<DiskNode>> {
        Ok(self
            .locate(path)?
            .map_or(Some(DiskNode::Directory(ROOT)), |name| self.at(&name).cloned()))
    }

    pub(super) fn at(&self, (directory, name): &Name) -> Option<&DiskNode> {
        self.directories.get(directory)?.now.get(name)
    }

    pub(super) fn directory(&self, path: &Path) -> io::Result<DirectoryId> {
        self.directory_at(self.locate(path)?.as_ref())
    }

    fn directory_at(&self, name: Option<&Name>) -> io::Result<DirectoryId> {
        match name.map_or(Some(&DiskNode::Directory(ROOT)), |name| self.at(name)) {
            Some(DiskNode::Directory(directory)) => Ok(*directory),
            Some(DiskNode::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The file at a path and its name, if no writer holds it.
    pub(super) fn abandoned(&self, path: &Path) -> io::Result<Option<(Name, Arc<File>)>> {
        let name = match self.locate(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            located => located.ok().flatten(),
        };
        let found = name.and_then(|name| match self.at(&name) {
            Some(DiskNode::File(file)) if !file.content().held => Some((file.clone(), name)),
            _ => None,
        });
        Ok(found.map(|(file, name)| (name, file)))
    }

    pub(super) fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        let node = self.at(&from).cloned().ok_or(io::ErrorKind::NotFound)?;
        if from == to {
            return Ok(());
        }
        match (&node, self.at(&to)) {
            (DiskNode::File(_), Some(DiskNode::Directory(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (DiskNode::Directory(_), Some(DiskNode::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (DiskNode::Directory(_), Some(DiskNode::Directory(replaced))) if !self.names_in(*replaced).is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            (DiskNode::Directory(moved), _) if self.contains(*moved, to.0) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            _ => {}
        }
        self.step(vec![(from, None), (to, Some(node))]);
        Ok(())
    }

    pub(super) fn create_directory(&mut self, name: &Name) {
        let directory = self.next;
        self.next += 1;
        self.directories.insert(directory, DirectoryNode::default());
        self.step(vec![(name.clone(), Some(DiskNode::Directory(directory)))]);
        self.settle(|settled| settled == name);
    }

    pub(super) fn remove_tree(&mut self, name: Name) {
        if let Some(DiskNode::Directory(directory)) = self.at(&name) {
            let directory = *directory;
            for child in self.names_in(directory) {
                self.remove_tree((directory, child));
            }
        }
        self.step(vec![(name, None)]);
    }

    pub(super) fn names_in(&self, directory: DirectoryId) -> Vec<String> {
        self.directories
            .get(&directory)
            .map(|found| found.now.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Every file there is now, with its path.
    pub(super) fn files(&self) -> Vec<(PathBuf, Arc<File>)> {
        let mut files = Vec::new();
        let mut found = vec![(ROOT, PathBuf::new())];
        while let Some((directory, path)) = found.pop() {
            for (name, node) in self
                .directories
                .get(&directory)
                .into_iter()
                .flat_map(|found| &found.now)
            {
                match node {
                    DiskNode::File(file) => files.push((path.join(name), file.clone())),
                    DiskNode::Directory(below) => found.push((*below, path.join(name))),
                }
            }
        }
        files
    }

    fn contains(&self, outer: DirectoryId, inner: DirectoryId) -> bool {
        let inside = |node: &DiskNode| matches!(node, DiskNode::Directory(below) if self.contains(*below, inner));
        outer == inner
            || self
                .directories
                .get(&outer)
                .is_some_and(|found| found.now.values().any(inside))
    }

    /// Does something to names, at once for all to see and not durably.
    pub(super) fn step(&mut self, effects: Vec<(Name, Option<DiskNode>)>) {
        for ((directory, name), node) in &effects {
            if let Some(found) = self.directories.get_mut(directory) {
                assign(&mut found.now, name, node.as_ref());
            }
        }
        self.pending.push(Step { effects });
    }

    /// Makes the changes of the wanted names durable, with all earlier changes that they need.
    pub(super) fn settle(&mut self, wanted: impl Fn(&Name) -> bool) {
        let mut names = BTreeSet::new();
        let mut settled = Vec::new();
        let mut pending = Vec::new();
        for step in std::mem::take(&mut self.pending).into_iter().rev() {
            if step.names().any(|name| wanted(name) || names.contains(name)) {
                names.extend(step.names().cloned());
                settled.push(step);
            } else {
                pending.push(step);
            }
        }
        self.pending = pending.into_iter().rev().collect();
        for ((directory, name), node) in settled.into_iter().rev().flat_map(|step| step.effects) {
            if let Some(found) = self.directories.get_mut(&directory) {
                assign(&mut found.durable, &name, node.as_ref());
            }
        }
        self.forget_unreachable();
    }

    /// Drops directories that no crash can bring back, with all that they hold.
    fn forget_unreachable(&mut self) {
        let mut reached = BTreeSet::new();
        let mut found = vec![ROOT];
        while let Some(directory) = found.pop() {
            if !reached.insert(directory) {
                continue;
            }
            let effects = self.pending.iter().flat_map(|step| &step.effects);
            let pending = effects
                .filter(|((of, _), _)| *of == directory)
                .filter_map(|(_, node)| node.as_ref());
            let settled = self
                .directories
                .get(&directory)
                .into_iter()
                .flat_map(|d| d.now.values().chain(d.durable.values()));
            found.extend(pending.chain(settled).filter_map(|node| match node {
                DiskNode::Directory(below) => Some(*below),
                DiskNode::File(_) => None,
            }));
        }
        self.directories.retain(|directory, _| reached.contains(directory));
        self.pending
            .retain(|step| step.names().any(|(directory, _)| reached.contains(directory)));
    }
}

fn assign(names: &mut BTreeMap<String, DiskNode>, name: &str, node: Option<&DiskNode>) {
    match node {
        Some(node) => names.insert(name.to_owned(), node.clone()),
        None => names.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_crash_can_bring_back_is_forgotten() {
        let mut disk = Disk::new();
        let (outer, last) = ((ROOT, "outer".to_owned()), (ROOT, "last".to_owned()));
        disk.create_directory(&outer);
        let directory = disk.directory(Path::new("outer")).unwrap();
        let file = File::new_held();
        disk.step(vec![(
            (directory, "file".to_owned()),
            Some(DiskNode::File(file.clone())),
        )]);
        disk.step(vec![(last.clone(), Some(DiskNode::File(file.clone())))]);
        disk.step(vec![(last, None)]);
        disk.remove_tree(outer);
        assert!(Arc::strong_count(&file) > 1);

        disk.settle(|(directory, _)| *directory == ROOT);
        assert_eq!(Arc::strong_count(&file), 1);
        assert_eq!((disk.pending.len(), disk.directories.len()), (0, 1));
    }
}
