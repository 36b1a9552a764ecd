//! Damage: every flipped bit and every cut is found, with a typed error; places that cannot be written are errors.

use candle_core::{DType, Tensor};
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, SaveOptions};

use crate::states::{CPU, Mlp, PATH, Train, file, image, on, tensor, weights};

#[derive(Checkpoint)]
struct Small {
    weight: Tensor,
    bias: Tensor,
    step: u64,
}

fn small(seed: u64) -> Small {
    Small {
        weight: tensor(seed, (3, 2)),
        bias: tensor(seed, 0),
        step: seed,
    }
}

fn put(storage: &Memory, bytes: &[u8]) {
    let path = std::path::Path::new(PATH);
    storage.create_dir_all(path.parent().unwrap()).unwrap();
    let _ = storage.remove_file(path);
    storage.create(path).unwrap().write_all(bytes).unwrap();
}

fn is_typed(error: &Error) -> bool {
    match error {
        Error::Interrupted { source, .. } => is_typed(source),
        error => matches!(
            error,
            Error::Corrupt { .. } | Error::Checksum { .. } | Error::UnknownFormat { .. } | Error::NewerFormat { .. }
        ),
    }
}

#[test]
fn every_flipped_bit_is_found_and_nothing_is_changed_with_verification_first() {
    let storage = Memory::new();
    let fabric = on(&storage);
    fabric.save(PATH, &small(1)).unwrap();
    let whole = file(&storage, PATH);
    let mut live = small(2);
    let before = weights_and_step(&live);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            put(&storage, &damaged);
            let options = LoadOptions::new().verify_first(true);
            match fabric.load_with(PATH, &mut live, options) {
                Err(error) => assert!(is_typed(&error), "bit {bit} of byte {at}: {error}"),
                Ok(_) => panic!("bit {bit} of byte {at} was not missed"),
            }
        }
    }
    assert_eq!(weights_and_step(&live), before);
}

fn weights_and_step(state: &Small) -> (Vec<u8>, u64) {
    (crate::states::bits(&state.weight), state.step)
}

#[test]
fn every_cut_is_found() {
    let storage = Memory::new();
    let fabric = on(&storage);
    fabric.save(PATH, &small(1)).unwrap();
    let whole = file(&storage, PATH);
    for len in 0..whole.len() {
        put(&storage, &whole[..len]);
        let error = fabric.load(PATH, &mut small(2)).unwrap_err();
        assert!(is_typed(&error), "{len} bytes: {error}");
    }
    put(&storage, &[&whole[..], b"x"].concat());
    assert!(
        is_typed(&fabric.load(PATH, &mut small(2)).unwrap_err()),
        "a stray byte at the end"
    );
    put(&storage, &whole);
    fabric.load(PATH, &mut small(2)).unwrap();
}

#[test]
fn damaged_contents_name_the_entry_the_block_and_what_had_been_written() {
    let storage = Memory::new();
    let fabric = on(&storage);
    fabric.save(PATH, &Train::new(1)).unwrap();
    let whole = file(&storage, PATH);
    let wanted = crate::states::bits(Train::new(1).model.fc2.weight());
    let at = whole.windows(wanted.len()).position(|window| window == wanted).unwrap();
    let mut damaged = whole.clone();
    damaged[at + 5] ^= 0x10;
    put(&storage, &damaged);

    let mut live = Train::new(2);
    let before = image(&live);
    let error = fabric
        .load_with(PATH, &mut live, LoadOptions::new().verify_first(true))
        .unwrap_err();
    assert!(image(&live) == before);
    let start = u64::try_from(at).unwrap();
    let Error::Checksum {
        entry,
        block: 0,
        start: from,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((entry.as_str(), *from), ("model.fc2.weight", start));
    assert!(
        error
            .to_string()
            .contains("is damaged: entry `model.fc2.weight`, block 0"),
        "{error}"
    );

    let error = fabric.load(PATH, &mut live).unwrap_err();
    assert!(is_typed(&error));
    assert_eq!(
        (live.iteration, &live.hparams),
        (203, &Train::new(2).hparams),
        "values come last"
    );
    if let Error::Interrupted { written, .. } = &error {
        assert!(!written.is_empty());
        assert!(error.to_string().contains("LoadOptions::verify_first(true)"), "{error}");
    }
    let undamaged = LoadOptions::new().only(Train::FIELDS.model.then(Mlp::FIELDS.fc1));
    fabric.load_with(PATH, &mut live, undamaged).unwrap();
    assert!(fabric.open(PATH).unwrap().tensor("model.fc2.weight", &CPU).is_err());
}

#[test]
fn a_flip_in_a_later_block_of_a_large_tensor_is_found_by_its_block() {
    let storage = Memory::new();
    let fabric = on(&storage);
    let mut state = Small {
        weight: Tensor::zeros(9 << 20, DType::U8, &CPU).unwrap(),
        ..small(1)
    };
    fabric.save(PATH, &state).unwrap();
    let mut damaged = file(&storage, PATH);
    damaged[2048 + (9 << 20) - 1] ^= 1;
    put(&storage, &damaged);
    let error = fabric
        .load_with(PATH, &mut state, LoadOptions::new().verify_first(true))
        .unwrap_err();
    assert!(
        matches!(&error, Error::Checksum { entry, block, .. } if entry == "weight" && *block > 0),
        "{error}"
    );
}

#[test]
fn a_save_to_a_directory_is_refused_and_leaves_nothing_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let error = Fabric::new().save(directory.path(), &small(1)).unwrap_err().to_string();
    assert!(
        error.contains("is a directory; give the name of a file in it"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_save_below_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    Fabric::new().save(&path, &small(1)).unwrap();
    let error = Fabric::new().save(path.join("inner.ckpt"), &small(2)).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    Fabric::new().load(&path, &mut small(3)).unwrap();
}

#[test]
fn a_state_that_cannot_be_saved_leaves_the_old_checkpoint_and_no_stray_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let fabric = Fabric::new();
    fabric.save(&path, &small(1)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let nothing = SaveOptions::new().filter(Small::FIELDS.weight, |_, _| false);
    fabric.save_with(&path, &small(2), nothing).unwrap_err();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_load_changes_no_file_and_a_path_may_be_anything_that_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let fabric = Fabric::new();
    let path = directory.path().join("größe 🦀.ckpt");
    fabric.save(path.to_str().unwrap(), &Mlp::new(1)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut live = Mlp::new(2);
    fabric.load(path.display().to_string(), &mut live).unwrap();
    fabric.load(&path, &mut live).unwrap();
    fabric.load(path.as_os_str(), &mut live).unwrap();
    assert_eq!(weights(&live), weights(&Mlp::new(1)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn saves_to_one_path_at_the_same_time_leave_one_whole_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let fabric = Fabric::new();
    fabric.save(&path, &Train::new(1)).unwrap();
    std::thread::scope(|scope| {
        for seed in 1..5 {
            let (fabric, path) = (&fabric, &path);
            scope.spawn(move || {
                for _ in 0..5 {
                    fabric.save(path, &Train::new(seed)).unwrap();
                    let mut live = Train::new(seed);
                    fabric.load(path, &mut live).unwrap();
                    let whole = (1..5).any(|seed| weights(&live) == weights(&Train::new(seed)));
                    assert!(whole, "a mixture of two checkpoints");
                }
            });
        }
    });
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        1,
        "files were left behind"
    );
}
