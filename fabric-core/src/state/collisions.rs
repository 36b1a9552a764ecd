//! Finds two entries of a state that have one name, by their own names or by aliases.
//!
//! An entry below n fields with aliases has 2^n names or more, so the names are not compared one by one. They are the paths
//! of a graph whose edges are segments of names. Two entries have a common name if the pair of them is reached from the pair
//! (root, root) along edges with equal segments. Of n nodes there are at most n² pairs, and without a collision only pairs of
//! a node with itself are reached.

use std::sync::Arc;

use super::Item;
use super::aliases::{Level, Other};
use crate::hash::{HashMap, HashSet};

/// The names of all entries, as a graph.
pub(super) struct Graph<'n> {
    nodes: Vec<Node<'n>>,
    /// The nodes behind plain segments.
    plain: HashMap<(usize, &'n str), usize>,
    /// The nodes of levels with aliases, by the node that the names begin at.
    levels: HashMap<(usize, *const Level), usize>,
}

#[derive(Default)]
struct Node<'n> {
    /// The next nodes, each behind a segment.
    edges: Vec<(&'n str, usize)>,
    /// The next nodes without a segment between.
    free: Vec<usize>,
    /// The entry whose name ends here.
    item: Option<usize>,
}

/// A pair of nodes that one name leads to.
pub(super) struct Visit<'n> {
    pub(super) one: usize,
    pub(super) other: usize,
    /// The visit before, and the segment from there to here.
    from: Option<(usize, Option<&'n str>)>,
}

const ROOT: usize = 0;

impl<'n> Graph<'n> {
    pub(super) fn of<V>(items: &'n [Item<V>]) -> Self {
        let mut graph = Self {
            nodes: vec![Node::default()],
            plain: HashMap::default(),
            levels: HashMap::default(),
        };
        for (at, item) in items.iter().enumerate() {
            let end = graph.insert(ROOT, &item.scope.name, item.scope.level.as_ref());
            graph.nodes[end].item = Some(at);
        }
        for node in &mut graph.nodes {
            node.edges.sort_unstable();
            node.edges.dedup();
        }
        graph
    }

    /// Adds a name below a node, with all that aliases put in the place of its levels. Returns the node at its end.
    fn insert(&mut self, start: usize, name: &'n str, level: Option<&'n Arc<Level>>) -> usize {
        let mut unknown = Vec::new();
        let (mut node, mut at) = (start, 0);
        for level in std::iter::successors(level, |level| level.above.as_ref()) {
            if let Some(known) = self.levels.get(&(start, Arc::as_ptr(level))) {
                (node, at) = (*known, level.to);
                break;
            }
            unknown.push(level);
        }
        for level in unknown.into_iter().rev() {
            node = self.walk(node, name[at..level.from].trim_matches('.'));
            let target = self.add();
            self.connect(node, &name[level.from..level.to], target);
            for other in &level.others {
                match other {
                    Other::Path(path) => self.connect(node, path, target),
                    Other::AllOf(names) => {
                        let end = self.insert(node, &names.own, names.level.as_ref());
                        self.nodes[end].free.push(target);
                    }
                }
            }
            self.levels.insert((start, Arc::as_ptr(level)), target);
            (node, at) = (target, level.to);
        }
        self.walk(node, name[at..].trim_start_matches('.'))
    }

    fn add(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// The node behind a path of plain segments.
    fn walk(&mut self, mut node: usize, path: &'n str) -> usize {
        for segment in path.split('.').filter(|segment| !segment.is_empty()) {
            node = if let Some(next) = self.plain.get(&(node, segment)) {
                *next
            } else {
                let next = self.add();
                self.nodes[node].edges.push((segment, next));
                self.plain.insert((node, segment), next);
                next
            };
        }
        node
    }

    /// Connects two nodes by a path.
    fn connect(&mut self, from: usize, path: &'n str, target: usize) {
        let (above, last) = path.rsplit_once('.').unwrap_or(("", path));
        let from = self.walk(from, above);
        if last.is_empty() {
            self.nodes[from].free.push(target);
        } else {
            self.nodes[from].edges.push((last, target));
        }
    }

    /// The entry whose name ends at a node.
    pub(super) fn item(&self, node: usize) -> Option<usize> {
        self.nodes[node].item
    }

    /// The entries whose names end one segment behind a node, each with that segment.
    pub(super) fn ends(&self, node: usize) -> impl Iterator<Item = (&'n str, usize)> {
        let edges = self.nodes[node].edges.iter();
        edges.flat_map(move |(segment, next)| self.items_from(*next).into_iter().map(move |item| (*segment, item)))
    }

    /// The entries whose names end at a node, or at one that no segment separates from it.
    fn items_from(&self, node: usize) -> Vec<usize> {
        let (mut seen, mut open, mut items) = (HashSet::default(), vec![node], Vec::new());
        while let Some(node) = open.pop() {
            if seen.insert(node) {
                items.extend(self.nodes[node].item);
                open.extend(&self.nodes[node].free);
            }
        }
        items
    }

    /// All pairs of nodes that one name leads to, each pair once.
    pub(super) fn visit(&self) -> Vec<Visit<'n>> {
        let mut visited = vec![Visit {
            one: ROOT,
            other: ROOT,
            from: None,
        }];
        let mut seen = HashSet::default();
        seen.insert((ROOT, ROOT));
        let mut at = 0;
        while let Some(visit) = visited.get(at) {
            let (one, other) = (visit.one, visit.other);
            let mut next = |one: usize, other: usize, segment: Option<&'n str>| {
                let pair = (one.min(other), one.max(other));
                if seen.insert(pair) {
                    visited.push(Visit {
                        one: pair.0,
                        other: pair.1,
                        from: Some((at, segment)),
                    });
                }
            };
            for &free in &self.nodes[one].free {
                next(free, other, None);
            }
            for &free in &self.nodes[other].free {
                next(one, free, None);
            }
            self.common(one, other, |segment, one, other| next(one, other, Some(segment)));
            at += 1;
        }
        visited
    }

    /// Calls `found` with each pair of nodes behind two nodes and one segment.
    fn common(&self, one: usize, other: usize, mut found: impl FnMut(&'n str, usize, usize)) {
        let (ours, theirs) = (&self.nodes[one].edges, &self.nodes[other].edges);
        for &(segment, ours) in ours {
            let first = theirs.partition_point(|(other, _)| *other < segment);
            let same = theirs[first..].iter().take_while(|(other, _)| *other == segment);
            same.for_each(|&(_, theirs)| found(segment, ours, theirs));
        }
    }

    /// The name that leads to a visited pair.
    pub(super) fn name(visited: &[Visit<'n>], at: usize) -> String {
        let before = std::iter::successors(visited.get(at), |visit| visited.get(visit.from?.0));
        let mut segments: Vec<&str> = before.filter_map(|visit| visit.from?.1).collect();
        segments.reverse();
        segments.join(".")
    }
}
