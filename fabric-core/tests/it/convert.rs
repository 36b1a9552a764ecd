//! Checkpoints become other checkpoints: of other formats, with other element types, in part, or only to see what would be
//! written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::testing::Memory;
use fabric_core::{
    Checkpoint, Error, ExportFormat, ExportOptions, ExportReport, Fabric, RawCheckpoint, ReshardOptions, SaveReport,
    StateError, Strategy,
};
use testkit::files::{fixture, on, read};
use testkit::pickle::{call, global, int, persistent, text, tuple};
use testkit::states::var;

#[derive(Checkpoint)]
struct Inner {
    weight: Var,
    /// Another name of `weight`.
    weight_tied: Var,
    ids: Tensor,
}

#[derive(Checkpoint)]
struct State {
    model: Inner,
    double: Tensor,
    scale: Tensor,
    step: u64,
}

impl State {
    fn new() -> Self {
        let weight = var(3, (300, 5));
        let of = |values: &[f64]| Tensor::new(values, &Device::Cpu).expect("memory");
        Self {
            model: Inner {
                weight_tied: weight.clone(),
                weight,
                ids: Tensor::arange(0u32, 7, &Device::Cpu).expect("memory"),
            },
            double: of(&[1. / 3., -2.5, 1e-3, f64::INFINITY]),
            scale: Tensor::new(1f32 / 3., &Device::Cpu).expect("memory"),
            step: 7,
        }
    }
}

/// A Fabric in memory with a checkpoint of the state at `a`.
fn saved() -> (Fabric, Memory) {
    let memory = Memory::new();
    let fabric = on(memory.clone());
    fabric.save("a", &State::new()).expect("saved");
    (fabric, memory)
}

fn tensors(raw: &RawCheckpoint) -> HashMap<String, Tensor> {
    raw.tensors(&Device::Cpu).expect("tensors")
}

/// The contents of a tensor that candle can print to the last bit.
fn contents(tensor: &Tensor) -> String {
    format!("{:?} {:?} {:x?}", tensor.dtype(), tensor.dims(), bits(tensor))
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    let flat = tensor.flatten_all().expect("it is flat");
    let double = flat.to_dtype(DType::F64).expect("wider");
    let numbers = double.to_vec1::<f64>().expect("one dimension");
    numbers.into_iter().map(f64::to_bits).collect()
}

/// What a conversion writes.
#[derive(Debug, Clone)]
enum Target {
    Own(Strategy),
    Other(ExportFormat),
}

#[derive(Debug, PartialEq)]
enum Report {
    Own(SaveReport),
    Other(ExportReport),
}

impl Target {
    fn all() -> Vec<Self> {
        let own = [
            Strategy::single_device(),
            Strategy::ddp().ranks(2),
            Strategy::fsdp().ranks(3),
        ];
        let other = [ExportFormat::Safetensors, ExportFormat::Torch];
        own.into_iter().map(Self::Own).chain(other.map(Self::Other)).collect()
    }

    fn convert(&self, fabric: &Fabric, from: &Path, to: &Path, how: &How) -> fabric_core::Result<Report> {
        match self {
            Self::Own(strategy) => {
                let mut options = ReshardOptions::new().dry_run(how.dry_run);
                if let Some(dtype) = how.dtype {
                    options = options.dtype(dtype.into());
                }
                if let Some(name) = how.subtree {
                    options = options.subtree(name);
                }
                fabric
                    .reshard_with(from, to, strategy.clone(), options)
                    .map(Report::Own)
            }
            Self::Other(format) => {
                let mut options = ExportOptions::new().format(*format).dry_run(how.dry_run);
                if let Some(dtype) = how.dtype {
                    options = options.dtype(dtype.into());
                }
                if let Some(name) = how.subtree {
                    options = options.subtree(name);
                }
                fabric.export(from, to, options).map(Report::Other)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct How {
    dtype: Option<DType>,
    subtree: Option<&'static str>,
    dry_run: bool,
}

#[test]
fn every_format_becomes_every_other_and_tensors_and_values_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let fabric = Fabric::new();
    fabric.save(at("own"), &State::new()).expect("saved");
    let many = Strategy::fsdp().ranks(2);
    fabric.reshard(at("own"), at("ranks"), many).expect("resharded");
    fabric
        .export(at("own"), at("own.pt"), ExportOptions::new())
        .expect("exported");
    let made = ["own", "ranks", "own.pt"].map(at);
    let fixtures = [
        "mlp.pt",
        "mlp_legacy.pt",
        "views_zip.pt",
        "dcp_fsdp2",
        "hub_sharded",
        "hf_fsdp2",
    ]
    .map(fixture);
    for (number, from) in made.into_iter().chain(fixtures).enumerate() {
        let before = fabric.open(&from).expect("it opens");
        for (kind, target) in Target::all().into_iter().enumerate() {
            let to = at(&format!("{number}-{kind}"));
            let when = format!("{} to {target:?}", from.display());
            let dry = How {
                dry_run: true,
                ..How::default()
            };
            let planned = target
                .convert(&fabric, &from, &to, &dry)
                .unwrap_or_else(|error| panic!("{when}: {error}"));
            assert!(!to.exists(), "{when}: a dry run writes nothing");
            let written = target
                .convert(&fabric, &from, &to, &How::default())
                .expect("it is written");
            assert_eq!(planned, written, "{when}");
            assert_eq!(bytes_at(&to), bytes(&written), "{when}");
            assert!(fabric.verify(&to).expect("a checkpoint").is_whole(), "{when}");
            same(&before, &fabric.open(&to).expect("it opens"), &target, &when);
        }
    }
}

fn same(before: &RawCheckpoint, after: &RawCheckpoint, target: &Target, when: &str) {
    let (mut old, new) = (tensors(before), tensors(after));
    for (name, tensor) in &new {
        let Some(other) = old.remove(name) else {
            let is_known = name.ends_with("num_batches_tracked") || numbers(name);
            assert!(is_known, "{when}: {name}");
            continue;
        };
        assert_eq!(contents(tensor), contents(&other), "{when}: {name}");
    }
    if matches!(target, Target::Other(ExportFormat::Torch)) {
        old.retain(|name, _| !numbers(name));
    }
    assert!(old.is_empty(), "{when}: {:?}", old.keys());
    if matches!(target, Target::Own(_)) {
        for name in before.names() {
            let values = [before, after].map(|raw| raw.stored_value(name).ok());
            assert_eq!(values[0], values[1], "{when}: {name}");
        }
    }
}

/// Optimizers of PyTorch number their parameters.
fn numbers(name: &str) -> bool {
    name.starts_with("optimizer.state.")
}

fn bytes(report: &Report) -> u64 {
    match report {
        Report::Own(report) => report.bytes,
        Report::Other(report) => report.bytes,
    }
}

/// The length of a file, or of all files in a directory.
fn bytes_at(path: &Path) -> u64 {
    if path.is_file() {
        return path.metadata().expect("a file").len();
    }
    let entries = std::fs::read_dir(path).expect("a directory");
    entries.map(|entry| bytes_at(&entry.expect("an entry").path())).sum()
}

#[test]
fn floats_are_converted_as_candle_does_and_nothing_else_is() {
    let state = State::new();
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        for target in Target::all() {
            let (fabric, _) = saved();
            let how = How {
                dtype: Some(dtype),
                ..How::default()
            };
            target
                .convert(&fabric, Path::new("a"), Path::new("b"), &how)
                .expect("converted");
            let raw = fabric.open("b").expect("it opens");
            let found = tensors(&raw);
            for (name, before) in [
                ("model.weight", state.model.weight.as_tensor()),
                ("double", &state.double),
            ] {
                let expected = before.to_dtype(dtype).expect("candle converts");
                assert_eq!(
                    contents(&found[name]),
                    contents(&expected),
                    "{target:?}, {dtype:?}: {name}"
                );
            }
            assert_eq!(contents(&found["model.ids"]), contents(&state.model.ids));
            assert_eq!(
                contents(&found["scale"]),
                contents(&state.scale),
                "a scale keeps its digits"
            );
            if !matches!(target, Target::Other(ExportFormat::Safetensors)) {
                assert_eq!(raw.value::<u64>("step").expect("a value"), 7);
                let read = fabric.verify("b").expect("a checkpoint").bytes;
                let all: usize = found
                    .values()
                    .map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes())
                    .sum();
                assert_eq!(
                    read,
                    (all - 1500 * dtype.size_in_bytes()) as u64,
                    "ties stay: {target:?}"
                );
            }
        }
    }
}

#[test]
fn a_converted_checkpoint_is_the_one_that_the_converted_state_saves() {
    let (fabric, memory) = saved();
    fabric
        .consolidate_with("a", "b", ReshardOptions::new().dtype(fabric_core::DType::F32))
        .expect("converted");
    let mut state = State::new();
    state.double = state.double.to_dtype(DType::F32).expect("candle converts");
    fabric.save("c", &state).expect("saved");
    fabric.consolidate("a", "same").expect("copied");
    assert!(read(&memory, "a") == read(&memory, "same"), "as it is");
    assert!(read(&memory, "b") == read(&memory, "c"));
}

#[test]
fn a_finite_number_that_becomes_infinite_is_named() {
    let memory = Memory::new();
    let fabric = on(memory);
    let large = HashMap::from([
        (
            "large".to_owned(),
            Tensor::new(&[70_000f32, 1.], &Device::Cpu).expect("memory"),
        ),
        (
            "infinite".to_owned(),
            Tensor::new(&[f32::INFINITY, f32::NAN], &Device::Cpu).expect("memory"),
        ),
    ]);
    fabric.save("a", &large).expect("saved");
    for (dtype, names) in [(DType::F16, vec!["large".to_owned()]), (DType::BF16, Vec::new())] {
        for target in Target::all() {
            let how = How {
                dtype: Some(dtype),
                ..How::default()
            };
            let overflowed = match target
                .convert(&fabric, Path::new("a"), Path::new("b"), &how)
                .expect("converted")
            {
                Report::Own(report) => report.overflowed,
                Report::Other(report) => report.overflowed,
            };
            assert_eq!(overflowed, names, "{target:?}, {dtype:?}");
        }
    }
}

#[test]
fn a_subtree_has_its_entries_under_short_names() {
    for target in Target::all() {
        let (fabric, _) = saved();
        let how = How {
            subtree: Some("model"),
            ..How::default()
        };
        target
            .convert(&fabric, Path::new("a"), Path::new("b"), &how)
            .expect("converted");
        assert_eq!(
            fabric.open("b").expect("it opens").names(),
            ["ids", "weight", "weight_tied"],
            "{target:?}"
        );
        let mut model = State::new().model;
        fabric.load_raw("b", &mut model).expect("the model by itself");
        let how = How {
            subtree: Some("modle"),
            ..How::default()
        };
        let error = target
            .convert(&fabric, Path::new("a"), Path::new("c"), &how)
            .expect_err("a mistake");
        assert!(matches!(error, Error::NoSuchEntry { .. }), "{error}");
    }
}

#[test]
fn element_types_that_tensors_are_not_converted_to_are_refused() {
    for target in Target::all() {
        let (fabric, _) = saved();
        let how = How {
            dtype: Some(DType::U8),
            ..How::default()
        };
        let error = target
            .convert(&fabric, Path::new("a"), Path::new("b"), &how)
            .expect_err("no float");
        assert!(matches!(error, Error::Options(_)), "{error}");
        assert!(error.to_string().contains("not to U8"), "{error}");
        assert!(matches!(fabric.open("b"), Err(Error::NotFound { .. })));
    }
}

#[test]
fn damage_in_the_source_and_a_panic_of_the_callback_leave_the_old_checkpoint() {
    let (fabric, memory) = saved();
    fabric.save("old", &State::new()).expect("saved");
    let old = read(&memory, "old");
    for target in Target::all() {
        let panics = |fabric: &Fabric| match &target {
            Target::Own(strategy) => {
                let options = ReshardOptions::new().progress(|_| panic!("a mistake of the caller"));
                fabric.reshard_with("a", "old", strategy.clone(), options).map(drop)
            }
            Target::Other(format) => {
                let options = ExportOptions::new()
                    .format(*format)
                    .progress(|_| panic!("a mistake of the caller"));
                fabric.export("a", "old", options).map(drop)
            }
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panics(&fabric)));
        assert!(outcome.is_err(), "{target:?}: the panic goes on");
        assert!(read(&memory, "old") == old, "{target:?}");
    }
    let mut bytes = read(&memory, "a");
    let at = bytes
        .windows(8)
        .position(|some| some == (-2.5f64).to_le_bytes())
        .expect("a number");
    bytes[at] ^= 1;
    testkit::files::write(&memory, "x/damaged", &bytes);
    for target in Target::all() {
        let how = How {
            dtype: Some(DType::F32),
            ..How::default()
        };
        let error = target
            .convert(&fabric, Path::new("x/damaged"), Path::new("old"), &how)
            .expect_err("damaged");
        assert!(matches!(error, Error::Checksum { .. }), "{target:?}: {error}");
        assert!(read(&memory, "old") == old, "{target:?}");
    }
}

#[test]
fn progress_ends_with_all_bytes() {
    for target in Target::all() {
        let (fabric, _) = saved();
        let calls: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
        let seen = calls.clone();
        let callback = move |progress: &fabric_core::Progress<'_>| {
            seen.lock()
                .expect("no panic")
                .push((progress.bytes_done, progress.bytes_in_all));
        };
        match &target {
            Target::Own(strategy) => {
                let options = ReshardOptions::new().progress(callback);
                fabric.reshard_with("a", "b", strategy.clone(), options).map(drop)
            }
            Target::Other(format) => fabric
                .export("a", "b", ExportOptions::new().format(*format).progress(callback))
                .map(drop),
        }
        .expect("converted");
        let calls = calls.lock().expect("no panic");
        let (done, all) = calls.last().copied().expect("a call");
        assert_eq!(done, all, "{target:?}");
        assert!(all > 0 && calls.is_sorted(), "{target:?}: {calls:?}");
    }
}

/// A module with a value, which bare weights lack.
#[derive(Checkpoint)]
struct Scaled {
    weight: Var,
    factor: f64,
}

#[test]
fn weights_that_had_no_values_need_none_after_the_conversion() {
    let memory = Memory::new();
    let fabric = on(memory);
    let scaled = |factor: f64, seed: u64| Scaled {
        weight: var(seed, 4),
        factor,
    };
    fabric.save("a", &scaled(2., 1)).expect("saved");
    fabric
        .export("a", "bare.safetensors", ExportOptions::new())
        .expect("exported");
    fabric.consolidate("bare.safetensors", "own").expect("converted");
    fabric
        .reshard("own", "ranks", Strategy::fsdp().ranks(2))
        .expect("resharded");
    for path in ["bare.safetensors", "own", "ranks"].map(PathBuf::from) {
        let mut state = scaled(3., 2);
        fabric
            .load_raw(&path, &mut state)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(contents(&state.weight), contents(&scaled(2., 1).weight));
        assert!((state.factor - 3.).abs() < f64::EPSILON, "the value stays");
    }
}

/// A file of PyTorch with bytes that are a tensor of one 8-bit float type, and also a tensor of the other.
fn two_views_of_two_types() -> Vec<u8> {
    let view = |dtype: &str| {
        let storage = [
            text("storage"),
            global("torch.storage", "UntypedStorage"),
            text("0"),
            text("cpu"),
            int(2),
        ];
        let arguments = [
            persistent(&tuple(&storage)),
            int(0),
            tuple(&[int(2)]),
            tuple(&[int(1)]),
            b"\x89".to_vec(),
            b"}".to_vec(),
            global("torch", dtype),
        ];
        call(&global("torch._utils", "_rebuild_tensor_v3"), &arguments)
    };
    let entries = [
        (text("five"), view("float8_e5m2")),
        (text("four"), view("float8_e4m3fn")),
    ];
    testkit::torch::torch(&entries, &[0x3c, 0x44])
}

#[test]
fn views_of_two_element_types_are_two_tensors_after_a_conversion() {
    for target in Target::all() {
        let fabric = on(testkit::files::storage(&[("x/a.pt", &two_views_of_two_types())]));
        let how = How {
            dtype: Some(DType::F32),
            ..How::default()
        };
        target
            .convert(&fabric, Path::new("x/a.pt"), Path::new("b"), &how)
            .unwrap_or_else(|error| panic!("{target:?}: {error}"));
        let converted = tensors(&fabric.open("b").expect("it opens"));
        let numbers = |name: &str| converted[name].to_vec1::<f32>().expect("floats");
        assert_eq!(numbers("five"), [1., 4.], "{target:?}");
        assert_eq!(numbers("four"), [1.5, 3.], "{target:?}");
    }
}

#[test]
fn a_value_with_a_name_that_no_entry_can_have_is_refused_by_its_name() {
    for name in ["a..b", ".", "a.", ".a", "__metadata__", "a\n", "a.@1"] {
        let bytes = testkit::torch::torch(&[(text(name), int(7))], &[]);
        let fabric = on(testkit::files::storage(&[("x/a.pt", &bytes)]));
        for strategy in [Strategy::single_device(), Strategy::fsdp().ranks(3)] {
            let outcome = fabric.reshard("x/a.pt", "b", strategy);
            let Err(error) = outcome else {
                assert_eq!(name, "a.@1", "the name is one of an entry");
                assert_eq!(
                    fabric.open("b").expect("it opens").value::<u64>(name).expect("a value"),
                    7
                );
                continue;
            };
            assert!(
                matches!(error, Error::State(StateError::Name { .. })),
                "{name:?}: {error}"
            );
            let expected = format!("entry name `{}`", name.escape_debug());
            assert!(error.to_string().contains(&expected), "{name:?}: {error}");
        }
    }
}

#[test]
fn a_subtree_that_is_an_entry_is_refused_with_the_subtree_that_holds_it() {
    for target in Target::all() {
        let (fabric, _) = saved();
        for (name, expected) in [
            ("model.weight", "the subtree `model` holds it, as `weight`"),
            ("step", "it lies at the first level"),
        ] {
            let how = How {
                subtree: Some(name),
                ..How::default()
            };
            let error = target
                .convert(&fabric, Path::new("a"), Path::new("b"), &how)
                .expect_err("an entry");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

#[test]
fn entries_that_are_not_read_are_named() {
    for target in Target::all() {
        let fabric = Fabric::new();
        let directory = tempfile::tempdir().expect("a directory");
        let from = fixture("leaf_sparse.pt");
        let unread: Vec<String> = {
            let raw = fabric.open(&from).expect("it opens");
            let is_unread = |name: &&str| {
                raw.stored_value(name)
                    .is_ok_and(|value| value.json().to_string().contains("not_read"))
            };
            raw.names().into_iter().filter(is_unread).map(str::to_owned).collect()
        };
        assert!(!unread.is_empty());
        let outcome = target.convert(&fabric, &from, &directory.path().join("b"), &How::default());
        let named = match (outcome, &target) {
            (Ok(Report::Own(report)), _) => report.not_read,
            (Ok(Report::Other(report)), _) => report.not_read,
            (Err(error), Target::Other(ExportFormat::Torch)) => {
                let error = error.to_string();
                assert!(error.contains(&unread[0]) && error.contains("not read: "), "{error}");
                assert!(error.contains("subtree"), "{error}");
                continue;
            }
            (Err(error), _) => panic!("{target:?}: {error}"),
        };
        assert_eq!(named, unread, "{target:?}");
    }
}
