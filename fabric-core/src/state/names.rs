//! Refuses names that no file can hold, and names that a load could not tell apart.

use super::collisions::{Graph, Visit};
use super::{Content, Item};
use crate::entry::{check_name, first_twice, join, of_rank, without_rank};
use crate::error::StateError;
use crate::hash::HashSet;

/// Checks the names and aliases of all entries, so that a load finds each entry under its name.
pub(super) fn check<V>(items: &[Item<V>]) -> Result<(), StateError> {
    let mut names: Vec<&str> = items.iter().map(|item| item.scope.name.as_str()).collect();
    for name in &names {
        check_name(name).map_err(|what| StateError::Name {
            name: (*name).to_owned(),
            what,
        })?;
    }
    if let Some(name) = first_twice(&mut names) {
        return Err(StateError::Duplicate(name.to_owned()));
    }
    if items.iter().all(|item| item.scope.level.is_none()) {
        return values_of_ranks(items);
    }
    let graph = Graph::of(items);
    let visited = graph.visit();
    one_field_a_name(items, &graph, &visited)?;
    aliases_of_ranks(items, &graph, &visited)
}

/// Returns true for a value of a `per_rank` field: the values of `position` are named `position@0`, `position@1`, …
fn is_ranked<V>(item: &Item<V>) -> bool {
    item.scope.per_rank && matches!(item.content, Content::Value(_))
}

/// Refuses a name that a file gives to a value of a `per_rank` field, in a state without aliases.
fn values_of_ranks<V>(items: &[Item<V>]) -> Result<(), StateError> {
    let ranked = items.iter().filter(|item| is_ranked(item));
    let ranked: HashSet<&str> = ranked.map(|item| item.scope.name.as_str()).collect();
    if ranked.is_empty() {
        return Ok(());
    }
    for name in items.iter().map(|item| item.scope.name.as_str()) {
        if let Some((owner, rank)) = without_rank(name)
            && ranked.contains(owner)
        {
            return Err(StateError::RankedName {
                name: name.to_owned(),
                per_rank: owner.to_owned(),
                rank,
            });
        }
    }
    Ok(())
}

/// Refuses an alias that is a name or an alias of another entry: a load would give one entry of a file to both.
fn one_field_a_name<V>(items: &[Item<V>], graph: &Graph<'_>, visited: &[Visit<'_>]) -> Result<(), StateError> {
    for (at, visit) in visited.iter().enumerate() {
        let (Some(one), Some(other)) = (graph.item(visit.one), graph.item(visit.other)) else {
            continue;
        };
        if one == other {
            continue;
        }
        let name = Graph::name(visited, at);
        // The entry whose own name it is comes first.
        let is_own = |item: usize| items[item].scope.name == name;
        let (first, second) = if is_own(other) || (!is_own(one) && other < one) {
            (other, one)
        } else {
            (one, other)
        };
        return Err(StateError::Ambiguous {
            name,
            first: items[first].scope.name.clone(),
            second: items[second].scope.name.clone(),
        });
    }
    Ok(())
}

/// Refuses a name or an alias that a file gives to a value of a `per_rank` field.
fn aliases_of_ranks<V>(items: &[Item<V>], graph: &Graph<'_>, visited: &[Visit<'_>]) -> Result<(), StateError> {
    if !items.iter().any(is_ranked) {
        return Ok(());
    }
    for (at, visit) in visited.iter().enumerate() {
        for (one, other) in [(visit.one, visit.other), (visit.other, visit.one)] {
            for (plain, owner) in graph.ends(one).filter(|(_, item)| is_ranked(&items[*item])) {
                let mut named = graph.ends(other).filter_map(|(name, _)| without_rank(name));
                if let Some((_, rank)) = named.find(|(name, _)| *name == plain) {
                    let above = Graph::name(visited, at);
                    let name = join(&above, plain);
                    return Err(StateError::RankedName {
                        name: of_rank(&name, rank),
                        per_rank: items[owner].scope.name.clone(),
                        rank,
                    });
                }
            }
        }
    }
    Ok(())
}
