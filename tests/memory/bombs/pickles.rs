//! Pickles: objects of one byte, texts that are referred to a million times, and what multiplies itself.

use candle_core::Device;
use fabric_core::{Error, Result};
use testkit::files::storage;
use testkit::pickle::{Bytes, dict, list, pickle, text};
use testkit::torch::{stream, tensor};
use testkit::zip::zip;

use super::{generous, in_proportion, is_limit};
use crate::alone;

const LONG: usize = 4 << 20;

/// Objects of which there are as many as bytes, or nearly.
fn bombs() -> Vec<Bytes> {
    let items = |item: &[u8]| [b"](", &item.repeat(LONG / item.len())[..], b"e"].concat();
    let nested = |open: &[u8], close: &[u8]| [open.repeat(LONG / 2), close.repeat(LONG / 2 - 1)].concat();
    vec![
        items(b"]"),
        items(b"}"),
        items(b"\x8f"),
        items(b"N\x85"),
        items(b"]K\x01a"),
        items(b"\x8c\x01a"),
        items(b"cab\ncd\n"),
        items(b"cbuiltins\ncomplex\n(NNtR"),
        nested(b"]", b"a"),
        [&b"N"[..], &vec![0x85; LONG]].concat(),
        [&b"N"[..], &b"2\x86".repeat(LONG / 2)].concat(),
    ]
}

fn opened(file: &[u8]) -> Result<usize> {
    in_proportion(&storage(&[("bomb.pt", file)]), "bomb.pt", file.len(), |raw| {
        Ok(raw.len())
    })
}

#[test]
fn brackets_take_memory_in_proportion_to_their_number() {
    let _alone = alone();
    for (number, bomb) in bombs().iter().enumerate() {
        let pickle = pickle(&dict(&[(text("bomb"), bomb.clone())]));
        for file in [
            zip(&[("data.pkl", &pickle)]),
            stream(&[(text("bomb"), bomb.clone())], &[]),
        ] {
            match opened(&file) {
                Ok(count) => assert_eq!(count, 1, "bomb {number}"),
                Err(error @ Error::Limit { .. }) => is_limit(&error),
                Err(error) => assert!(matches!(error, Error::UnknownFormat { .. }), "bomb {number}: {error}"),
            }
        }
    }
}

#[test]
fn the_index_of_a_distributed_checkpoint_is_bounded_in_the_same_way() {
    let _alone = alone();
    for bomb in bombs() {
        let metadata = pickle(&dict(&[(text("bomb"), bomb)]));
        let memory = storage(&[("run/.metadata", &metadata)]);
        let error = in_proportion(&memory, "run", metadata.len(), |raw| Ok(raw.len())).unwrap_err();
        assert!(
            matches!(error, Error::Limit { .. } | Error::UnknownFormat { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_long_list_of_flags_is_read_where_the_bound_is_raised() {
    let _alone = alone();
    let flags = [b"](", &vec![0x88; 4_000_000][..], b"e"].concat();
    let file = zip(&[("data.pkl", &pickle(&dict(&[(text("flags"), flags)])))]);
    is_limit(&opened(&file).unwrap_err());
    let raw = generous(&storage(&[("flags.pt", &file)])).open("flags.pt").unwrap();
    assert_eq!(raw.value::<Vec<bool>>("flags").unwrap().len(), 4_000_000);
}

#[test]
fn a_permutation_of_a_million_samples_is_read_as_it_is() {
    let _alone = alone();
    let order: Vec<u8> = (0..1_000_000i32)
        .flat_map(|n| [&b"J"[..], &n.to_le_bytes()].concat())
        .collect();
    let file = zip(&[(
        "data.pkl",
        &pickle(&dict(&[(text("order"), [b"](", &order[..], b"e"].concat())])),
    )]);
    assert_eq!(opened(&file).unwrap(), 1);
}

#[test]
fn a_long_text_that_is_referred_to_again_and_again_is_not_copied_each_time() {
    let _alone = alone();
    let long = "x".repeat(1 << 20);
    let references =
        |object: &[u8], count: usize| [&text(&long)[..], b"q\x000](", &object.repeat(count), b"e"].concat();
    let path = b"cpathlib\nPosixPath\n(h\x00h\x00tR";
    let scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\0\0\0f8tRh\x00tR";
    for object in [&b"h\x00"[..], path, scalar] {
        let pickle = pickle(&dict(&[(text("bomb"), references(object, 100_000))]));
        match opened(&zip(&[("data.pkl", &pickle)])) {
            Ok(_) => assert_eq!(object, scalar),
            Err(error) => is_limit(&error),
        }
    }
}

#[test]
fn the_keys_of_storages_are_not_copied_or_hashed_without_end() {
    let _alone = alone();
    // The older stream lists the storages by name.
    let key = "k".repeat(1 << 20);
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    let keys = [&text(&key)[..], b"q\x000](", &b"h\x00".repeat(1 << 20), b"e"].concat();
    let parts = [magic, pickle(b"M\xe9\x03"), pickle(b"}"), pickle(b"}"), pickle(&keys)];
    assert!(matches!(opened(&parts.concat()), Err(Error::Corrupt { .. })));

    // Many tensors over a storage with a long name.
    let one = tensor(&key, 2, 0, &[2], &[1]);
    let entries = [b"}q\x010", &one[..], b"q\x000h\x01("].concat();
    let many: Vec<u8> = (0..100_000)
        .flat_map(|at| [&text(&at.to_string())[..], b"h\x00"].concat())
        .collect();
    let file = zip(&[("data.pkl", &pickle(&[&entries[..], &many, b"u"].concat()))]);
    assert!(matches!(opened(&file), Err(Error::Corrupt { .. })));
}

#[test]
fn flags_that_many_tensors_share_are_not_looked_through_for_each() {
    let _alone = alone();
    let flags: Vec<u8> = (0..200_000)
        .flat_map(|at| [&text(&at.to_string())[..], b"\x89"].concat())
        .collect();
    let shared = [b"}(", &flags[..], b"uq\x000"].concat();
    let plain = tensor("0", 2, 0, &[2], &[1]);
    // Two more arguments, each the shared dict, in front of the end of the tuple.
    let flagged = [&plain[..plain.len() - 2], b"h\x00h\x00tR"].concat();
    let many: Vec<u8> = (0..20_000)
        .flat_map(|at| [&text(&at.to_string())[..], &flagged].concat())
        .collect();
    let pickle = pickle(&[&shared[..], b"}(", &many, b"u"].concat());
    let file = zip(&[("data.pkl", &pickle), ("data/0", &[0; 8])]);
    assert_eq!(opened(&file).unwrap(), 20_000);
}

#[test]
fn learning_rates_in_tensors_of_many_optimizers_are_gathered_in_one_pass() {
    let _alone = alone();
    let entry = |at: usize| (text(&format!("o{at}.param_groups.0.lr")), tensor("0", 1, 0, &[], &[]));
    let entries: Vec<(Bytes, Bytes)> = (0..20_000).map(entry).collect();
    let file = zip(&[("data.pkl", &pickle(&dict(&entries))), ("data/0", &1f32.to_le_bytes())]);
    let memory = storage(&[("lr.pt", &file)]);
    let count = in_proportion(&memory, "lr.pt", file.len(), |raw| {
        assert!(raw.contains("o7.param_groups"));
        Ok(raw.tensors(&Device::Cpu)?.len())
    });
    assert_eq!(count.unwrap(), 0);
}

#[test]
fn a_list_of_storages_that_is_no_list_is_no_reason_to_stop() {
    let _alone = alone();
    let file = stream(&[(text("t"), tensor("0", 2, 0, &[2], &[1]))], &[0; 8]);
    assert_eq!(opened(&file).unwrap(), 1);
    assert!(opened(&stream(&[(text("t"), list(&[]))], &[0; 8])).is_err());
}
