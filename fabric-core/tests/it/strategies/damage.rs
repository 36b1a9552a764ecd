//! A damaged directory is an error on every rank, whichever parts of it each of them reads.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, Strategy};

use super::files::{Files, files, holding};
use super::world::{along, numbers, part, run};

const PATH: &str = "run/last";

#[derive(Checkpoint)]
struct Small {
    #[checkpoint(shard(dim = 0))]
    rows: Tensor,
    #[checkpoint(shard(dim = 1))]
    columns: Tensor,
    whole: Tensor,
    #[checkpoint(per_rank)]
    position: Option<u64>,
    step: u64,
}

impl Small {
    fn new(fabric: &Fabric, seed: u16) -> Self {
        let start = f32::from(seed);
        let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp");
        Self {
            rows: part(&numbers(&[5, 2], start), 0, along),
            columns: part(&numbers(&[2, 5], start + 50.), 1, along),
            whole: numbers(&[3], start + 90.),
            position: Some(fabric.rank() as u64),
            step: u64::from(seed),
        }
    }

    fn contents(&self) -> (Vec<Vec<f32>>, Option<u64>, u64) {
        let values = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32");
        let tensors = [&self.rows, &self.columns, &self.whole].map(values);
        (tensors.to_vec(), self.position, self.step)
    }
}

fn saved(ranks: usize, seed: u16) -> Files {
    let storage = Memory::new();
    run(&Strategy::fsdp(), ranks, &storage, |fabric| {
        fabric.save(PATH, &Small::new(fabric, seed)).expect("saved");
    });
    files(&storage, Path::new(PATH))
}

fn rank_files(files: &Files) -> Vec<PathBuf> {
    let ranks = files
        .keys()
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"));
    ranks.cloned().collect()
}

/// Loads on so many ranks what must not load on any: each says `says`, the file's name most often, and keeps its values.
fn refused(files: &Files, ranks: usize, verify_first: bool, says: &str, when: &str) {
    let storage = holding(files);
    run(&Strategy::fsdp(), ranks, &storage, |fabric| {
        let mut state = Small::new(fabric, 900);
        let before = state.contents();
        let options = LoadOptions::new().strict(false).verify_first(verify_first);
        let loaded = fabric.load_with(PATH, &mut state, options);
        let when = format!("{when}, rank {} of {ranks}", fabric.rank());
        let error = loaded
            .err()
            .unwrap_or_else(|| panic!("{when}: loaded {:?}", state.contents()));
        assert!(error.to_string().contains(says), "{when}: {error}");
        let after = state.contents();
        assert_eq!((before.1, before.2), (after.1, after.2), "{when}: values changed");
        if verify_first {
            assert_eq!(before.0, after.0, "{when}: {error}");
        }
        if let Error::Interrupted { written, .. } = &error {
            assert!(!written.is_empty(), "{when}");
        } else {
            assert_eq!(
                before.0, after.0,
                "{when}: tensors changed without being named, {error}"
            );
        }
    });
}

/// Padding is one long run of spaces: some bytes of it are enough to show.
fn is_padding(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b' ' && bytes.get(at + 1) == Some(&b' ') && !at.is_multiple_of(64)
}

#[test]
fn every_flipped_bit_is_an_error_on_every_rank_of_every_world() {
    for writers in [1, 2] {
        let good = saved(writers, 7);
        for (path, bytes) in &good {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            for at in (0..bytes.len()).filter(|&at| !is_padding(bytes, at)) {
                let mut damaged = good.clone();
                damaged.get_mut(path).expect("the file")[at] ^= 1 << (at % 8);
                let ranks = 1 + at % 4;
                for (ranks, verify_first) in [(ranks, false), (3, false), (2, true)] {
                    refused(
                        &damaged,
                        ranks,
                        verify_first,
                        name,
                        &format!("{writers} writers: byte {at} of {name}"),
                    );
                }
            }
        }
    }
}

#[test]
fn every_truncation_is_an_error_on_every_rank() {
    let good = saved(2, 7);
    for (path, bytes) in &good {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        for len in (0..bytes.len()).filter(|&at| !is_padding(bytes, at)).step_by(5) {
            let mut damaged = good.clone();
            damaged.get_mut(path).expect("the file").truncate(len);
            refused(
                &damaged,
                1 + len % 4,
                false,
                name,
                &format!("{name} cut to {len} bytes"),
            );
        }
        let mut longer = good.clone();
        longer.get_mut(path).expect("the file").push(0);
        refused(&longer, 3, false, name, &format!("{name} with a byte more"));
    }
}

#[test]
fn a_file_that_is_missing_or_elsewhere_or_of_another_save_is_an_error_on_every_rank() {
    let (good, other) = (saved(2, 7), saved(2, 8));
    let (ours, theirs) = (rank_files(&good), rank_files(&other));
    for ranks in 1..5 {
        for file in &ours {
            let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
            let mut missing = good.clone();
            missing.remove(file);
            refused(&missing, ranks, false, name, "missing");
        }
        let mut swapped = good.clone();
        swapped.insert(ours[0].clone(), good[&ours[1]].clone());
        swapped.insert(ours[1].clone(), good[&ours[0]].clone());
        refused(&swapped, ranks, false, "it is the part of rank", "swapped");
        let mut copied = good.clone();
        copied.insert(ours[1].clone(), good[&ours[0]].clone());
        refused(&copied, ranks, false, "it is the part of rank 0", "copied");
        let mut foreign = good.clone();
        foreign.insert(ours[1].clone(), other[&theirs[1]].clone());
        refused(&foreign, ranks, false, "of save g-", "of another save");
    }
}

#[test]
fn a_manifest_of_another_save_is_an_error_on_every_rank() {
    let (good, other) = (saved(2, 7), saved(2, 8));
    let manifest = Path::new(PATH).join("manifest.fabric");
    let mut mixed = good.clone();
    mixed.insert(manifest.clone(), other[&manifest].clone());
    for ranks in 1..5 {
        refused(&mixed, ranks, false, "rank-0000", "another manifest");
    }
}

#[test]
fn without_its_manifest_a_directory_is_no_checkpoint() {
    let mut files = saved(2, 7);
    files.remove(&Path::new(PATH).join("manifest.fabric"));
    for ranks in 1..4 {
        refused(&files, ranks, false, PATH, "no manifest");
    }
}

/// Every file is one that other programs open, and says what it is when it is opened by itself.
#[test]
fn the_files_of_ranks_are_safetensors_and_point_to_their_directory() {
    let good = saved(4, 7);
    let ranks = rank_files(&good);
    assert_eq!(ranks.len(), 4);
    let mut elements = 0;
    for file in &ranks {
        let tensors = safetensors::SafeTensors::deserialize(&good[file]).expect("a valid file");
        let own = tensors.iter().filter(|(name, _)| *name != "__fabric__");
        elements += own
            .map(|(_, view)| view.shape().iter().product::<usize>())
            .sum::<usize>();
        let storage = holding(&good);
        let error = super::world::alone(&storage)
            .open(file)
            .expect_err("one rank's part")
            .to_string();
        assert!(
            error.contains("one rank's part") && error.contains("manifest.fabric"),
            "{error}"
        );
    }
    assert_eq!(elements, 10 + 10 + 3, "every element is in one file");
}
