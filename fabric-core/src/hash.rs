//! Hash maps and sets for the names of a large state.
//!
//! Names come from files, whose writer may choose names that collide. So the hasher is seeded at random, like the
//! standard library's, and it is several times as fast on short keys.

use foldhash::fast::RandomState;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;

/// An empty map with room for `capacity` entries.
pub(crate) fn map_of<K, V>(capacity: usize) -> HashMap<K, V> {
    HashMap::with_capacity_and_hasher(capacity, RandomState::default())
}

/// An empty set with room for `capacity` entries.
pub(crate) fn set_of<K>(capacity: usize) -> HashSet<K> {
    HashSet::with_capacity_and_hasher(capacity, RandomState::default())
}
