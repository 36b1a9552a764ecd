//! Refuses names that no file can hold, and names that a load could not tell apart.

use super::{Content, Item};
use crate::entry::{check_name, first_twice, without_rank};
use crate::error::StateError;
use crate::hash::HashMap;

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
    one_field_a_name(items)?;
    values_of_ranks(items)
}

/// Refuses an alias that is a name or an alias of another entry: a load would give one entry of a file to both.
fn one_field_a_name<V>(items: &[Item<V>]) -> Result<(), StateError> {
    if items.iter().all(|item| item.scope.alternatives.is_empty()) {
        return Ok(());
    }
    let mut owners: HashMap<&str, usize> = HashMap::default();
    for (at, item) in items.iter().enumerate() {
        owners.insert(&item.scope.name, at);
    }
    for (at, item) in items.iter().enumerate() {
        for alternative in &item.scope.alternatives {
            let owner = *owners.entry(alternative).or_insert(at);
            if owner != at {
                return Err(StateError::Ambiguous {
                    name: alternative.clone(),
                    first: items[owner].scope.name.clone(),
                    second: item.scope.name.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Refuses a name that a file gives to a value of a `per_rank` field: the values of `position` are named `position@0`,
/// `position@1`, …
fn values_of_ranks<V>(items: &[Item<V>]) -> Result<(), StateError> {
    let is_per_rank = |item: &&Item<V>| item.scope.per_rank && matches!(item.content, Content::Value(_));
    let mut per_rank: HashMap<&str, &str> = HashMap::default();
    for item in items.iter().filter(is_per_rank) {
        let names = std::iter::once(&item.scope.name).chain(&item.scope.alternatives);
        per_rank.extend(names.map(|name| (name.as_str(), item.scope.name.as_str())));
    }
    if per_rank.is_empty() {
        return Ok(());
    }
    for item in items {
        for name in std::iter::once(&item.scope.name).chain(&item.scope.alternatives) {
            let owner = without_rank(name).and_then(|(plain, rank)| Some((*per_rank.get(plain)?, rank)));
            if let Some((owner, rank)) = owner {
                return Err(StateError::RankedName {
                    name: name.clone(),
                    per_rank: owner.to_owned(),
                    rank,
                });
            }
        }
    }
    Ok(())
}
