//! The states in which a stop may leave a disk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{DirectoryId, Disk, DiskNode, Name, ROOT};
use super::file::File;
use super::sample::{CrashSample, digits};

/// The files and directories that a crash leaves, before it is settled what the files hold. Parents come first.
type Tree = BTreeMap<PathBuf, Option<Arc<File>>>;

/// The possible contents of each file after the crash, by its address before it.
type Contents = HashMap<*const File, Vec<Arc<File>>>;

/// One state: the number of a tree, and for each of its files the number of a content.
type Choice = (usize, Vec<usize>);

/// The disks that a crash may leave: all of them if there are at most `limit`, otherwise `limit` of them.
pub(super) fn after_crash(disk: &Disk, limit: usize) -> Vec<Disk> {
    let (trees, all_trees) = trees(disk, limit);
    let (contents, all_contents) = contents(&trees, limit);
    let bases: Vec<Vec<usize>> = trees
        .iter()
        .map(|tree| files(tree).map(|file| contents[&file].len()).collect())
        .collect();
    let whole = if all_trees && all_contents {
        all_choices(&bases, limit)
    } else {
        None
    };
    let choices = whole.unwrap_or_else(|| some_choices(&bases, limit));
    choices
        .into_iter()
        .map(|(tree, digits)| build(&trees[tree], &contents, digits))
        .collect()
}

fn files(tree: &Tree) -> impl Iterator<Item = *const File> {
    tree.values().flatten().map(Arc::as_ptr)
}

/// The different trees that surviving steps make, first the one of none and then the one of all. The flag says whether
/// they are complete.
fn trees(disk: &Disk, limit: usize) -> (Vec<Tree>, bool) {
    let before = predecessors(disk);
    let whole = all_survivors(&before, limit);
    let complete = whole.is_some();
    let mut seen = HashSet::new();
    let mut trees = Vec::new();
    for survivors in whole.unwrap_or_else(|| some_survivors(&before, limit)) {
        let tree = tree_of(disk, &survivors);
        let look: Vec<_> = tree
            .iter()
            .map(|(path, file)| (path.clone(), file.as_ref().map(Arc::as_ptr)))
            .collect();
        if seen.insert(look) {
            trees.push(tree);
        }
    }
    (trees, complete)
}

/// For each step the earlier ones without which it cannot survive: the last before it on each of its names.
fn predecessors(disk: &Disk) -> Vec<Vec<usize>> {
    let mut last: BTreeMap<&Name, usize> = BTreeMap::new();
    let steps = disk.pending.iter().enumerate();
    steps
        .map(|(index, step)| step.names().filter_map(|name| last.insert(name, index)).collect())
        .collect()
}

/// Every set of steps that may survive together; `None` if they are more than `limit`.
fn all_survivors(before: &[Vec<usize>], limit: usize) -> Option<Vec<Vec<bool>>> {
    let mut sets: Vec<Vec<bool>> = vec![Vec::new()];
    for needed in before {
        let (without, with) = (
            sets.clone(),
            sets.into_iter().filter(|set| needed.iter().all(|step| set[*step])),
        );
        let lost = without.into_iter().map(|set| [set, vec![false]].concat());
        sets = lost.chain(with.map(|set| [set, vec![true]].concat())).collect();
        if sets.len() > limit {
            return None;
        }
    }
    // The set of all steps comes last, as the set of none comes first.
    let last = sets.len() - 1;
    sets.swap(last.min(1), last);
    Some(sets)
}

/// Some sets of steps that may survive together: none, all, all but one step and those that need it, one step and those
/// that it needs, then a random choice of others.
fn some_survivors(before: &[Vec<usize>], limit: usize) -> Vec<Vec<bool>> {
    let steps = before.len();
    let mut sets = vec![vec![false; steps], vec![true; steps]];
    for step in 0..steps {
        sets.push(possible(before, |other| other != step));
        sets.push(with_needed(before, step));
    }
    sets.truncate(limit);
    let mut sample = CrashSample::new();
    while sets.len() < limit {
        // Not a fair coin: as a step needs others, few of the late ones would survive.
        sets.push(possible(before, |_| sample.below(8) > 0));
    }
    sets
}

/// The steps that are wanted and need no step that is not.
fn possible(before: &[Vec<usize>], mut wanted: impl FnMut(usize) -> bool) -> Vec<bool> {
    let mut set: Vec<bool> = Vec::with_capacity(before.len());
    for (step, needed) in before.iter().enumerate() {
        let survives = wanted(step) && needed.iter().all(|other| set[*other]);
        set.push(survives);
    }
    set
}

fn with_needed(before: &[Vec<usize>], step: usize) -> Vec<bool> {
    let mut set = vec![false; before.len()];
    let mut needed = vec![step];
    while let Some(step) = needed.pop() {
        if !std::mem::replace(&mut set[step], true) {
            needed.extend(&before[step]);
        }
    }
    set
}

fn tree_of(disk: &Disk, survivors: &[bool]) -> Tree {
    let mut changed: BTreeMap<&Name, Option<&DiskNode>> = BTreeMap::new();
    for (step, _) in disk.pending.iter().zip(survivors).filter(|(_, survives)| **survives) {
        changed.extend(step.effects.iter().map(|(name, node)| (name, node.as_ref())));
    }
    let mut tree = Tree::new();
    grow(disk, &changed, ROOT, Path::new(""), &mut tree);
    tree
}

fn grow(disk: &Disk, changed: &BTreeMap<&Name, Option<&DiskNode>>, at: DirectoryId, path: &Path, tree: &mut Tree) {
    let durable = disk
        .directories
        .get(&at)
        .into_iter()
        .flat_map(|directory| &directory.durable);
    let mut names: BTreeMap<&str, Option<&DiskNode>> =
        durable.map(|(name, node)| (name.as_str(), Some(node))).collect();
    names.extend(
        changed
            .iter()
            .filter(|((of, _), _)| *of == at)
            .map(|((_, name), node)| (name.as_str(), *node)),
    );
    for (name, node) in names {
        let path = path.join(name);
        match node {
            Some(DiskNode::File(file)) => drop(tree.insert(path, Some(file.clone()))),
            Some(DiskNode::Directory(below)) => {
                tree.insert(path.clone(), None);
                grow(disk, changed, *below, &path, tree);
            }
            None => {}
        }
    }
}

fn contents(trees: &[Tree], limit: usize) -> (Contents, bool) {
    let mut contents = Contents::new();
    let mut complete = true;
    for file in trees.iter().flat_map(BTreeMap::values).flatten() {
        contents.entry(Arc::as_ptr(file)).or_insert_with(|| {
            let (left, all) = file.content().after_crash(limit);
            complete &= all;
            left
        });
    }
    (contents, complete)
}

fn all_choices(bases: &[Vec<usize>], limit: usize) -> Option<Vec<Choice>> {
    let mut choices = Vec::new();
    for (tree, bases) in bases.iter().enumerate() {
        choices.extend(
            digits(bases, limit - choices.len())?
                .into_iter()
                .map(|digits| (tree, digits)),
        );
    }
    Some(choices)
}

/// With no step or all, the least and the most of every file, and the least of one file only; then others by chance.
fn some_choices(bases: &[Vec<usize>], limit: usize) -> Vec<Choice> {
    let mut wanted = Vec::new();
    for (tree, bases) in bases.iter().enumerate().take(2) {
        let most: Vec<usize> = bases.iter().map(|base| base - 1).collect();
        wanted.push((tree, vec![0; bases.len()]));
        wanted.push((tree, most.clone()));
        for file in 0..bases.len() {
            let mut one = most.clone();
            one[file] = 0;
            wanted.push((tree, one));
        }
    }
    let mut sample = CrashSample::new();
    let by_chance = (0..limit.saturating_mul(16)).map(|_| {
        let tree = sample.below(bases.len());
        (tree, bases[tree].iter().map(|base| sample.below(*base)).collect())
    });
    let mut seen = HashSet::new();
    wanted
        .into_iter()
        .chain(by_chance)
        .filter(|choice| seen.insert(choice.clone()))
        .take(limit)
        .collect()
}

fn build(tree: &Tree, contents: &Contents, digits: Vec<usize>) -> Disk {
    let mut disk = Disk::new();
    let mut digits = digits.into_iter();
    for (path, file) in tree {
        // The parents were built before, so each path has a place.
        let Ok(Some(name)) = disk.locate(path) else { continue };
        match file {
            None => disk.create_directory(&name),
            Some(file) => {
                let left = &contents[&Arc::as_ptr(file)][digits.next().unwrap_or(0)];
                disk.step(vec![(name, Some(DiskNode::File(left.clone())))]);
            }
        }
    }
    disk.settle(|_| true);
    disk
}
