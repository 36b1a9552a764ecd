//! Entries as a tree, in which siblings with equal subtrees are one node: `blocks.[0..11]`.

use std::cmp::Reverse;
use std::collections::HashMap;

use fabric_core::TensorInfo;

use crate::entries::{Content, Entry, number, segments, value_text};
use crate::versions::{Versions, add};

/// A node: an entry, or what entries below it have in common, or both.
#[derive(Clone, Debug)]
pub(crate) struct Node<'r> {
    /// The last part of the name, or several parts if the nodes above it have no other child.
    pub(crate) label: String,
    pub(crate) entry: Option<Entry<'r>>,
    pub(crate) children: Vec<Node<'r>>,
    /// The number of equal siblings that the node stands for, times those of the nodes above it.
    pub(crate) copies: u64,
    /// The number of stored tensors in the node and below it, in all copies.
    pub(crate) tensors: u64,
    /// Their bytes, in all copies.
    pub(crate) bytes: u64,
    /// The structs at the node whose version is not 1.
    pub(crate) versions: String,
    /// Nodes with one kind have equal subtrees.
    kind: usize,
}

/// The order of siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// By name, with numbers in numeric order.
    Name,
    /// The largest first.
    Size,
}

/// The tree of entries in natural order.
pub(crate) fn tree<'r>(entries: &[Entry<'r>], order: Order, versions: &Versions<'_>) -> Vec<Node<'r>> {
    let named: Vec<Named<'_, 'r>> = entries
        .iter()
        .map(|entry| (segments(entry.name).collect(), entry))
        .collect();
    let mut kinds = Kinds {
        known: HashMap::new(),
        versions,
    };
    let mut roots = kinds.nodes(&named, 0);
    for root in &mut roots {
        root.finish(1, order);
    }
    sort(&mut roots, order);
    roots
}

type Named<'e, 'r> = (Vec<&'r str>, &'e Entry<'r>);

/// The identity of the subtree of a node: its entry, and its children by label and kind.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Subtree<'r> {
    leaf: Option<Leaf<'r>>,
    children: Vec<(String, usize)>,
    versions: String,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Leaf<'r> {
    Tensor(&'r TensorInfo, Option<&'r str>),
    Text(String),
}

impl<'r> Leaf<'r> {
    fn of(entry: &Entry<'r>) -> Self {
        match &entry.content {
            Content::Tensor {
                info,
                tied_to,
                unlisted,
            } => Self::Tensor(info, tied_to.or(*unlisted)),
            Content::Value(value) => Self::Text(value_text(value)),
            Content::Optimizer { summary, .. } => Self::Text(summary.clone()),
        }
    }
}

/// A number for each subtree.
#[derive(Debug)]
struct Kinds<'r, 'v> {
    known: HashMap<Subtree<'r>, usize>,
    versions: &'v Versions<'v>,
}

impl<'r> Kinds<'r, '_> {
    /// The nodes of entries that have their first `level` segments in common.
    fn nodes(&mut self, entries: &[Named<'_, 'r>], level: usize) -> Vec<Node<'r>> {
        let siblings = entries.chunk_by(|(a, _), (b, _)| a.get(level) == b.get(level));
        let nodes = siblings.filter_map(|siblings| self.node(siblings, level)).collect();
        folded(nodes)
    }

    /// The node of entries that have one segment more in common.
    fn node(&mut self, entries: &[Named<'_, 'r>], level: usize) -> Option<Node<'r>> {
        let (segments, first) = entries.first()?;
        // In natural order an entry comes before those below it.
        let is_entry = segments.len() == level + 1;
        let entry = is_entry.then(|| (*first).clone());
        let children = self.nodes(&entries[usize::from(is_entry)..], level + 1);
        let versions = self.versions.at(segments.get(..=level).unwrap_or_default()).to_owned();
        let subtree = Subtree {
            leaf: entry.as_ref().map(Leaf::of),
            children: children.iter().map(|child| (child.label.clone(), child.kind)).collect(),
            versions: versions.clone(),
        };
        let next = self.known.len();
        Some(Node {
            label: segments.get(level).copied().unwrap_or_default().to_owned(),
            entry,
            children,
            copies: 1,
            tensors: 0,
            bytes: 0,
            versions,
            kind: *self.known.entry(subtree).or_insert(next),
        })
    }
}

/// The siblings, with those that are numbered and have equal subtrees as one.
fn folded(nodes: Vec<Node<'_>>) -> Vec<Node<'_>> {
    let mut folded: Vec<(Node<'_>, Vec<u64>)> = Vec::with_capacity(nodes.len());
    let mut places: HashMap<usize, usize> = HashMap::new();
    for node in nodes {
        // `01` is another name than `1`.
        let index = number(&node.label).filter(|number| number.to_string() == node.label);
        let Some(index) = index else {
            folded.push((node, Vec::new()));
            continue;
        };
        let next = folded.len();
        let place = *places.entry(node.kind).or_insert(next);
        match folded.get_mut(place) {
            Some((_, indices)) => indices.push(index),
            None => folded.push((node, vec![index])),
        }
    }
    let finished = folded.into_iter().map(|(mut node, indices)| {
        if indices.len() > 1 {
            node.label = ranges(&indices);
            node.copies = indices.len() as u64;
        }
        node
    });
    finished.collect()
}

/// Increasing indices: `[0..3,5,7..11]`, where both ends belong to a range.
fn ranges(indices: &[u64]) -> String {
    let runs = indices.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let texts = runs.map(|run| match run {
        [first, .., last] => format!("{first}..{last}"),
        run => run.first().map(u64::to_string).unwrap_or_default(),
    });
    format!("[{}]", texts.collect::<Vec<_>>().join(","))
}

impl Node<'_> {
    /// Joins nodes that have one child each, counts, and sorts. `above` is the number of copies of the node above.
    fn finish(&mut self, above: u64, order: Order) {
        self.copies = self.copies.saturating_mul(above);
        while self.entry.is_none()
            && let [_] = &self.children[..]
            && let Some(only) = self.children.pop()
        {
            self.label = format!("{}.{}", self.label, only.label);
            self.copies = self.copies.saturating_mul(only.copies);
            add(&mut self.versions, &only.versions);
            (self.entry, self.children) = (only.entry, only.children);
        }
        self.tensors = self
            .entry
            .as_ref()
            .map_or(0, |entry| u64::from(entry.is_stored_tensor()))
            .saturating_mul(self.copies);
        self.bytes = self.entry.as_ref().map_or(0, Entry::bytes).saturating_mul(self.copies);
        for child in &mut self.children {
            child.finish(self.copies, order);
            self.tensors = self.tensors.saturating_add(child.tensors);
            self.bytes = self.bytes.saturating_add(child.bytes);
        }
        sort(&mut self.children, order);
    }
}

fn sort(nodes: &mut [Node<'_>], order: Order) {
    if order == Order::Size {
        nodes.sort_by_key(|node| Reverse(node.bytes));
    }
}

#[cfg(test)]
mod tests {
    use fabric_core::DType;

    use super::*;
    use crate::entries::natural;

    /// The labels of a tree, children in parentheses.
    fn labels(nodes: &[Node<'_>]) -> String {
        let label = |node: &Node<'_>| match &node.children[..] {
            [] => node.label.clone(),
            children => format!("{}({})", node.label, labels(children)),
        };
        nodes.iter().map(label).collect::<Vec<_>>().join(" ")
    }

    fn of(tensors: &[(&'static str, usize)]) -> String {
        let infos: Vec<TensorInfo> = tensors
            .iter()
            .map(|(_, len)| TensorInfo::new(DType::U8, vec![*len]))
            .collect();
        let entry = |((name, _), info)| Entry {
            name,
            content: Content::Tensor {
                info,
                tied_to: None,
                unlisted: None,
            },
        };
        let mut entries: Vec<Entry<'_>> = tensors.iter().copied().zip(&infos).map(entry).collect();
        entries.sort_by(|a, b| natural(a.name).cmp(&natural(b.name)));
        labels(&tree(&entries, Order::Name, &Versions::default()))
    }

    #[test]
    fn numbered_siblings_with_equal_subtrees_are_one_node() {
        assert_eq!(
            of(&[("b.0.w", 3), ("b.1.w", 3), ("b.10.w", 3), ("b.2.w", 3)]),
            "b.[0..2,10].w"
        );
        assert_eq!(of(&[("b.0.w", 3), ("b.1.w", 4), ("b.2.w", 3)]), "b([0,2].w 1.w)");
        assert_eq!(of(&[("0.a", 1), ("1.a", 1), ("1.b", 1)]), "0.a 1(a b)");
        assert_eq!(of(&[("q.w", 1), ("k.w", 1)]), "k.w q.w");
        assert_eq!(
            of(&[("b.0.c.0", 1), ("b.0.c.1", 1), ("b.1.c.0", 1), ("b.1.c.1", 1)]),
            "b.[0..1].c.[0..1]"
        );
        assert_eq!(of(&[("b.01", 1), ("b.1", 1), ("b.2", 1)]), "b(01 [1..2])");
    }

    #[test]
    fn a_name_that_is_an_entry_and_has_entries_below_it_is_kept() {
        assert_eq!(of(&[("a", 1), ("a.b", 1), ("a-b", 1)]), "a(b) a-b");
    }

    #[test]
    fn siblings_whose_structs_have_other_versions_are_apart() {
        let info = TensorInfo::new(DType::F32, vec![2]);
        let mut entries = ["b.0.w", "b.1.w", "b.2.w", "c.d.w"].map(|name| Entry {
            name,
            content: Content::Tensor {
                info: &info,
                tied_to: None,
                unlisted: None,
            },
        });
        entries.sort_by(|a, b| natural(a.name).cmp(&natural(b.name)));
        let known = [
            ("b.0", "B version 2"),
            ("b.2", "B version 2"),
            ("c", "C version 3"),
            ("c.d", "D version 4"),
        ];
        let versions = Versions::known(&known);
        let nodes = tree(&entries, Order::Name, &versions);
        assert_eq!(labels(&nodes), "b([0,2].w 1.w) c.d.w");
        assert_eq!(nodes[0].children[0].versions, "B version 2");
        assert_eq!(nodes[0].children[1].versions, "");
        assert_eq!(nodes[1].versions, "C version 3, D version 4");
    }

    #[test]
    fn bytes_and_tensors_are_those_of_all_copies() {
        let info = TensorInfo::new(DType::F32, vec![2]);
        let names = ["b.0.c.0", "b.0.c.1", "b.1.c.0", "b.1.c.1"];
        let entries = names.map(|name| Entry {
            name,
            content: Content::Tensor {
                info: &info,
                tied_to: None,
                unlisted: None,
            },
        });
        let nodes = tree(&entries, Order::Size, &Versions::default());
        assert_eq!((nodes[0].tensors, nodes[0].bytes, nodes[0].copies), (4, 32, 4));
    }
}
