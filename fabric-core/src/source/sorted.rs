//! Entries in the order of their names, from whatever order a file has them in.
//!
//! The names of a large state begin alike. They are compared by the eight bytes behind what is common to all of them, and
//! in full only where these are equal; and what is moved about while they are sorted are numbers, not entries.

use std::collections::BTreeMap;

/// A map of entries. Names that are there twice are an error.
///
/// # Errors
/// The name that is there twice.
pub(crate) fn sorted<V>(entries: Vec<(String, V)>) -> Result<BTreeMap<String, V>, String> {
    // Many files have them in order.
    if entries.is_sorted_by(|a, b| a.0 < b.0) {
        return Ok(entries.into_iter().collect());
    }
    let common = common(&entries);
    let mut order: Vec<(u64, usize)> = entries.iter().map(|(name, _)| behind(name, common)).zip(0..).collect();
    let name = |at: usize| entries[at].0.as_str();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| name(a.1).cmp(name(b.1))));
    let twice = |pair: &&[(u64, usize)]| pair[0].0 == pair[1].0 && name(pair[0].1) == name(pair[1].1);
    if let Some(pair) = order.windows(2).find(twice) {
        return Err(name(pair[0].1).to_owned());
    }
    let mut entries: Vec<Option<(String, V)>> = entries.into_iter().map(Some).collect();
    // Sorted ones become a map at once, without a search for each.
    Ok(order.into_iter().filter_map(|(_, at)| entries[at].take()).collect())
}

/// How many bytes all names begin with.
fn common<V>(entries: &[(String, V)]) -> usize {
    let Some(((first, _), rest)) = entries.split_first() else {
        return 0;
    };
    rest.iter().fold(first.len(), |common, (name, _)| {
        let pairs = first.bytes().zip(name.bytes()).take(common);
        pairs.take_while(|(a, b)| a == b).count()
    })
}

/// The eight bytes of a name from a place on, as a number that is ordered as they are; zeros stand for what is missing.
fn behind(name: &str, from: usize) -> u64 {
    let rest = name.as_bytes().get(from..).unwrap_or_default();
    let mut bytes = [0; 8];
    let len = rest.len().min(8);
    bytes[..len].copy_from_slice(&rest[..len]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<(String, usize)> {
        names.iter().map(|name| (*name).to_owned()).zip(0..).collect()
    }

    #[test]
    fn names_are_in_the_order_of_their_bytes_whatever_they_share() {
        let cases: [&[&str]; 6] = [
            &[],
            &["one"],
            &[
                "layers.10.w",
                "layers.9.w",
                "layers.1.w",
                "layers",
                "layers.1",
                "layers.10",
            ],
            &["b", "", "a\0", "a", "a\0\0", "é", "z", "aé"],
            &[
                "model.aaaaaaaaaaaaaaa2",
                "model.aaaaaaaaaaaaaaa1",
                "model.aaaaaaaaaaaaaaa",
                "model.",
            ],
            &["x.12345678b", "x.12345678", "x.12345678a", "x.1234567"],
        ];
        for names in cases {
            let expected: BTreeMap<String, usize> = entries(names).into_iter().collect();
            assert_eq!(sorted(entries(names)).unwrap(), expected);
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_told() {
        for names in [
            &["a", "b", "a"][..],
            &["", ""],
            &["x.12345678b", "x.12345678c", "y", "x.12345678c"],
        ] {
            let twice = sorted(entries(names)).unwrap_err();
            assert!(names.iter().filter(|name| **name == twice).count() == 2, "{twice}");
        }
    }
}
