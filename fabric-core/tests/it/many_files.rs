//! Checkpoints of more files than a process may have open.

mod limited;

use std::path::Path;

use candle_core::{Device, Tensor};
use fabric_core::storage::{Local, Storage};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions, Strategy};
use testkit::dcp::Made;
use testkit::files::on;
use testkit::payload::Stored;

use self::limited::Limited;

const FILES: usize = 1500;

/// A usual limit is 1024, and ranks may share it.
const MOST: usize = 256;

#[derive(Checkpoint)]
struct State {
    weight: Tensor,
    bias: Tensor,
    step: u64,
}

impl State {
    fn new(start: u32) -> Self {
        let numbers = |from: u32, rows: usize, columns: usize| {
            let count = u32::try_from(rows * columns).unwrap();
            let numbers: Vec<u32> = (from..from + count).collect();
            Tensor::from_vec(numbers, (rows, columns), &Device::Cpu).unwrap()
        };
        Self {
            weight: numbers(start, FILES, 3),
            bias: numbers(start + 1, FILES, 1),
            step: start.into(),
        }
    }

    fn contents(&self) -> [Vec<Vec<u32>>; 2] {
        [&self.weight, &self.bias].map(|tensor| tensor.to_vec2().unwrap())
    }
}

/// Saves the state, and cuts its tensors over as many ranks as there are files.
fn save(fabric: &Fabric, one: &Path, many: &Path, state: &State) {
    fabric.save(one, state).unwrap();
    let splits = Strategy::fsdp().ranks(FILES);
    fabric.reshard(one, many, splits).unwrap();
}

fn saved() -> Memory {
    let memory = Memory::new();
    save(&on(memory.clone()), Path::new("one"), Path::new("many"), &State::new(7));
    memory
}

#[test]
fn a_directory_of_many_ranks_is_loaded_with_few_files_open() {
    let limited = Limited::new(saved(), MOST);
    for verify in [false, true] {
        let mut state = State::new(0);
        let options = LoadOptions::new().verify_first(verify);
        let loaded = on(limited.clone()).load_with("many", &mut state, options).unwrap();
        assert_eq!((state.contents(), state.step), (State::new(7).contents(), 7));
        assert!(limited.open_now() > 0, "what is open is counted");
        drop(loaded);
        assert_eq!(limited.open_now(), 0);
    }
}

#[test]
fn a_directory_of_many_ranks_becomes_one_file_with_few_files_open() {
    let limited = Limited::new(saved(), MOST);
    let fabric = on(limited);
    fabric.consolidate("many", "again").unwrap();
    let mut state = State::new(0);
    fabric.load("again", &mut state).unwrap();
    assert_eq!(state.contents(), State::new(7).contents());
}

/// The files of a save have names that no later one uses: there is nothing else that could be read.
#[test]
fn a_directory_that_a_later_save_has_replaced_is_not_read_on() {
    let memory = saved();
    let fabric = on(memory);
    let raw = fabric.open("many").unwrap();
    raw.load(&mut State::new(0)).unwrap();
    save(&fabric, Path::new("one"), Path::new("many"), &State::new(900));
    let mut state = State::new(1);
    let error = raw.load(&mut state).unwrap_err();
    assert!(error.to_string().contains("open it again"), "{error}");
    let values = raw.value::<u64>("step").unwrap();
    assert_eq!(values, 7, "the index is that of the old one");
}

/// Weights in one file for each tensor, as a hub would cut them.
fn hub(storage: &dyn Storage, path: &Path) {
    storage.create_dir_all(path).unwrap();
    for number in 0..FILES {
        let bytes = number.to_le_bytes();
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![1], &bytes).unwrap();
        let file = safetensors::serialize([(format!("layer.{number}"), view)], None).unwrap();
        let name = format!("model-{:05}-of-{FILES:05}.safetensors", number + 1);
        storage.create(&path.join(name)).unwrap().write_all(&file).unwrap();
    }
}

fn check_hub(fabric: &Fabric, path: &Path) {
    let raw = fabric.open(path).unwrap();
    for number in (0..FILES).rev() {
        let tensor = raw.tensor(&format!("layer.{number}"), &Device::Cpu).unwrap();
        assert_eq!(tensor.to_vec1::<i64>().unwrap(), [i64::try_from(number).unwrap()]);
    }
}

#[test]
fn weights_in_many_files_are_read_with_few_files_open() {
    let limited = Limited::new(Memory::new(), MOST);
    hub(&limited, Path::new("hub"));
    check_hub(&on(limited), Path::new("hub"));
}

#[test]
fn a_distributed_checkpoint_of_many_ranks_is_read_with_few_files_open() {
    let offsets: Vec<[usize; 2]> = (0..FILES).map(|rank| [rank, 0]).collect();
    let rows: Vec<(&[usize], Stored)> = offsets
        .iter()
        .map(|offset| (&offset[..], Stored::counting(2 * offset[0], &[1, 2])))
        .collect();
    let mut made = Made::new();
    made.tensor("w", &[FILES, 2], &rows);
    let limited = Limited::new(made.storage(), MOST);
    let raw = on(limited.clone()).open("run").unwrap();
    for _ in 0..2 {
        let tensor = raw.tensor("w", &Device::Cpu).unwrap();
        let expected = Stored::counting(0, &[FILES, 2]).elements;
        assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected);
    }
    assert!(limited.open_now() > 0, "what is open is counted");
    drop(raw);
    assert_eq!(limited.open_now(), 0);
}

/// Which of the descriptors of this process lead into a directory.
#[cfg(fabric_linux)]
fn descriptors(directory: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(directory)).count()
}

#[test]
fn many_real_files_are_read_with_few_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let (one, many, hub_path) = (root.join("one"), root.join("many"), root.join("hub"));
    let fabric = on(Local::new());
    hub(&Local::new(), &hub_path);
    check_hub(&fabric, &hub_path);
    save(&fabric, &one, &many, &State::new(7));
    let mut state = State::new(0);
    let loaded = fabric.load(&many, &mut state).unwrap();
    assert_eq!(state.contents(), State::new(7).contents());
    #[cfg(fabric_linux)]
    {
        let open = descriptors(&many);
        assert!((1..=MOST).contains(&open), "{open} descriptors");
    }
    drop(loaded);
}
