//! Tests that a view reads as arrays of numbers would be joined, divided, transposed and reshaped.

mod array;
mod stored;

use proptest::prelude::*;

use self::array::Array;
use self::stored::{Kind, Stored};
use super::*;
use crate::error::{Error, Result as ReadResult};
use crate::io::checksum::BLOCK;
use crate::source::read::{PartialSums, read_into, read_noting, stream};

/// An operation, with numbers that say along which dimensions and where.
type Op = (u8, usize, usize, usize);

/// A view, and the numbers that it shows.
#[derive(Clone, Debug)]
struct Shown {
    view: StoredTensor,
    array: Array,
}

impl Shown {
    /// The outcome of an operation, or the same again if it cannot be carried out.
    fn after(self, (kind, a, b, c): Op, most: usize) -> Self {
        let shape = self.array.shape.clone();
        let (rank, is_small) = (shape.len(), self.array.data.len() * 2 <= most);
        let pick = |number: usize| number % rank.max(1);
        let (view, array) = match kind % 6 {
            0 if rank > 0 => {
                let from = b % (shape[pick(a)] + 1);
                let len = c % (shape[pick(a)] - from + 1);
                (
                    self.view.narrowed(pick(a), from, len),
                    self.array.narrowed(pick(a), from, len),
                )
            }
            1 if rank > 0 => (
                self.view.transposed(pick(a), pick(b)),
                self.array.transposed(pick(a), pick(b)),
            ),
            2 if rank > 0 && shape[pick(a)] > 0 => {
                let index = b % shape[pick(a)];
                (self.view.selected(pick(a), index), self.array.selected(pick(a), index))
            }
            3 => {
                let shape = array::factors(self.array.data.len(), a, b, c);
                (self.view.reshaped(&shape), self.array.reshaped(&shape))
            }
            4 if rank > 0 && is_small => {
                let (dim, len) = (pick(a), b % (shape[pick(a)] + 1));
                let other = Self {
                    view: self.view.narrowed(dim, 0, len).unwrap(),
                    array: self.array.narrowed(dim, 0, len),
                };
                (
                    StoredTensor::concatenated(&[&other.view, &self.view], dim),
                    Array::concatenated(&[&other.array, &self.array], dim),
                )
            }
            5 if rank < 5 && is_small => {
                let dim = a % (rank + 1);
                (
                    StoredTensor::stacked(&[&self.view, &self.view], dim),
                    Array::stacked(&[&self.array, &self.array], dim),
                )
            }
            _ => return self,
        };
        match view {
            Ok(view) => Self { view, array },
            Err(error) if error.contains("into more than") => self,
            Err(error) => panic!("{kind} of {shape:?}: {error}"),
        }
    }
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

fn read(stored: &Stored, view: &StoredTensor) -> ReadResult<Vec<f32>> {
    let mut into = vec![0; view.info.byte_len().unwrap()];
    read_into(stored, "x", view, &mut into, 1)?;
    Ok(numbers(&into))
}

fn streamed(stored: &Stored, view: &StoredTensor) -> ReadResult<Vec<f32>> {
    let (mut bytes, mut is_last) = (Vec::new(), false);
    stream(stored, "x", view, |some| {
        assert!(!is_last && !some.is_empty(), "each call but the last has whole blocks");
        is_last = !some.len().is_multiple_of(BLOCK);
        bytes.extend_from_slice(some);
        Ok(())
    })?;
    Ok(numbers(&bytes))
}

fn check(stored: &Stored, shown: &Shown, (from, len): (usize, usize)) {
    let Shown { view, array } = shown;
    assert_eq!(view.info.shape(), array.shape);
    let regions: Vec<Region> = view.parts.iter().map(|part| part.region.clone()).collect();
    assert_eq!(crate::entry::covers(&array.shape, &regions), Ok(()));
    assert!(read(stored, view).unwrap() == array.data, "read {view:?}");
    assert!(streamed(stored, view).unwrap() == array.data, "streamed {view:?}");
    let (mut region, mut expected) = (Region::whole(&array.shape), array.clone());
    for dim in 0..array.shape.len() {
        let offset = (from >> dim) % (array.shape[dim] + 1);
        let size = (len >> dim) % (array.shape[dim] - offset + 1);
        (region.offset[dim], region.size[dim]) = (offset, size);
        expected = expected.narrowed(dim, offset, size);
    }
    for some in [view.cut_out(&region), view.near(&region).cut_out(&region)] {
        assert!(read(stored, &some).unwrap() == expected.data, "{region} of {view:?}");
        assert!(
            streamed(stored, &some).unwrap() == expected.data,
            "{region} of {view:?}"
        );
    }
    // Two ranks, each with a part of every block.
    if let Some(&len) = array.shape.first() {
        let sums = PartialSums::default();
        for (from, to) in [(0, len / 2), (len / 2, len)] {
            let half = view.narrowed(0, from, to - from).unwrap();
            let mut into = vec![0; half.info.byte_len().unwrap()];
            read_noting(stored, "x", &half, &mut into, 2, &sums).unwrap();
            assert!(numbers(&into) == array.narrowed(0, from, to - from).data);
        }
        sums.finish(stored).unwrap();
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec((0..6u8, 0..1000usize, 0..1000usize, 0..1000usize), 0..6)
}

fn splits() -> impl Strategy<Value = Vec<(usize, usize, Kind)>> {
    prop::collection::vec((0..4usize, 0..1000usize, stored::kind()), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_chain_of_operations_is_what_it_is_on_arrays(
        shape in prop::collection::vec(0..6usize, 0..4), splits in splits(), ops in ops(), some in (any::<usize>(), any::<usize>()),
    ) {
        let array = Array::new(&shape);
        let (stored, view) = Stored::new(&array, &splits);
        let mut shown = Shown { view, array };
        check(&stored, &shown, some);
        for op in ops {
            shown = shown.after(op, 4000);
        }
        check(&stored, &shown, some);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn any_chain_of_operations_on_tensors_of_several_blocks_is_what_it_is_on_arrays(
        shape in prop::sample::select(vec![vec![300_000], vec![700, 900], vec![3, 500, 401], vec![120_001, 5], vec![2, 3, 65_536]]),
        splits in splits(), ops in ops(), some in (any::<usize>(), any::<usize>()),
    ) {
        let array = Array::new(&shape);
        let (stored, view) = Stored::new(&array, &splits);
        let mut shown = Shown { view, array };
        for op in ops {
            // A tensor of many parts is a test of patience.
            let next = shown.clone().after(op, 700_000);
            if next.view.parts.len() < 64 {
                shown = next;
            }
        }
        check(&stored, &shown, some);
    }
}

fn matrix(rows: usize, columns: usize) -> (Stored, Shown) {
    let array = Array::new(&[rows, columns]);
    let (stored, view) = Stored::new(&array, &[(0, 0, Kind::Blocks)]);
    (stored, Shown { view, array })
}

#[test]
fn each_byte_of_a_whole_view_is_read_once() {
    let (stored, shown) = matrix(1000, 1100);
    let Shown { view, array } = &shown;
    let turned = view.transposed(0, 1).unwrap();
    let thirds = [(0, 300), (300, 450), (750, 250)].map(|(from, len)| view.narrowed(0, from, len).unwrap());
    let joined = StoredTensor::concatenated(&thirds.each_ref(), 1);
    assert_eq!(
        joined.unwrap_err(),
        "tensor 1 is F32 [450, 1100], and the first is F32 [300, 1100]; element types and shapes must be equal apart from \
         dimension 1"
    );
    let columns = [(500, 600), (0, 500)].map(|(from, len)| view.narrowed(1, from, len).unwrap());
    let joined = StoredTensor::concatenated(&columns.each_ref(), 1).unwrap();
    let heads = view.reshaped(&[10, 100, 1100]).unwrap().transposed(0, 1).unwrap();
    let heads = heads.reshaped(&[1000, 1100]).unwrap();
    for view in [&turned, &joined, &heads] {
        let before = stored.bytes_read();
        read(&stored, view).unwrap();
        assert_eq!(stored.bytes_read() - before, array.data.len() as u64 * 4, "{view:?}");
    }
}

#[test]
fn rows_of_a_turned_matrix_that_are_joined_are_parts_of_their_own() {
    let (_, shown) = matrix(10, 11);
    let flat = shown.view.transposed(0, 1).unwrap().reshaped(&[110]).unwrap();
    assert_eq!(flat.parts.len(), 11);
}

#[test]
fn views_that_are_stored_parts_have_no_strides() {
    let (_, Shown { view, .. }) = matrix(6, 4);
    let same = [
        view.reshaped(&[2, 3, 4]).unwrap(),
        view.reshaped(&[24]).unwrap().reshaped(&[6, 4]).unwrap(),
        view.transposed(0, 1).unwrap().transposed(1, 0).unwrap(),
        view.reshaped(&[1, 24]).unwrap().transposed(0, 1).unwrap(),
        StoredTensor::stacked(&[&view], 1).unwrap().selected(1, 0).unwrap(),
    ];
    for same in same {
        let [part] = &same.parts[..] else { panic!("{same:?}") };
        assert!(part.arrangement.is_none() && part.cut.is_none(), "{same:?}");
    }
    let (rows, others) = (view.narrowed(0, 0, 3).unwrap(), view.narrowed(0, 3, 3).unwrap());
    assert_ne!(rows.extents(), others.extents(), "two slices are not tied");
    assert_eq!(rows.same_contents(&others), None);
    assert_eq!(rows.same_contents(&rows), Some(true));
}

#[test]
fn a_damaged_byte_is_found_in_every_view_that_shows_its_block() {
    let (stored, Shown { view, .. }) = matrix(1000, 1100);
    let turned = view.transposed(0, 1).unwrap();
    let views = [
        turned.clone(),
        turned.narrowed(0, 7, 1).unwrap(),
        view.reshaped(&[1_100_000]).unwrap().narrowed(0, 300_000, 5).unwrap(),
        StoredTensor::stacked(&[&turned, &turned], 1).unwrap(),
    ];
    let damaged = stored.with_a_flipped_byte(BLOCK + 77);
    for view in views {
        let error = read(&damaged, &view).unwrap_err();
        assert!(matches!(error, Error::Checksum { block: 1, .. }), "{error}");
        assert!(streamed(&damaged, &view).is_err());
    }
    assert!(read(&damaged, &view.narrowed(0, 0, 100).unwrap()).is_ok());
}

#[test]
fn long_views_are_read_by_several_threads() {
    let (stored, Shown { view, array }) = matrix(2100, 2051);
    let turned = (view.transposed(0, 1).unwrap(), array.transposed(0, 1));
    let columns = [(1000, 1051), (0, 1000)];
    let views = columns.map(|(from, len)| view.narrowed(1, from, len).unwrap());
    let arrays = columns.map(|(from, len)| array.narrowed(1, from, len));
    let joined = (
        StoredTensor::concatenated(&views.each_ref(), 1).unwrap(),
        Array::concatenated(&arrays.each_ref(), 1),
    );
    for (view, array) in [turned, joined] {
        for threads in [1, 2, 5] {
            let mut into = vec![0; view.info.byte_len().unwrap()];
            read_into(&stored, "x", &view, &mut into, threads).unwrap();
            assert!(numbers(&into) == array.data, "{threads} threads");
        }
    }
}

#[test]
fn what_cannot_be_viewed_is_said() {
    let (_, Shown { view, .. }) = matrix(6, 4);
    let said = [
        view.transposed(0, 2).unwrap_err(),
        view.narrowed(1, 3, 2).unwrap_err(),
        view.selected(0, 6).unwrap_err(),
        view.reshaped(&[5, 5]).unwrap_err(),
        StoredTensor::stacked(&[&view, &view.transposed(0, 1).unwrap()], 0).unwrap_err(),
        StoredTensor::stacked(&[&view], 3).unwrap_err(),
        StoredTensor::concatenated(&[], 0).unwrap_err(),
    ];
    assert_eq!(
        said,
        [
            "F32 [6, 4] has 2 dimensions, and no dimension 2",
            "dimension 1 has length 4, and 2 indices from 3 on are wanted",
            "dimension 0 has length 6, and 1 indices from 6 on are wanted",
            "F32 [6, 4] cannot have the shape [5, 5], which has another size",
            "tensor 1 is F32 [4, 6], and the first is F32 [6, 4]; element types and shapes must be equal",
            "dimension 3 cannot be new in F32 [6, 4], which has 2",
            "there is no tensor to concatenate",
        ]
    );
    let mut framed = view.clone();
    framed.parts[0].check = crate::source::Check::Framed;
    assert!(framed.transposed(0, 1).is_err());
    let bits = TensorInfo::new(crate::entry::DType::F4, vec![6, 4]);
    assert!(StoredTensor { info: bits, ..view }.reshaped(&[24]).is_err());
}
