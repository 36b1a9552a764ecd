//! Files that change while they are read: a load gives what was saved, or an error, and never anything else.

mod through;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use candle_core::{Device, Tensor, Var};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::{ReadFile, Storage};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, ExportOptions, Fabric, LoadOptions, Strategy};
use testkit::dcp::Made;
use testkit::payload::Stored;
use testkit::pickle::{call, dict, global, int, persistent, pickle, text, tuple};
use testkit::zip::zip;

use self::through::{Between, Through};

/// Two elements that follow each other in the files of these tests, in the middle of a row, far from the ends of everything.
const MARK: usize = 300_017;

/// As many elements, counted from 0: several blocks and many pieces.
const COUNT: usize = 600_000;

const ROWS: usize = 600;

fn elements() -> Vec<f32> {
    (0..COUNT).map(as_element).collect()
}

fn as_element(number: usize) -> f32 {
    f32::from_bits(0x4000_0000 + u32::try_from(number).unwrap())
}

/// A storage in memory whose files change after so many reads: one byte of the element [`MARK`].
type Changing = Through<Changes>;

#[derive(Clone, Debug)]
struct Changes {
    after: usize,
    reads: Arc<AtomicUsize>,
}

impl Between for Changes {
    fn file(&self, inner: Box<dyn ReadFile>) -> Box<dyn ReadFile> {
        let changes = self.clone();
        Box::new(ChangingFile { inner, changes })
    }
}

impl Changing {
    fn new(inner: &Memory, after: usize) -> Self {
        let reads = Arc::default();
        Self {
            inner: inner.clone(),
            between: Changes { after, reads },
        }
    }

    fn fabric(&self) -> Fabric {
        Fabric::builder().storage(self.clone()).build().unwrap()
    }
}

#[derive(Debug)]
struct ChangingFile {
    inner: Box<dyn ReadFile>,
    changes: Changes,
}

impl ChangingFile {
    fn change(&self, bytes: &mut [u8]) {
        if self.changes.reads.fetch_add(1, Ordering::Relaxed) < self.changes.after {
            return;
        }
        let mark = [as_element(MARK).to_le_bytes(), as_element(MARK + 1).to_le_bytes()].concat();
        let found = bytes.windows(mark.len()).position(|window| window == mark);
        if let Some(at) = found {
            bytes[at + 1] ^= 0x10;
        }
    }
}

impl ReadFile for ChangingFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = self.inner.read_at(into, offset)?;
        self.change(&mut into[..len]);
        Ok(len)
    }

    fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        self.inner.lend(offset, len, &mut |bytes| {
            let mut bytes = bytes.to_vec();
            self.change(&mut bytes);
            take(&bytes);
        })
    }
}

/// What somebody read, as bits of elements.
type Read = BTreeMap<String, Vec<u32>>;

fn bits(tensor: &Tensor) -> Vec<u32> {
    let elements = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    elements.into_iter().map(f32::to_bits).collect()
}

/// Reads by `read`, again and again, from a file that changes after each number of reads that there can be; where they are many,
/// after some of these.
fn changes_at_every_read(memory: &Memory, name: &str, read: impl Fn(&Changing) -> Result<Read, Error>) {
    let still = Changing::new(memory, usize::MAX);
    let saved = read(&still).unwrap();
    assert!(
        saved.values().any(|bits| bits.contains(&as_element(MARK).to_bits())),
        "{name}: the element is read"
    );
    let reads = still.between.reads.load(Ordering::Relaxed);
    let mut refused = 0;
    for after in (0..=reads).step_by(reads / 16 + 1) {
        match read(&Changing::new(memory, after)) {
            Ok(found) => assert!(found == saved, "{name}: other contents after {after} of {reads} reads"),
            Err(error) => {
                let said = error.to_string();
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(
                    said.contains("checksum") || cause.contains("checksum"),
                    "{name}, after {after} of {reads} reads: {said}: {cause}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "{name}: the change was noticed");
}

const PATH: &str = "last.ckpt";

fn of_all(tensors: &HashMap<String, Tensor>) -> Read {
    tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), bits(tensor)))
        .collect()
}

/// All ways in which one process reads tensors without a state.
fn read_raw(memory: &Memory, path: &str, format: &str) {
    changes_at_every_read(memory, &format!("{format}, all at once"), |storage| {
        Ok(of_all(&storage.fabric().open(path)?.tensors(&Device::Cpu)?))
    });
    changes_at_every_read(memory, &format!("{format}, one after the other, twice"), |storage| {
        let raw = storage.fabric().open(path)?;
        let mut read = Read::new();
        for round in 0..2 {
            for name in raw.names() {
                if raw.info(name).is_some() {
                    read.insert(format!("{name} {round}"), bits(&raw.tensor(name, &Device::Cpu)?));
                }
            }
        }
        Ok(read)
    });
    changes_at_every_read(memory, &format!("{format}, exported"), |storage| {
        let fabric = storage.fabric();
        let exported = fabric.export(path, "weights.safetensors", ExportOptions::new());
        let read = exported.and_then(|_| fabric_of(memory).open("weights.safetensors")?.tensors(&Device::Cpu));
        let _ = memory.remove_file(Path::new("weights.safetensors"));
        Ok(of_all(&read?))
    });
}

fn fabric_of(memory: &Memory) -> Fabric {
    Fabric::builder().storage(memory.clone()).build().unwrap()
}

/// A state of one tensor, divided by rows, by columns, or not at all.
macro_rules! state {
    ($name:ident, $($attribute:meta)?) => {
        #[derive(Checkpoint)]
        struct $name {
            $(#[$attribute])?
            w: Var,
        }

        impl $name {
            fn zeros(rows: usize, columns: usize) -> Self {
                let w = Var::zeros((rows, columns), candle_core::DType::F32, &Device::Cpu).unwrap();
                Self { w }
            }

            fn read(&self) -> Read {
                Read::from([("w".to_owned(), bits(&self.w))])
            }
        }
    };
}

state!(Whole,);
state!(ByRows, checkpoint(shard(dim = 0)));
state!(ByColumns, checkpoint(shard(dim = 1)));

/// What both ranks of two load by `load`; the error of one of them.
fn by_ranks(storage: &Changing, load: impl Fn(&Fabric) -> Result<Read, Error> + Sync) -> Result<Read, Error> {
    let groups = ThreadGroup::with_timeout(2, std::time::Duration::from_secs(20));
    let loads = std::thread::scope(|scope| {
        let ranks = groups.into_iter().map(|group| {
            let builder = Fabric::builder().storage(storage.clone());
            let fabric = builder.strategy(Strategy::fsdp()).process_group(group).build().unwrap();
            let load = &load;
            scope.spawn(move || load(&fabric))
        });
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Vec<_>>()
    });
    // The other rank says that this one has failed.
    let (read, failed): (Vec<_>, Vec<_>) = loads.into_iter().partition(Result::is_ok);
    let own = |error: &Error| {
        let cause = std::error::Error::source(error)
            .map(ToString::to_string)
            .unwrap_or_default();
        error.to_string().contains("checksum") || cause.contains("checksum")
    };
    let mut failed: Vec<Error> = failed.into_iter().filter_map(Result::err).collect();
    failed.sort_by_key(|error| !own(error));
    if let Some(error) = failed.into_iter().next() {
        return Err(error);
    }
    let named = read.into_iter().flatten().enumerate();
    Ok(named
        .flat_map(|(rank, read)| {
            read.into_iter()
                .map(move |(name, bits)| (format!("{name} of {rank}"), bits))
        })
        .collect())
}

/// All ways in which a state is loaded from a file that has `w`.
fn read_states(memory: &Memory, path: &str, format: &str) {
    for verify_first in [false, true] {
        let options = || LoadOptions::new().verify_first(verify_first);
        changes_at_every_read(memory, &format!("{format}, a state, {verify_first}"), |storage| {
            let mut state = Whole::zeros(ROWS, COUNT / ROWS);
            storage.fabric().load_with(path, &mut state, options())?;
            Ok(state.read())
        });
        changes_at_every_read(memory, &format!("{format}, by rows, {verify_first}"), |storage| {
            by_ranks(storage, |fabric| {
                let mut state = ByRows::zeros(ROWS / 2, COUNT / ROWS);
                fabric.load_with(path, &mut state, options())?;
                Ok(state.read())
            })
        });
        changes_at_every_read(memory, &format!("{format}, by columns, {verify_first}"), |storage| {
            by_ranks(storage, |fabric| {
                let mut state = ByColumns::zeros(ROWS, COUNT / ROWS / 2);
                fabric.load_with(path, &mut state, options())?;
                Ok(state.read())
            })
        });
    }
}

fn saved() -> Memory {
    let memory = Memory::new();
    let w = Tensor::from_vec(elements(), (ROWS, COUNT / ROWS), &Device::Cpu).unwrap();
    let state = Whole {
        w: Var::from_tensor(&w).unwrap(),
    };
    fabric_of(&memory).save(PATH, &state).unwrap();
    memory
}

/// A file of `torch.save` with these tensors over one storage: offset, size and strides of each.
fn torch(views: &[(&str, usize, [usize; 2], [usize; 2])]) -> Memory {
    let number = |number: usize| int(i128::try_from(number).unwrap());
    let storage = [
        text("storage"),
        global("torch", "FloatStorage"),
        text("0"),
        text("cpu"),
        number(COUNT),
    ];
    let view = |(name, offset, size, strides): &(&str, usize, [usize; 2], [usize; 2])| {
        let arguments = [
            persistent(&tuple(&storage)),
            number(*offset),
            tuple(&size.map(number)),
            tuple(&strides.map(number)),
            b"\x89".to_vec(),
            call(&global("collections", "OrderedDict"), &[]),
        ];
        (
            text(name),
            call(&global("torch._utils", "_rebuild_tensor_v2"), &arguments),
        )
    };
    let entries: Vec<_> = views.iter().map(view).collect();
    let data: Vec<u8> = elements().iter().flat_map(|element| element.to_le_bytes()).collect();
    let file = zip(&[
        ("data.pkl", &pickle(&dict(&entries))),
        ("byteorder", b"little"),
        ("data/0", &data),
        ("version", b"3\n"),
    ]);
    let memory = Memory::new();
    memory.create(Path::new(PATH)).unwrap().write_all(&file).unwrap();
    memory
}

#[test]
fn a_checkpoint_that_changes_between_two_reads_gives_a_checksum_error() {
    read_raw(&saved(), PATH, "a checkpoint");
    read_states(&saved(), PATH, "a checkpoint");
}

#[test]
fn small_tensors_that_change_between_two_reads_give_a_checksum_error() {
    let memory = Memory::new();
    let small = |number: usize| {
        let elements: Vec<f32> = (0..100).map(|at| as_element(number * 100 + at)).collect();
        let len = elements.len();
        (
            format!("w{number}"),
            Tensor::from_vec(elements, len, &Device::Cpu).unwrap(),
        )
    };
    let state: BTreeMap<String, Tensor> = (MARK / 100 - 3..MARK / 100 + 3).map(small).collect();
    fabric_of(&memory).save(PATH, &state).unwrap();
    read_raw(&memory, PATH, "neighbours");
}

#[test]
fn a_directory_that_changes_between_two_reads_gives_a_checksum_error() {
    let memory = Memory::new();
    let all = Tensor::from_vec(elements(), (ROWS, COUNT / ROWS), &Device::Cpu).unwrap();
    let rows = ROWS / 2;
    let saving = Changing::new(&memory, usize::MAX);
    let groups = ThreadGroup::with_timeout(2, std::time::Duration::from_secs(20));
    std::thread::scope(|scope| {
        for (rank, group) in groups.into_iter().enumerate() {
            let (all, storage) = (&all, saving.clone());
            scope.spawn(move || {
                let part = all.narrow(0, rank * rows, rows).unwrap().copy().unwrap();
                let state = ByRows {
                    w: Var::from_tensor(&part).unwrap(),
                };
                let builder = Fabric::builder().storage(storage).strategy(Strategy::fsdp());
                builder
                    .process_group(group)
                    .build()
                    .unwrap()
                    .save(PATH, &state)
                    .unwrap();
            });
        }
    });
    read_raw(&memory, PATH, "a directory");
    read_states(&memory, PATH, "a directory");
    changes_at_every_read(&memory, "a directory, consolidated", |storage| {
        let done = storage.fabric().consolidate(PATH, "whole.ckpt");
        let read = done.and_then(|_| fabric_of(&memory).open("whole.ckpt")?.tensors(&Device::Cpu));
        let _ = memory.remove_file(Path::new("whole.ckpt"));
        Ok(of_all(&read?))
    });
}

#[test]
fn a_storage_of_pytorch_that_changes_between_two_reads_gives_a_checksum_error() {
    let memory = torch(&[("w", 0, [ROWS, COUNT / ROWS], [COUNT / ROWS, 1])]);
    read_raw(&memory, PATH, "a whole storage");
    read_states(&memory, PATH, "a whole storage");
}

#[test]
fn views_of_one_storage_that_change_between_two_reads_give_a_checksum_error() {
    let columns = COUNT / ROWS;
    let memory = torch(&[
        ("first", 0, [1, 5], [5, 1]),
        ("half", 7, [2, 250_003], [250_003, 1]),
        ("small", MARK - 40, [9, 9], [9, 1]),
        ("transposed", 3, [columns, ROWS - 1], [1, columns]),
        ("sliced", 11, [ROWS - 1, 900], [columns, 1]),
        ("expanded", MARK, [3, 2], [0, 1]),
        ("across", 64, [300, 3], [1, 150_000]),
    ]);
    read_raw(&memory, PATH, "views");
}

#[test]
fn parts_of_a_view_that_change_between_two_reads_give_a_checksum_error() {
    // The last row is left out, so that the tensor is a view.
    let columns = COUNT / ROWS;
    let memory = torch(&[("w", 0, [ROWS - 2, columns], [columns, 1])]);
    for verify_first in [false, true] {
        let options = || LoadOptions::new().verify_first(verify_first);
        changes_at_every_read(&memory, "rows of a view", |storage| {
            by_ranks(storage, |fabric| {
                let mut state = ByRows::zeros((ROWS - 2) / 2, columns);
                fabric.load_with(PATH, &mut state, options())?;
                Ok(state.read())
            })
        });
        changes_at_every_read(&memory, "columns of a view", |storage| {
            by_ranks(storage, |fabric| {
                let mut state = ByColumns::zeros(ROWS - 2, columns / 2);
                fabric.load_with(PATH, &mut state, options())?;
                Ok(state.read())
            })
        });
    }
}

#[test]
fn a_distributed_checkpoint_that_changes_between_two_reads_gives_a_checksum_error() {
    let stored = |from: usize, rows: usize| {
        let mut stored = Stored::counting(0, &[rows, 1]);
        let columns = COUNT / ROWS;
        stored.size = vec![rows, columns];
        stored.strides = vec![columns, 1];
        stored.elements = elements()[from * columns..(from + rows) * columns].to_vec();
        stored
    };
    let mut made = Made::new();
    made.tensor(
        "w",
        &[ROWS, COUNT / ROWS],
        &[(&[0, 0], stored(0, 250)), (&[250, 0], stored(250, 350))],
    );
    let memory = made.storage();
    read_raw(&memory, "run", "a distributed checkpoint");
    read_states(&memory, "run", "a distributed checkpoint");
}

/// A storage that lends memory which another thread writes to all the time.
type Flipping = Through<Words>;

#[derive(Clone, Debug)]
struct Words(Arc<Vec<AtomicU64>>);

impl Between for Words {
    fn file(&self, inner: Box<dyn ReadFile>) -> Box<dyn ReadFile> {
        let words = self.0.clone();
        Box::new(FlippingFile { inner, words })
    }
}

#[derive(Debug)]
struct FlippingFile {
    inner: Box<dyn ReadFile>,
    words: Arc<Vec<AtomicU64>>,
}

impl Flipping {
    /// Lends the file at this path, and calls `work` while one bit of the tensors in it flips.
    fn beside(inner: &Memory, path: &str, work: impl FnOnce(&Self)) {
        let file = inner.open(Path::new(path)).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let mark = [as_element(MARK).to_le_bytes(), as_element(MARK + 1).to_le_bytes()].concat();
        let at = bytes.windows(8).position(|window| window == mark).unwrap();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let words = bytes
            .chunks(8)
            .map(|word| AtomicU64::new(u64::from_ne_bytes(word.try_into().unwrap())));
        let storage = Self {
            inner: inner.clone(),
            between: Words(Arc::new(words.collect())),
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    storage.between.0[at / 8].fetch_xor(1 << 20, Ordering::Relaxed);
                    std::hint::spin_loop();
                }
            });
            let _done = Done(&done);
            work(&storage);
        });
    }
}

/// Ends the other thread, also when the test fails.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl FlippingFile {
    #[expect(unsafe_code, reason = "what a storage that is wrong about its memory does")]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the words are so many bytes. They change, which is what is tested.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }
}

impl ReadFile for FlippingFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(into, offset)
    }

    fn lend(&self, offset: u64, len: usize, take: &mut dyn FnMut(&[u8])) -> bool {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let lent = self.bytes().get(from..).and_then(|bytes| bytes.get(..len));
        lent.map(take).is_some()
    }
}

#[test]
fn lent_memory_that_changes_meanwhile_gives_a_checksum_error_or_what_was_saved() {
    let views = torch(&[("w", 0, [ROWS - 1, COUNT / ROWS], [COUNT / ROWS, 1])]);
    let whole = torch(&[("w", 0, [ROWS, COUNT / ROWS], [COUNT / ROWS, 1])]);
    for (format, memory) in [("a checkpoint", saved()), ("a view", views), ("a storage", whole)] {
        let saved = of_all(&fabric_of(&memory).open(PATH).unwrap().tensors(&Device::Cpu).unwrap());
        Flipping::beside(&memory, PATH, |storage| {
            for _ in 0..100 {
                let fabric = Fabric::builder().storage(storage.clone()).build().unwrap();
                match fabric.open(PATH).and_then(|raw| raw.tensors(&Device::Cpu)) {
                    Ok(read) => assert!(of_all(&read) == saved, "{format}: other contents"),
                    Err(error) => assert!(error.to_string().contains("checksum"), "{format}: {error}"),
                }
            }
        });
    }
}
