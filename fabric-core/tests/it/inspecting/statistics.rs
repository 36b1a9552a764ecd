//! Statistics and elements, the same in every format.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "a range for each dimension, of which there may be one"
)]

use std::ops::{ControlFlow, Range};

use candle_core::{Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{Element, Error, Fabric, RawCheckpoint, Statistics};
use testkit::files::{holding, on, read};
use testkit::states::tensor;

use super::{every_format, pytorch};

fn bits(found: Statistics) -> [u64; 8] {
    let number = |number: Option<f64>| number.unwrap_or_default().to_bits();
    let Statistics {
        elements,
        nan,
        infinite,
        zeros,
        min,
        max,
        mean,
        norm,
        ..
    } = found;
    [
        elements,
        nan,
        infinite,
        zeros,
        number(min),
        number(max),
        number(mean),
        norm.to_bits(),
    ]
}

fn elements(raw: &RawCheckpoint, name: &str, ranges: &[Range<usize>]) -> Vec<f64> {
    let mut all = Vec::new();
    raw.elements(name, ranges, |elements| {
        all.extend(elements.iter().map(|element| element.to_f64()));
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

#[test]
fn numbers_do_not_depend_on_the_format_and_the_cut_into_files() {
    let (_, opened) = every_format();
    for name in ["column", "row", "both", "rows", "whole", "scalar"] {
        let all: Vec<[u64; 8]> = opened
            .iter()
            .map(|(_, raw)| bits(raw.statistics(name).unwrap()))
            .collect();
        assert!(all.iter().all(|found| *found == all[0]), "{name}: {all:?}");
    }
    let (_, one) = &opened[0];
    let column = one.statistics("column").unwrap();
    assert_eq!(
        (column.elements, column.min, column.max, column.mean),
        (24, Some(3.), Some(26.), Some(14.5))
    );
}

#[test]
fn a_tensor_of_many_blocks_has_the_same_numbers_in_pieces() {
    let fabric = on(Memory::new());
    // 3.4 MB: several blocks of the file, whose ends fall between those of 5 ranks.
    let weight = tensor(5, (1231, 701));
    let state = std::collections::BTreeMap::from([("weight".to_owned(), weight.clone())]);
    fabric.save("one", &state).unwrap();
    fabric
        .reshard("one", "five", fabric_core::Strategy::fsdp().ranks(5))
        .unwrap();
    let found = ["one", "five"].map(|path| fabric.open(path).unwrap().statistics("weight").unwrap());
    assert_eq!(bits(found[0]), bits(found[1]));
    let numbers: Vec<f32> = weight.flatten_all().unwrap().to_vec1().unwrap();
    let exact: f64 = numbers
        .iter()
        .map(|number| f64::from(*number).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!(
        (found[0].norm - exact).abs() < 1e-10 * exact,
        "{} {exact}",
        found[0].norm
    );
}

#[test]
fn a_box_is_the_same_box_in_every_format() {
    let (_, opened) = every_format();
    for ranges in [&[2..6, 1..3][..], &[1..2], &[0..8, 2..3], &[3..3], &[]] {
        let all: Vec<Vec<f64>> = opened.iter().map(|(_, raw)| elements(raw, "column", ranges)).collect();
        let (rows, columns) = (
            ranges.first().cloned().unwrap_or(0..8),
            ranges.get(1).cloned().unwrap_or(0..3),
        );
        let expected: Vec<f64> = rows
            .flat_map(|row| columns.clone().map(move |column| row * 3 + column))
            .map(|at| 3. + f64::from(u32::try_from(at).unwrap()))
            .collect();
        for (found, (name, raw)) in all.iter().zip(&opened) {
            assert_eq!(*found, expected, "{name} {ranges:?}");
            let statistics = raw.statistics_of("column", ranges).unwrap();
            assert_eq!(statistics.elements, expected.len() as u64, "{name} {ranges:?}");
        }
    }
}

#[test]
fn wrong_ranges_names_and_types_are_errors() {
    let (_, opened) = every_format();
    let raw = &opened[0].1;
    for (ranges, says) in [(&[0..9][..], "length 8"), (&[0..1, 0..1, 0..1], "2 dimensions")] {
        let error = raw.statistics_of("column", ranges).unwrap_err();
        assert!(
            matches!(error, Error::Options(_)) && error.to_string().contains(says),
            "{error}"
        );
    }
    #[allow(clippy::reversed_empty_ranges, reason = "it is refused")]
    let error = raw.statistics_of("column", &[5..3]).unwrap_err();
    assert!(matches!(error, Error::Options(_)), "{error}");
    let error = raw.statistics("iteration").unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error}");
    let error = raw.statistics("colum").unwrap_err().to_string();
    assert!(error.contains("did you mean `column`"), "{error}");
}

#[test]
fn every_type_of_pytorch_has_statistics_or_an_error_that_names_it() {
    let mut refused = Vec::new();
    for file in ["dtypes.pt", "more_dtypes.pt", "layouts.pt"] {
        let raw = pytorch(file);
        for name in raw.names().into_iter().filter(|name| raw.info(name).is_some()) {
            let dtype = raw.info(name).unwrap().dtype();
            match raw.statistics(name) {
                Ok(found) => assert_eq!(
                    Some(found.elements),
                    raw.info(name).unwrap().elements().map(|n| n as u64)
                ),
                Err(error) => {
                    assert!(error.to_string().contains(dtype.name()), "{file} {name}: {error}");
                    refused.push(dtype.name());
                }
            }
        }
    }
    assert!(refused.contains(&"C64"), "{refused:?}");
}

#[test]
fn a_flipped_bit_is_an_error_of_statistics() {
    let memory = Memory::new();
    let weight = tensor(1, (64, 64));
    on(memory.clone())
        .save(
            "good",
            &std::collections::BTreeMap::from([("weight".to_owned(), weight)]),
        )
        .unwrap();
    let mut bytes = read(&memory, "good");
    bytes[8192] ^= 4;
    let fabric = on(holding([("bad", bytes)]));
    let raw = fabric.open("bad").unwrap();
    for ranges in [&[][..], &[40..50, 3..4]] {
        let error = raw.statistics_of("weight", ranges).unwrap_err();
        assert!(matches!(error, Error::Checksum { .. }), "{ranges:?}: {error}");
    }
}

#[test]
fn reading_stops_where_the_caller_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.ckpt");
    let weight = Tensor::new(&[1f32, 2., 3.], &Device::Cpu).unwrap();
    let fabric = Fabric::new();
    fabric
        .save(&path, &std::collections::BTreeMap::from([("w".to_owned(), weight)]))
        .unwrap();
    let mut calls = 0;
    let taken = fabric.open(&path).unwrap().elements("w", &[], |elements| {
        calls += 1;
        assert_eq!(elements[0], Element::Single(1.));
        ControlFlow::Break(())
    });
    assert!(taken.is_ok() && calls == 1);
}
