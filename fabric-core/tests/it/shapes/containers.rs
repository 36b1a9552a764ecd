//! Containers: of plain values one value, of components one part for each index or key.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList};
use std::marker::PhantomData;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use candle_core::DType;
use candle_nn::Linear;
use fabric_core::Checkpoint;
use half::f16;
use indexmap::{IndexMap, IndexSet};
use smallvec::{SmallVec, smallvec};
use testkit::states::{PATH, fabric, image, linear, weights};

use super::{One, comes_back, loaded, names};

#[test]
#[allow(clippy::zero_sized_map_values, reason = "a map of nothing keeps its keys")]
fn every_container_of_plain_values_comes_back_where_another_one_was() {
    comes_back(&vec![("lr".to_owned(), 0.1), ("eps".to_owned(), 1e-8)], vec![]);
    comes_back(&HashMap::from([(7u32, vec![0.5, 0.25]), (10, vec![])]), HashMap::new());
    comes_back(&Some(Duration::from_secs(3)), None);
    comes_back(&None::<Duration>, Some(Duration::ZERO));
    comes_back(&BTreeMap::from([(DTypeKey(DType::F16), 3u8)]), BTreeMap::new());
    comes_back(&vec![PathBuf::from("a"), PathBuf::from("b/c")], vec![PathBuf::new()]);
    comes_back(&vec![f16::ONE, f16::from_f32(0.1)], vec![]);
    comes_back(&Box::<[u64]>::from([1, 2, 3]), Box::from([9]));
    comes_back(&SmallVec::<[u32; 2]>::from_slice(&[1, 2, 3]), smallvec![9]);
    comes_back(&LinkedList::from([1u8, 2]), LinkedList::new());
    comes_back(&BTreeSet::from(["b".to_owned(), "a".to_owned()]), BTreeSet::new());
    comes_back(&HashSet::from([3i64, -7, 250]), HashSet::from([1]));
    comes_back(&HashSet::from([Some("a".to_owned()), None]), HashSet::new());
    comes_back(&IndexSet::<u32>::from([9, 1, 5]), IndexSet::from([1]));
    comes_back(
        &IndexMap::<String, f64>::from([("z".into(), 0.5), ("a".into(), 1.)]),
        IndexMap::new(),
    );
    comes_back(
        &(1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, 8u8, 9u8),
        (0, 0, 0, 0, 0, 0, 0, 0, 0),
    );
    comes_back(
        &(
            1u8,
            2u16,
            3u32,
            4u64,
            5i8,
            6i16,
            7i32,
            8i64,
            0.5f32,
            0.25f64,
            true,
            "x".to_owned(),
        ),
        (0, 0, 0, 0, 0, 0, 0, 0, 0., 0., false, String::new()),
    );
    comes_back(
        &BTreeMap::from([(NonZero::<u8>::MIN, [Some(1u8), None])]),
        BTreeMap::new(),
    );
    comes_back(&vec![((), 1u8), ((), 2)], vec![]);
    comes_back(&HashMap::from([("a".to_owned(), ())]), HashMap::new());
}

/// A key type of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DTypeKey(DType);

impl PartialOrd for DTypeKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DTypeKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl fabric_core::MapKey for DTypeKey {
    fn text(&self) -> std::borrow::Cow<'_, str> {
        self.0.as_str().into()
    }

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

#[test]
fn every_container_of_components_comes_back_part_by_part() {
    fn part_by_part<T: Checkpoint>(make: impl Fn(u64) -> T, expected: &[&str]) {
        assert_eq!(names(make(1)), expected);
        let found = loaded(make(1), make(50));
        assert_eq!(
            weights(&One { value: found }),
            weights(&One { value: make(1) }),
            "{expected:?}"
        );
    }
    let layer = |seed| linear(seed, 2, 2);
    let pair = ["value.0.bias", "value.0.weight", "value.1.bias", "value.1.weight"];
    part_by_part(|seed| Box::<[Linear]>::from([layer(seed), layer(seed + 1)]), &pair);
    part_by_part(
        |seed| SmallVec::<[Linear; 1]>::from_iter([layer(seed), layer(seed + 1)]),
        &pair,
    );
    part_by_part(|seed| LinkedList::from([layer(seed), layer(seed + 1)]), &pair);
    let keyed = ["value.10.bias", "value.10.weight", "value.9.bias", "value.9.weight"];
    part_by_part(
        |seed| BTreeMap::from([(10u32, layer(seed)), (9, layer(seed + 1))]),
        &keyed,
    );
    part_by_part(
        |seed| HashMap::from([(10i64, layer(seed)), (9, layer(seed + 1))]),
        &keyed,
    );
    part_by_part(
        |seed| IndexMap::<u8, Linear>::from([(10, layer(seed)), (9, layer(seed + 1))]),
        &keyed,
    );
}

#[test]
fn equal_hash_sets_and_heaps_have_equal_bytes_whatever_their_history() {
    let texts: Vec<String> = (0..100).map(|number| format!("sample {number}")).collect();
    let forwards: HashSet<_> = texts.iter().cloned().collect();
    let backwards: HashSet<_> = texts.iter().rev().cloned().collect();
    assert_ne!(
        forwards.iter().collect::<Vec<_>>(),
        backwards.iter().collect::<Vec<_>>(),
        "the two sets must differ in their order"
    );
    assert!(image(&One { value: forwards }) == image(&One { value: backwards }));
    let heap = |numbers: [Reverse<u32>; 5]| {
        let mut heap = BinaryHeap::new();
        heap.extend(numbers);
        heap
    };
    let numbers = [3, 1, 4, 1, 5].map(Reverse);
    let mut reversed = numbers;
    reversed.reverse();
    let (first, second) = (heap(numbers), heap(reversed));
    assert_ne!(first.clone().into_vec(), second.clone().into_vec());
    assert!(image(&One { value: first.clone() }) == image(&One { value: second }));
    let found = loaded(first.clone(), BinaryHeap::new());
    assert_eq!(found.into_sorted_vec(), first.into_sorted_vec());
}

#[test]
fn equal_hash_maps_with_numbers_as_keys_have_equal_bytes() {
    let map = |numbers: Vec<u32>| One {
        value: numbers
            .into_iter()
            .map(|number| (number, number))
            .collect::<HashMap<_, _>>(),
    };
    let numbers: Vec<u32> = (0..100).collect();
    let backwards = numbers.iter().rev().copied().collect();
    assert!(image(&map(numbers)) == image(&map(backwards)));
}

#[derive(Checkpoint, Debug)]
enum Mix {
    None,
    Weighted(IndexMap<String, u32>),
    Named { of: IndexMap<String, u32>, a: u64 },
}

#[test]
fn an_index_map_and_an_index_set_keep_their_order() {
    let order = ["z", "a", "m"];
    let map: IndexMap<String, u32> = order.iter().map(|key| ((*key).to_owned(), 1)).collect();
    let found = loaded(map, IndexMap::from([("a".to_owned(), 2), ("z".to_owned(), 3)]));
    assert_eq!(found.keys().collect::<Vec<_>>(), order);
    let set: IndexSet<String> = order.iter().map(|key| (*key).to_owned()).collect();
    let found = loaded(set, IndexSet::from(["a".to_owned(), "z".to_owned()]));
    assert_eq!(found.iter().collect::<Vec<_>>(), order);
    let map = || order.map(|key| (key.to_owned(), 1)).into();
    for mix in [Mix::Weighted(map()), Mix::Named { of: map(), a: 1 }] {
        let (Mix::Weighted(found) | Mix::Named { of: found, a: 1 }) = loaded(mix, Mix::None) else {
            panic!("the variant has no map")
        };
        assert_eq!(found.keys().collect::<Vec<_>>(), order);
    }
    // A load restores components in place, so the state's own order stays.
    let layers = |keys: [u32; 2]| -> IndexMap<u32, Linear> { keys.map(|key| (key, linear(1, 1, 1))).into() };
    let found = loaded(layers([2, 1]), layers([1, 2]));
    assert_eq!(found.keys().collect::<Vec<_>>(), [&1, &2]);
}

#[test]
fn nothing_has_no_entries() {
    #[derive(Checkpoint)]
    struct Typed<T: ?Sized> {
        step: u64,
        unit: (),
        marker: PhantomData<T>,
    }
    let typed = |step| Typed::<dyn Fn(std::sync::Mutex<Linear>)> {
        step,
        unit: (),
        marker: PhantomData,
    };
    let fabric = fabric();
    fabric.save(PATH, &typed(7)).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["step"]);
    let mut live = typed(0);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    assert_eq!(live.step, 7);
}

#[test]
fn an_option_of_nothing_and_a_list_of_nothing_come_back() {
    comes_back(&Some(()), None);
    comes_back(&None, Some(()));
    comes_back(&vec![(), ()], vec![()]);
    comes_back(&vec![(0.5f64, PhantomData::<Linear>)], vec![]);
}

#[test]
fn a_slice_that_a_view_borrows_is_replaced_item_by_item() {
    let fabric = fabric();
    fabric.save(PATH, &One { value: vec![1u32, 2] }).unwrap();
    let mut owner = [7u32, 8];
    fabric.load(PATH, &mut One { value: &mut owner[..] }).unwrap();
    assert_eq!(owner, [1, 2]);
    let mut longer = [7u32; 3];
    let report = testkit::states::refused(
        &fabric,
        &mut One { value: &mut longer[..] },
        fabric_core::LoadOptions::new(),
    );
    assert!(report.to_string().contains("3 items"), "{report}");
    assert_eq!(longer, [7; 3]);
    let mut layers = [linear(9, 2, 2)];
    fabric
        .save(
            PATH,
            &One {
                value: vec![linear(1, 2, 2)],
            },
        )
        .unwrap();
    fabric.load(PATH, &mut One { value: &mut layers[..] }).unwrap();
    assert_eq!(weights(&layers), weights(&[linear(1, 2, 2)]));
}
