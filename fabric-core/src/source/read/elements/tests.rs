//! Tests that every element goes to its place, whatever the strides, and whatever of the file is in memory.

use proptest::prelude::*;

use super::*;
use crate::entry::Region;
use crate::source::{Arrangement, Check, Extent};

/// A box of a tensor, its layout in a file, and the shape of the tensor.
#[derive(Clone, Debug)]
struct Case {
    shape: Vec<usize>,
    region: Region,
    layout: Arrangement,
    item: usize,
}

impl Case {
    /// The places of the elements in the file and in the tensor, in bytes, in the order of the tensor.
    fn places(&self) -> Vec<(usize, usize)> {
        let rows = row_major(&self.shape);
        let mut places = vec![(self.layout.start, 0)];
        for dim in 0..self.shape.len() {
            let (offset, size) = (self.region.offset[dim], self.region.size[dim]);
            let (from, to) = (self.layout.strides[dim], rows[dim]);
            let along = |(a, b): (usize, usize)| (0..size).map(move |i| (a + i * from, b + (offset + i) * to));
            places = places.into_iter().flat_map(along).collect();
        }
        places.iter().map(|(a, b)| (a * self.item, b * self.item)).collect()
    }

    fn part(&self) -> Part {
        let last = self.places().iter().map(|(from, _)| from + self.item).max();
        let place = Extent {
            file: 0,
            start: 0,
            len: last.unwrap_or_default() as u64,
        };
        Part {
            arrangement: Some(self.layout.clone()),
            ..Part::plain(self.region.clone(), place, Check::Nothing)
        }
    }

    fn len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.item
    }
}

fn case() -> impl Strategy<Value = Case> {
    let dim = (1..6usize, 0..3usize, 0..3usize, 0..40usize);
    let some = (
        prop::collection::vec(dim, 0..5),
        any::<bool>(),
        0..5usize,
        0..5u32,
        0..50usize,
        any::<bool>(),
    );
    some.prop_map(|(dims, packed, turn, item, start, swapped)| {
        let size: Vec<usize> = dims.iter().map(|dim| dim.0).collect();
        let mut strides: Vec<usize> = dims.iter().map(|dim| dim.3).collect();
        if packed && !dims.is_empty() {
            // A permutation of a row-major box.
            let turned: Vec<usize> = (0..size.len()).map(|at| size[(at + turn) % size.len()]).collect();
            let rows = row_major(&turned);
            (0..size.len()).for_each(|at| strides[(at + turn) % size.len()] = rows[at]);
        }
        let item = 1 << item;
        Case {
            shape: dims.iter().map(|dim| dim.0 + dim.1 + dim.2).collect(),
            region: Region {
                offset: dims.iter().map(|dim| dim.1).collect(),
                size,
            },
            layout: Arrangement {
                start,
                strides,
                swapped: if swapped { item } else { 1 },
            },
            item,
        }
    })
}

proptest! {
    #[test]
    fn every_element_goes_to_its_place_from_windows_of_any_length(case in case(), window in 1..300usize, threads in 1..4usize) {
        let part = case.part();
        let elements = Elements::of(&part, &case.shape, case.item, case.len()).expect("all lie inside");
        let file: Vec<u8> = (0..part.place.len).map(|at| (at * 31 % 251) as u8).collect();
        let mut expected = vec![0; case.len()];
        for (from, to) in case.places() {
            let into = &mut expected[to..to + case.item];
            into.copy_from_slice(&file[from..from + case.item]);
            if case.layout.swapped > 1 {
                into.reverse();
            }
        }
        let mut found = vec![0; case.len()];
        for (elements, into) in elements.stripes(&mut found, threads) {
            let window = window * case.item;
            for (number, bytes) in file.chunks(window).enumerate() {
                elements.scatter(number * window, bytes, into);
            }
        }
        prop_assert_eq!(&found, &expected);
        // The runs of the file have every byte that is needed, and no other if they are in order.
        let mut runs = elements.file_runs().peekable();
        let mut covered = vec![false; file.len()];
        while let Some(run) = runs.next() {
            covered[run.from..run.from + run.len].fill(true);
            prop_assert!(runs.peek().is_none_or(|next| next.from >= run.from + run.len));
        }
        let mut needed = vec![false; file.len()];
        case.places().iter().for_each(|(from, _)| needed[*from..from + case.item].fill(true));
        prop_assert!(covered.iter().zip(&needed).all(|(covered, needed)| covered >= needed));
        if elements.ascends() {
            prop_assert_eq!(&covered, &needed);
        }
        if elements.is_in_order() {
            let mut found = vec![0; case.len()];
            for run in elements.runs() {
                found[run.to..run.to + run.len].copy_from_slice(&file[run.from..run.from + run.len]);
            }
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn elements_outside_of_the_file_or_the_tensor_are_refused(case in case()) {
        let mut part = case.part();
        prop_assert!(Elements::of(&part, &case.shape, case.item, case.len().saturating_sub(1)).is_none()
            || case.places().iter().all(|(_, to)| to + case.item < case.len()));
        part.place.len -= 1;
        prop_assert!(Elements::of(&part, &case.shape, case.item, case.len()).is_none());
        case.layout.strides.iter().enumerate().for_each(|(dim, _)| {
            let mut part = case.part();
            if let Some(arrangement) = part.arrangement.as_mut().filter(|_| case.region.size[dim] > 1) {
                arrangement.strides[dim] = usize::MAX / 2;
                assert!(Elements::of(&part, &case.shape, case.item, case.len()).is_none());
            }
        });
    }
}
