//! Compares the entries that `visit` and `visit_mut` of a state show.
//!
//! Only in a hand-written implementation can the two methods differ. A save has a shared borrow of the state and calls
//! `visit` alone, so a load of a state with a hand-written part compares the methods before it matches entries.

use super::walk::{PendingOptimizer, Scope};
use super::{
    AnySlot, AnyStateMut, Content, Item, OptimizerState, Role, StructPlace, Visitor, VisitorMut, Walked, same_view,
};
use crate::entry::shown;
use crate::error::StateError;
use crate::value::{Value, ValueError};

/// The names by aliases of one entry that messages list; of an entry with more, they list none.
const FEW: usize = 8;

/// The entries that `visit_mut` shows for a load, compared with those of `visit` if the state has a hand-written part.
///
/// # Errors
/// [`StateError::ReadOnly`] with the first entry behind a shared borrow; [`StateError::Asymmetric`] with the first entry
/// that differs between `visit` and `visit_mut`.
pub(crate) fn places(state: &mut dyn AnyStateMut) -> Result<Walked<AnySlot<'_>, &mut dyn OptimizerState>, StateError> {
    if state.may_differ() {
        compared(state)
    } else {
        writable(walked(state))
    }
}

/// The entries that `visit_mut` shows, compared with those of `visit`.
///
/// # Errors
/// As [`places`].
pub(crate) fn compared(
    state: &mut dyn AnyStateMut,
) -> Result<Walked<AnySlot<'_>, &mut dyn OptimizerState>, StateError> {
    let listed = listed(&*state);
    let places = writable(walked(state))?;
    match difference(&listed, &places) {
        None => Ok(places),
        Some((visit, visit_mut)) => Err(StateError::Asymmetric { visit, visit_mut }),
    }
}

fn walked(state: &mut dyn AnyStateMut) -> Walked<AnySlot<'_>, &mut dyn OptimizerState> {
    let mut visitor = VisitorMut::new();
    state.visit_mut(&mut visitor);
    visitor.finish()
}

/// Refuses a state with a part that a load cannot write to.
fn writable<V, O>(walked: Walked<V, O>) -> Result<Walked<V, O>, StateError> {
    match walked.read_only {
        Some((name, what)) => Err(StateError::ReadOnly { name, what }),
        None => Ok(walked),
    }
}

/// The entries, optimizers and structs that `visit` shows.
struct Listed {
    entries: Vec<Item<Result<Value, ValueError>>>,
    optimizers: Vec<Scope>,
    structs: Vec<StructPlace>,
}

fn listed(state: &dyn AnyStateMut) -> Listed {
    let mut visitor = Visitor::listing();
    state.visit(&mut visitor);
    let walked = visitor.finish();
    let optimizers = walked.optimizers.into_iter().map(|optimizer| optimizer.scope);
    Listed {
        entries: walked.items,
        optimizers: optimizers.collect(),
        structs: walked.structs,
    }
}

/// The first difference between `visit` and `visit_mut`: the entry of each, in words.
fn difference<V, O>(visit: &Listed, visit_mut: &Walked<V, O>) -> Option<(String, String)> {
    let (ours, theirs) = (&visit.entries, &visit_mut.items);
    let same = ours.iter().zip(theirs).take_while(|(a, b)| is_same_entry(a, b)).count();
    if let (Some(a), Some(b)) = (ours.get(same), theirs.get(same)) {
        let (visit, visit_mut) = (entry(a), entry(b));
        let is_other_memory = visit == visit_mut;
        return Some((
            visit,
            if is_other_memory {
                format!("{visit_mut} of other memory")
            } else {
                visit_mut
            },
        ));
    }
    if ours.len() != theirs.len() {
        return Some((end(ours.get(same).map(entry)), end(theirs.get(same).map(entry))));
    }
    let (ours, theirs) = (&visit.optimizers, &visit_mut.optimizers);
    let same = ours
        .iter()
        .zip(theirs)
        .take_while(|(a, b)| is_same_scope(a, &b.scope))
        .count();
    let optimizer = |scope: &Scope| described("optimizer", scope);
    let pending = |pending: &PendingOptimizer<O>| optimizer(&pending.scope);
    if ours.len().max(theirs.len()) > same {
        return Some((end(ours.get(same).map(optimizer)), end(theirs.get(same).map(pending))));
    }
    different_structs(&visit.structs, &visit_mut.structs)
}

/// The first difference between the structs of two walks. The file has the versions that `visit` shows, and the load follows the
/// recipes that `visit_mut` shows.
fn different_structs(ours: &[StructPlace], theirs: &[StructPlace]) -> Option<(String, String)> {
    let key = |place: &StructPlace| (place.names.own.clone(), place.name, place.version);
    let same = ours.iter().zip(theirs).take_while(|(a, b)| key(a) == key(b)).count();
    let told = |place: &StructPlace| {
        let StructPlace {
            names, name, version, ..
        } = place;
        format!("struct `{name}` version {version} at `{}`", shown(&names.own))
    };
    let told = |places: &[StructPlace]| places.get(same).map_or_else(|| "no further struct".to_owned(), told);
    (ours.len().max(theirs.len()) > same).then(|| (told(ours), told(theirs)))
}

fn end(entry: Option<String>) -> String {
    entry.unwrap_or_else(|| "no further entry".to_owned())
}

fn is_same_entry<V, W>(a: &Item<V>, b: &Item<W>) -> bool {
    let is_same_content = match (&a.content, &b.content) {
        (Content::Tensor(a, of_a), Content::Tensor(b, of_b)) => of_a == of_b && (a.id() == b.id() || same_view(a, b)),
        (Content::Value(_), Content::Value(_)) => true,
        _ => false,
    };
    is_same_content && is_same_scope(&a.scope, &b.scope)
}

fn is_same_scope(a: &Scope, b: &Scope) -> bool {
    let filters = a.filters.iter().zip(&b.filters);
    a.name == b.name
        && a.level == b.level
        && a.optional == b.optional
        && a.shards.attributes() == b.shards.attributes()
        && (a.per_rank, a.buffer, a.default) == (b.per_rank, b.buffer, b.default)
        && a.filters.len() == b.filters.len()
        && filters
            .into_iter()
            .all(|(a, b)| a.from == b.from && a.filter.may_be(&b.filter))
}

fn entry<V>(item: &Item<V>) -> String {
    let kind = match &item.content {
        Content::Tensor(_, Role::Parameter) => "tensor",
        Content::Tensor(_, Role::Buffer) => "buffer",
        Content::Value(_) | Content::Optimizer { .. } => "value",
    };
    described(kind, &item.scope)
}

/// An entry with all its attributes, in words.
fn described(kind: &str, scope: &Scope) -> String {
    let mut words = vec![format!("{kind} `{}`", shown(&scope.name))];
    let aliases = scope.names().others(FEW).unwrap_or_default();
    words.extend(aliases.iter().map(|alias| format!("alias `{}`", shown(alias))));
    words.extend(scope.shards.attributes().iter().map(|shard| match shard.axis {
        Some(axis) => format!("shard {} over `{}`", shard.dim, shown(axis)),
        None => format!("shard {}", shard.dim),
    }));
    words.extend(scope.filters.iter().map(|filter| format!("filter {}", filter.filter)));
    let flags = [
        (scope.optional.is_some(), "optional"),
        (scope.per_rank, "per_rank"),
        (scope.default, "default"),
        (scope.buffer && kind != "buffer", "buffer"),
    ];
    words.extend(
        flags
            .into_iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, flag)| flag.to_owned()),
    );
    words.join(", ")
}
