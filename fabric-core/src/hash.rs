//! Maps by hash, for the many names of a large state.
//!
//! Names come from files, so whoever wrote a file may have chosen them: the hasher is seeded at random, like the standard
//! library's, and several times as fast on short keys.

use foldhash::fast::RandomState;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;

/// A map with room for this many.
pub(crate) fn map_of<K, V>(capacity: usize) -> HashMap<K, V> {
    HashMap::with_capacity_and_hasher(capacity, RandomState::default())
}

/// A set with room for this many.
pub(crate) fn set_of<K>(capacity: usize) -> HashSet<K> {
    HashSet::with_capacity_and_hasher(capacity, RandomState::default())
}
