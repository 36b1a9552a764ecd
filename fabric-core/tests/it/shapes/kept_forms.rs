//! A field that was marked `metadata` may lose the attribute, and get it back: the stored forms are serde's.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::fmt::Debug;
use std::num::{NonZero, Saturating, Wrapping};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use fabric_core::Checkpoint;
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::states::{PATH, fabric};

use super::One;

#[derive(Checkpoint)]
struct Marked<T: Serialize + DeserializeOwned> {
    #[checkpoint(metadata)]
    value: T,
}

#[track_caller]
fn both_ways<T>(value: &T, other: &T)
where
    T: Checkpoint + Serialize + DeserializeOwned + PartialEq + Debug + Clone,
{
    assert_ne!(value, other);
    let fabric = fabric();
    fabric.save(PATH, &Marked { value: value.clone() }).unwrap();
    let mut plain = One { value: other.clone() };
    fabric.load(PATH, &mut plain).unwrap();
    assert_eq!(plain.value, *value, "metadata became a plain field");
    fabric.save(PATH, &One { value: value.clone() }).unwrap();
    let mut marked = Marked { value: other.clone() };
    fabric.load(PATH, &mut marked).unwrap();
    assert_eq!(marked.value, *value, "a plain field became metadata");
}

#[test]
fn a_plain_field_reads_what_metadata_wrote_and_the_other_way_round() {
    both_ways(&Duration::new(7, 5), &Duration::ZERO);
    both_ways(
        &(SystemTime::UNIX_EPOCH + Duration::new(7, 100)),
        &SystemTime::UNIX_EPOCH,
    );
    both_ways(&PathBuf::from("a/b"), &PathBuf::new());
    both_ways(&NonZero::<u64>::MAX, &NonZero::<u64>::MIN);
    both_ways(&Wrapping(7u8), &Wrapping(0));
    both_ways(&Saturating(7u8), &Saturating(0));
    both_ways(&Box::<str>::from("a"), &Box::from("b"));
    both_ways(&Some(Duration::new(7, 5)), &None);
    both_ways(&vec![("a".to_owned(), 0.5)], &vec![]);
    both_ways(&BTreeSet::from([1u8, 2]), &BTreeSet::new());
    both_ways(&HashSet::from([1u8, 2]), &HashSet::new());
    both_ways(&Box::<[u8]>::from([1, 2]), &Box::<[u8]>::from([]));
    both_ways(&BTreeMap::from([(7u32, 0.5), (u32::MAX, 0.)]), &BTreeMap::new());
    both_ways(&BTreeMap::from([(-7i64, 0.5)]), &BTreeMap::new());
    both_ways(&BTreeMap::from([(u128::MAX, 0.5)]), &BTreeMap::new());
    both_ways(&HashMap::from([(true, vec![1u8])]), &HashMap::new());
    both_ways(&HashMap::from([('x', vec![1u8])]), &HashMap::new());
    both_ways(&HashMap::from([(String::new(), 1u8)]), &HashMap::new());
}

#[test]
fn a_heap_reads_what_metadata_wrote_and_the_other_way_round() {
    let fabric = fabric();
    let heap = BinaryHeap::from([3u8, 1, 2]);
    fabric.save(PATH, &Marked { value: heap.clone() }).unwrap();
    let mut plain = One {
        value: BinaryHeap::<u8>::new(),
    };
    fabric.load(PATH, &mut plain).unwrap();
    assert_eq!(plain.value.into_sorted_vec(), [1, 2, 3]);
    fabric.save(PATH, &One { value: heap }).unwrap();
    let mut marked = Marked {
        value: BinaryHeap::from([9u8]),
    };
    fabric.load(PATH, &mut marked).unwrap();
    assert_eq!(marked.value.into_sorted_vec(), [1, 2, 3]);
}
