//! `Fabric::verify` finds every damaged place of every kind of checkpoint, and says which bytes have no checksum.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor, Var};
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Checkpoint, Damage, Error, ExportOptions, Fabric, Strategy, VerifyOptions, VerifyReport};
use testkit::files::{fixture, holding, on, read};
use testkit::states::var;

const PATH: &str = "run/last.ckpt";

/// A checksum covers this many bytes.
const BLOCK: usize = 1 << 20;

#[derive(Checkpoint)]
struct Small {
    weight: Var,
    /// Another name of `weight`.
    tied: Var,
    bias: Tensor,
    step: u64,
}

impl Small {
    fn new() -> Self {
        let weight = var(3, (4, 3));
        Self {
            tied: weight.clone(),
            weight,
            bias: Tensor::arange(0u8, 5, &Device::Cpu).expect("memory"),
            step: 7,
        }
    }
}

/// The files of a checkpoint in memory.
type Files = Vec<(PathBuf, Vec<u8>)>;

fn one_file(state: &impl Checkpoint) -> Files {
    let memory = Memory::new();
    on(memory.clone()).save(PATH, state).expect("saved");
    vec![(PATH.into(), read(&memory, PATH))]
}

/// The files of a directory that several ranks wrote.
fn rank_files(state: &impl Checkpoint, ranks: usize) -> Files {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let fabric = Fabric::new();
    fabric.save(at("one"), state).expect("saved");
    let strategy = Strategy::fsdp().ranks(ranks);
    fabric.reshard(at("one"), at("ranks"), strategy).expect("resharded");
    let mut files = Vec::new();
    collect(&at("ranks"), Path::new(PATH), &mut files);
    files.sort();
    files
}

fn collect(from: &Path, to: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            collect(&path, &to, files);
        } else {
            files.push((to, std::fs::read(path).expect("a file")));
        }
    }
}

fn verified(files: &Files) -> fabric_core::Result<VerifyReport> {
    on(holding(files.iter().map(|(path, bytes)| (path, bytes)))).verify(PATH)
}

/// The damage of files that are damaged.
fn damage(files: &Files, when: &str) -> Vec<Damage> {
    let report = verified(files).unwrap_or_else(|error| panic!("{when}: {error}"));
    assert!(!report.is_whole(), "{when}: {report:?}");
    report.damaged
}

#[test]
fn a_whole_checkpoint_is_read_once_and_all_of_it_is_checked() {
    let report = verified(&one_file(&Small::new())).expect("a checkpoint");
    assert!(report.is_whole());
    assert_eq!(
        (report.entries, report.blocks, report.bytes, report.unchecked),
        (4, 2, 4 * 12 + 5, 0)
    );
    let report = verified(&rank_files(&Small::new(), 3)).expect("a checkpoint");
    assert!(report.is_whole());
    assert_eq!((report.entries, report.bytes, report.unchecked), (4, 4 * 12 + 5, 0));
}

#[test]
fn every_flipped_byte_of_every_file_is_found() {
    for good in [one_file(&Small::new()), rank_files(&Small::new(), 2)] {
        for number in 0..good.len() {
            for at in 0..good[number].1.len() {
                if is_padding(&good[number].1, at) {
                    continue;
                }
                let mut files = good.clone();
                let (path, bytes) = &mut files[number];
                bytes[at] ^= 0x10;
                let when = format!("byte {at} of {}", path.display());
                match verified(&files) {
                    Ok(report) => assert!(!report.is_whole(), "{when}: {report:?}"),
                    // The first bytes tell the formats apart.
                    Err(Error::UnknownFormat { .. }) => assert!(at < 8, "{when}"),
                    Err(error) => panic!("{when}: {error}"),
                }
            }
        }
    }
}

/// Padding is one long run of spaces: some bytes of it are enough to show.
fn is_padding(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b' ' && bytes.get(at + 1) == Some(&b' ') && !at.is_multiple_of(64)
}

#[test]
fn every_truncation_of_every_file_is_found() {
    for good in [one_file(&Small::new()), rank_files(&Small::new(), 2)] {
        for number in 0..good.len() {
            for len in (0..good[number].1.len()).step_by(7) {
                let mut files = good.clone();
                files[number].1.truncate(len);
                match verified(&files) {
                    Ok(report) => assert!(!report.is_whole(), "{len}: {report:?}"),
                    Err(Error::UnknownFormat { .. }) => assert_eq!(len, 0),
                    Err(error) => panic!("{len}: {error}"),
                }
            }
        }
    }
}

/// A tensor of three blocks and one of two.
#[derive(Checkpoint)]
struct Large {
    first: Tensor,
    second: Tensor,
}

impl Large {
    fn new() -> Self {
        let of = |bytes: usize| Tensor::ones(bytes / 4, candle_core::DType::F32, &Device::Cpu).expect("memory");
        Self {
            first: of(2 * BLOCK + 400),
            second: of(2 * BLOCK),
        }
    }
}

#[test]
fn all_damaged_blocks_are_named_with_their_bytes() {
    let mut files = one_file(&Large::new());
    let bytes = &mut files[0].1;
    let first = bytes
        .windows(4)
        .position(|four| four == 1f32.to_le_bytes())
        .expect("ones");
    let second = first + 2 * BLOCK + 400;
    for at in [first + 2 * BLOCK + 8, second + BLOCK - 1, second + BLOCK] {
        bytes[at] ^= 1;
    }
    let found = damage(&files, "three flips");
    let places: Vec<_> = found
        .iter()
        .map(|one| (one.entry.as_deref().unwrap_or_default(), one.block, one.bytes.clone()))
        .collect();
    let place = |start: usize, len: usize| Some(start as u64..(start + len) as u64);
    assert_eq!(
        places,
        [
            ("first", Some(2), place(first + 2 * BLOCK, 400)),
            ("second", Some(0), place(second, BLOCK)),
            ("second", Some(1), place(second + BLOCK, BLOCK)),
        ]
    );
    assert!(found.iter().all(|one| one.path == Path::new(PATH)));
    let text = found[0].to_string();
    assert!(
        text.contains(PATH) && text.contains("entry `first`, block 2 (bytes"),
        "{text}"
    );
}

#[test]
fn a_missing_file_of_a_rank_hides_no_damage_in_the_others() {
    let good = rank_files(&Large::new(), 4);
    let ranks: Vec<usize> = (0..good.len()).filter(|at| good[*at].0.ends_with_rank()).collect();
    let [lost, flipped, ..] = ranks[..] else {
        panic!("{ranks:?}")
    };
    let mut files = good.clone();
    let middle = files[flipped].1.len() / 2;
    files[flipped].1[middle] ^= 1;
    let (lost_path, flipped_path) = (files[lost].0.clone(), files[flipped].0.clone());
    files.remove(lost);
    let found = damage(&files, "one lost, one flipped");
    let paths: Vec<&PathBuf> = found.iter().map(|one| &one.path).collect();
    assert_eq!(paths, [&lost_path, &flipped_path], "{found:?}");
    assert!(found[0].what.contains("missing"), "{}", found[0]);
    assert_eq!(found[1].block, Some(0));
    let quick = on(holding(files.iter().map(|(path, bytes)| (path, bytes))))
        .verify_with(PATH, VerifyOptions::new().quick(true))
        .expect("a checkpoint");
    assert_eq!(quick.damaged, found[..1], "the quick look reads no tensors");
    assert_eq!((quick.blocks, quick.bytes), (0, 0));
}

trait OfRank {
    fn ends_with_rank(&self) -> bool;
}

impl OfRank for PathBuf {
    fn ends_with_rank(&self) -> bool {
        self.extension().is_some_and(|extension| extension == "safetensors")
    }
}

#[test]
fn a_file_of_another_save_is_found() {
    let (mut files, other) = (rank_files(&Small::new(), 2), rank_files(&Small::new(), 2));
    let at = files
        .iter()
        .position(|(path, _)| path.ends_with_rank())
        .expect("a rank's file");
    let name = files[at].0.file_name().expect("a name").to_owned();
    let same = other
        .iter()
        .find(|(path, _)| path.ends_with(&name))
        .expect("the same rank's file");
    files[at].1.clone_from(&same.1);
    let found = damage(&files, "of another save");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].what.contains("of save"), "{}", found[0]);
}

#[test]
fn nothing_there_and_no_checkpoint_are_errors_and_no_damage() {
    let memory = holding([("notes.txt", b"try a larger width")]);
    let error = on(memory.clone()).verify("notes.txt").expect_err("a text");
    assert!(matches!(error, Error::UnknownFormat { .. }), "{error}");
    let error = on(memory).verify("nothing").expect_err("nothing");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn a_device_that_fails_is_an_error_and_no_damage() {
    let [(path, bytes)] = &one_file(&Small::new())[..] else {
        panic!()
    };
    let memory = holding([(path, bytes)]);
    let whole = on(memory.clone()).verify(PATH).expect("whole");
    let mut failed = 0;
    for operation in 0..20 {
        let fault = Fault::Error(ErrorKind::PermissionDenied);
        let faulty = Faulty::new(memory.clone()).with_fault(operation, fault);
        match on(faulty).verify(PATH) {
            Ok(report) => assert_eq!(report, whole),
            Err(error) => {
                failed += 1;
                assert!(matches!(error, Error::Io { .. }), "{error}");
            }
        }
    }
    assert!(failed > 2, "{failed}");
}

#[test]
fn checkpoints_of_other_programs_are_verified_as_far_as_they_have_checksums() {
    let fabric = Fabric::new();
    for (name, is_checked) in [
        ("mlp.pt", true),
        ("views_zip.pt", true),
        ("trainer.ckpt", true),
        ("dcp_fsdp2", true),
        ("lightning_sharded", true),
        ("mlp_legacy.pt", false),
        ("views_legacy.pt", false),
        ("no_crc.pt", false),
        ("hub_sharded", false),
        ("hf_fsdp2", false),
    ] {
        let report = fabric
            .verify(fixture(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.is_whole() && report.bytes > 0, "{name}: {report:?}");
        let unchecked = if is_checked { 0 } else { report.bytes };
        assert_eq!(report.unchecked, unchecked, "{name}");
        let path = fixture(name);
        let len = |path: std::path::PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
        let index = len(path.join(".metadata")) + len(path.join("model.safetensors.index.json"));
        if name.ends_with("legacy.pt") {
            assert!(
                (1..=len(path) - report.bytes).contains(&report.unchecked_index),
                "{name}: {report:?}"
            );
        } else {
            assert_eq!(report.unchecked_index, index, "{name}");
        }
    }
}

/// Flips a byte of a tensor in each file of a fixture in turn, and returns the paths that are named.
fn flipped(name: &str, ending: &str) -> BTreeSet<PathBuf> {
    let mut files = Vec::new();
    if fixture(name).is_dir() {
        collect(&fixture(name), Path::new(PATH), &mut files);
    } else {
        files.push((PATH.into(), std::fs::read(fixture(name)).expect("a file")));
    }
    let report = verified(&files).expect("a checkpoint");
    assert!(report.is_whole(), "{report:?}");
    let raw = on(holding(files.iter().map(|(path, bytes)| (path, bytes))))
        .open(PATH)
        .expect("it opens");
    let tensors = raw.tensors(&Device::Cpu).expect("tensors");
    let needles: Vec<Vec<u8>> = tensors.values().filter_map(beginning).collect();
    let mut found = BTreeSet::new();
    for number in 0..files.len() {
        if !files[number].0.to_string_lossy().ends_with(ending) {
            continue;
        }
        let bytes = &files[number].1;
        let at = needles
            .iter()
            .find_map(|needle| bytes.windows(needle.len()).position(|some| some == needle));
        let Some(at) = at else { continue };
        let mut changed = files.clone();
        changed[number].1[at] ^= 1;
        found.extend(damage(&changed, name).into_iter().map(|one| one.path));
    }
    found
}

/// The first bytes of a tensor that says something.
fn beginning(tensor: &Tensor) -> Option<Vec<u8>> {
    let values: Vec<f32> = tensor.flatten_all().ok()?.to_vec1().ok()?;
    let first: Vec<u8> = values.iter().take(4).flat_map(|value| value.to_le_bytes()).collect();
    (first.len() == 16 && values[0] != 0.).then_some(first)
}

#[test]
fn a_flipped_byte_in_a_tensor_of_pytorch_is_found() {
    assert_eq!(flipped("mlp.pt", "").len(), 1);
    assert!(!flipped("dcp_fsdp2", ".distcp").is_empty());
}

#[test]
fn a_missing_file_of_a_set_is_damage_that_is_named() {
    for (name, lost) in [("dcp_fsdp2", "__1_0.distcp"), ("hub_sharded", ".safetensors")] {
        let mut files = Vec::new();
        collect(&fixture(name), Path::new(PATH), &mut files);
        let at = files
            .iter()
            .position(|(path, _)| path.to_string_lossy().ends_with(lost));
        let (path, _) = files.remove(at.expect("a file of this name"));
        let found = damage(&files, name);
        assert_eq!(found.iter().map(|one| &one.path).collect::<Vec<_>>(), [&path], "{name}");
        assert!(found[0].what.contains("missing"), "{}", found[0]);
    }
}

#[test]
fn bytes_that_views_share_are_read_once() {
    for name in ["views_zip.pt", "views_legacy.pt"] {
        let len = std::fs::metadata(fixture(name)).expect("a file").len();
        let report = Fabric::new().verify(fixture(name)).expect("a checkpoint");
        assert!(report.bytes < len, "{name}: {report:?}, and the file has {len}");
    }
}

#[test]
fn an_export_as_safetensors_is_unchecked() {
    let memory = Memory::new();
    let fabric = on(memory);
    fabric.save(PATH, &Small::new()).expect("saved");
    fabric
        .export(PATH, "w.safetensors", ExportOptions::new())
        .expect("exported");
    let report = fabric.verify("w.safetensors").expect("weights");
    assert_eq!((report.bytes, report.unchecked), (2 * 48 + 5, 2 * 48 + 5));
}

#[test]
fn progress_ends_with_all_bytes_and_a_panic_of_the_callback_goes_on() {
    let files = one_file(&Large::new());
    let fabric = on(holding(files.iter().map(|(path, bytes)| (path, bytes))));
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let options = VerifyOptions::new().progress(move |progress| {
        let call = (progress.bytes_done, progress.bytes_in_all);
        seen.lock().expect("no panic").push(call);
    });
    let report = fabric.verify_with(PATH, options).expect("whole");
    let calls = calls.lock().expect("no panic");
    assert!(calls.is_sorted_by(|a, b| a.0 < b.0), "{calls:?}");
    assert_eq!(calls.last(), Some(&(report.bytes, report.bytes)));

    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    let options = VerifyOptions::new().progress(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("a mistake of the caller");
    });
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fabric.verify_with(PATH, options)));
    assert!(outcome.is_err(), "the panic goes on");
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert!(fabric.verify(PATH).expect("it can be called again").is_whole());
}
