//! Renames that do not meet: each is made before another one needs its old name for something else.

use super::moved::Move;
use crate::entry::strip;
use crate::source::Index;

/// From one name to another.
type Rename = (String, String);

/// Renames, in the order in which they are to be made.
#[derive(Debug)]
pub(super) struct Renames {
    pub(super) pairs: Vec<Rename>,
    /// One of them needs a name that another one gives up, so that only all of them together are right.
    pub(super) depend: bool,
}

/// Orders the renames that `moves` stand for. A circle of names is broken by way of a name that the file does not have.
pub(super) fn in_order<'m>(moves: impl Iterator<Item = &'m Move>, index: &Index) -> Renames {
    let mut left: Vec<Rename> = moves.map(|part| with_its_optimizer(part, index)).collect();
    left.dedup();
    put_aside(&mut left, index);
    let depend = (0..left.len()).any(|at| !is_free(&left, at));
    let mut pairs = Vec::with_capacity(left.len());
    let mut last = Vec::new();
    while !left.is_empty() {
        if let Some(at) = (0..left.len()).find(|&at| is_free(&left, at)) {
            pairs.push(left.remove(at));
        } else {
            let (from, to) = left.remove(0);
            let aside = unused(&from, index);
            pairs.push((from, aside.clone()));
            last.push((aside, to));
        }
    }
    pairs.extend(last);
    Renames { pairs, depend }
}

/// Returns true if the new name of a rename is free: no other rename still has to move entries away from it.
fn is_free(renames: &[Rename], at: usize) -> bool {
    let to = &renames[at].1;
    let meets = |from: &str| strip(from, to).is_some() || strip(to, from).is_some();
    let mut others = renames.iter().enumerate().filter(|(other, _)| *other != at);
    others.all(|(_, (from, _))| !meets(from))
}

/// The whole optimizer where its state has moved: its hyper-parameters go with it.
fn with_its_optimizer(part: &Move, index: &Index) -> Rename {
    let of_file = |name: &str| is_optimizer(name, index).then(|| name.to_owned());
    let from = part.from.strip_suffix(".state").and_then(of_file);
    match (from, part.to.strip_suffix(".state")) {
        (Some(from), Some(to)) => (from, to.to_owned()),
        _ => (part.from.clone(), part.to.clone()),
    }
}

/// Adds a rename for each optimizer of the file that another one takes the name of, and that keeps its own name otherwise.
fn put_aside(renames: &mut Vec<Rename>, index: &Index) {
    let stays = |name: &str| is_optimizer(name, index) && renames.iter().all(|(from, _)| from != name);
    let names: Vec<String> = renames
        .iter()
        .map(|(_, to)| to.clone())
        .filter(|to| stays(to))
        .collect();
    renames.extend(names.into_iter().map(|name| {
        let aside = unused(&name, index);
        (name, aside)
    }));
}

fn is_optimizer(name: &str, index: &Index) -> bool {
    index.contains(&format!("{name}.param_groups"))
}

/// A name that nothing in the file has, at the level of `name`.
fn unused(name: &str, index: &Index) -> String {
    let mut aside = format!("{name}-moved");
    while index.names_below(&aside).next().is_some() {
        aside.push('-');
    }
    aside
}
