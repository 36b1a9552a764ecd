//! Manifests of ours, whose checksums are right: a mesh of many axes, pieces of many lengths, values of many items.
#![expect(clippy::items_after_statements, reason = "a number stands beside its use")]

use candle_core::{DType, Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Result};
use testkit::files::{on, storage};

use super::{generous, in_proportion, is_limit};
use crate::alone;

/// A number as bincode writes it.
fn varint(number: usize) -> Vec<u8> {
    match u8::try_from(number) {
        Ok(small) if small < 251 => vec![small],
        _ => [&[0xfd][..], &(number as u64).to_le_bytes()].concat(),
    }
}

/// The same of a field that is a `u32`.
fn short_varint(number: u32) -> Vec<u8> {
    match (u8::try_from(number), u16::try_from(number)) {
        (Ok(small), _) if small < 251 => vec![small],
        (_, Ok(short)) => [&[0xfb][..], &short.to_le_bytes()].concat(),
        _ => [&[0xfc][..], &number.to_le_bytes()].concat(),
    }
}

fn text(text: &str) -> Vec<u8> {
    [&varint(text.len())[..], text.as_bytes()].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [&varint(items.len())[..], &items.concat()].concat()
}

/// A row of bytes that is cut along its only dimension over some axes; the cut says how long the pieces are.
fn row(name: &str, len: usize, axes: &[usize], cells: &[u8]) -> Vec<u8> {
    let axes: Vec<Vec<u8>> = axes
        .iter()
        .map(|axis| short_varint(u32::try_from(*axis).unwrap()))
        .collect();
    let cut = [varint(0), list(&axes), cells.to_vec()].concat();
    let cuts = if axes.is_empty() { vec![] } else { vec![cut] };
    let (part, digest) = (vec![0], text(""));
    [text(name), text("U8"), list(&[varint(len)]), list(&cuts), part, digest].concat()
}

const BALANCED: &[u8] = &[0];

/// The manifest of a directory; `docs/format.md` describes it.
fn manifest(mesh: &[(String, usize)], tensors: &[Vec<u8>]) -> Vec<u8> {
    let axes: Vec<Vec<u8>> = mesh
        .iter()
        .map(|(name, size)| [text(name), varint(*size)].concat())
        .collect();
    let (directory, rank, none) = (vec![2], vec![0], list(&[]));
    let head = [
        directory,
        text("a test"),
        text("mesh"),
        list(&axes),
        text("g-1"),
        rank,
        none.clone(),
    ]
    .concat();
    let (structs, values, ties, filtered, file, others) =
        (none.clone(), none.clone(), none.clone(), none.clone(), vec![0], none);
    let body = [structs, values, list(tensors), ties, filtered, file, others].concat();
    let lens = [head.len() as u64, body.len() as u64].map(u64::to_le_bytes).concat();
    let mut sealed = [&b"\x89FABRIC\n\x01\0\0\0"[..], &lens].concat();
    for payload in [head, body] {
        sealed.extend(payload);
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &sealed);
        sealed.extend(sum.to_le_bytes());
    }
    sealed
}

/// What comes of reading a tensor of a directory whose files are not there.
fn read(mesh: &[(String, usize)], tensors: &[Vec<u8>]) -> (Memory, Result<()>) {
    let manifest = manifest(mesh, tensors);
    let memory = storage(&[("run/manifest.fabric", &manifest)]);
    let outcome = in_proportion(&memory, "run", manifest.len(), |raw| {
        raw.tensor("t0", &Device::Cpu)?;
        Ok(())
    });
    (memory, outcome)
}

fn axes(count: usize, size: usize) -> Vec<(String, usize)> {
    (0..count).map(|at| (format!("a{at}"), size)).collect()
}

#[test]
fn a_mesh_of_many_axes_of_size_1_costs_no_more_than_its_length() {
    let _alone = alone();
    let (_, outcome) = read(&axes(200_000, 1), &[row("t0", 8, &[], BALANCED)]);
    assert!(matches!(outcome, Err(Error::NotFound { .. })), "{outcome:?}");
    let all: Vec<usize> = (0..200_000).collect();
    let (_, outcome) = read(&axes(200_000, 1), &[row("t0", 8, &all, BALANCED)]);
    assert!(matches!(outcome, Err(Error::NotFound { .. })), "{outcome:?}");
}

#[test]
fn many_tensors_over_many_axes_are_bounded_by_an_option() {
    let _alone = alone();
    let tensors: Vec<Vec<u8>> = (0..5_000).map(|at| row(&format!("t{at}"), 8, &[], BALANCED)).collect();
    let (memory, outcome) = read(&axes(20_000, 1), &tensors);
    is_limit(&outcome.unwrap_err());
    assert_eq!(generous(&memory).open("run").unwrap().len(), 5_000);
}

#[test]
fn tensors_over_every_choice_of_axes_are_dealt_out_in_one_pass() {
    let _alone = alone();
    let choice = |at: usize| (0..16).filter(|axis| at >> axis & 1 == 1).collect::<Vec<usize>>();
    let tensors: Vec<Vec<u8>> = (0..1 << 16)
        .map(|at| row(&format!("t{at}"), 8, &choice(at), BALANCED))
        .collect();
    let (_, outcome) = read(&axes(16, 1), &tensors);
    assert!(matches!(outcome, Err(Error::NotFound { .. })), "{outcome:?}");
}

#[test]
fn a_million_pieces_of_listed_lengths_are_found_at_once() {
    let _alone = alone();
    const PIECES: usize = 1 << 20;
    let cells = [vec![2], varint(PIECES), vec![1; PIECES]].concat();
    let (_, outcome) = read(&axes(1, PIECES), &[row("t0", PIECES, &[0], &cells)]);
    assert!(matches!(outcome, Err(Error::NotFound { .. })), "{outcome:?}");
}

#[derive(Checkpoint)]
struct Flags {
    weight: Tensor,
    flags: Vec<bool>,
}

fn flags(count: usize) -> Flags {
    Flags {
        weight: Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap(),
        flags: (0..count).map(|at| at % 3 == 0).collect(),
    }
}

#[test]
fn values_of_any_number_of_items_are_loaded_as_they_were_saved() {
    let _alone = alone();
    let memory = storage(&[]);
    for count in [1_000_000, 5_000_000] {
        on(memory.clone()).save("some.ckpt", &flags(count)).unwrap();
        let mut state = flags(0);
        on(memory.clone()).load("some.ckpt", &mut state).unwrap();
        assert_eq!(state.flags, flags(count).flags);
    }
}

#[test]
fn a_name_that_no_long_index_has_is_refused_without_comparing_it_with_all() {
    let _alone = alone();
    let tensors: Vec<Vec<u8>> = (0..100_000)
        .map(|at| row(&format!("t{at:0>60}"), 8, &[], BALANCED))
        .collect();
    let manifest = manifest(&axes(1, 2), &tensors);
    let memory = storage(&[("run/manifest.fabric", &manifest)]);
    let raw = on(memory.clone()).open("run").unwrap();
    assert!(matches!(
        raw.tensor(&"x".repeat(60), &Device::Cpu),
        Err(Error::NoSuchEntry { .. })
    ));
}
