//! A storage whose files change, and all ways in which one process or two ranks read from it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor, Var};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::{ReadFile, Storage};
use fabric_core::testing::{Layer, Memory};
use fabric_core::{Checkpoint, Error, ExportOptions, Fabric, LoadOptions, Strategy};
use testkit::files::on;

use super::{COUNT, MARK, ROWS, as_element};

/// A storage in memory whose files change after so many reads: one byte of the element [`MARK`].
#[derive(Clone, Debug)]
pub(super) struct Changing {
    inner: Memory,
    after: usize,
    reads: Arc<AtomicUsize>,
}

impl Layer for Changing {
    fn below(&self) -> &dyn Storage {
        &self.inner
    }

    fn reading(&self, _: &Path, inner: Box<dyn ReadFile>) -> io::Result<Box<dyn ReadFile>> {
        let changes = self.clone();
        Ok(Box::new(ChangingFile { inner, changes }))
    }
}

impl Changing {
    pub(super) fn new(inner: &Memory, after: usize) -> Self {
        Self {
            inner: inner.clone(),
            after,
            reads: Arc::default(),
        }
    }

    pub(super) fn fabric(&self) -> Fabric {
        on(self.clone())
    }
}

#[derive(Debug)]
struct ChangingFile {
    inner: Box<dyn ReadFile>,
    changes: Changing,
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
pub(super) type Read = BTreeMap<String, Vec<u32>>;

fn bits(tensor: &Tensor) -> Vec<u32> {
    let elements = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    elements.into_iter().map(f32::to_bits).collect()
}

/// Reads by `read`, again and again, from a file that changes after each number of reads that there can be; where they are many,
/// after some of these.
pub(super) fn changes_at_every_read(memory: &Memory, name: &str, read: impl Fn(&Changing) -> Result<Read, Error>) {
    let still = Changing::new(memory, usize::MAX);
    let saved = read(&still).unwrap();
    assert!(
        saved.values().any(|bits| bits.contains(&as_element(MARK).to_bits())),
        "{name}: the element is read"
    );
    let reads = still.reads.load(Ordering::Relaxed);
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

pub(super) fn of_all(tensors: &HashMap<String, Tensor>) -> Read {
    tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), bits(tensor)))
        .collect()
}

/// All ways in which one process reads tensors without a state.
pub(super) fn read_raw(memory: &Memory, path: &str, format: &str) {
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
        let read = exported.and_then(|_| on(memory.clone()).open("weights.safetensors")?.tensors(&Device::Cpu));
        let _ = memory.remove_file(Path::new("weights.safetensors"));
        Ok(of_all(&read?))
    });
}

/// A state of one tensor, divided by rows, by columns, or not at all.
macro_rules! state {
    ($name:ident, $($attribute:meta)?) => {
        #[derive(Checkpoint)]
        pub(super) struct $name {
            $(#[$attribute])?
            pub(super) w: Var,
        }

        impl $name {
            pub(super) fn zeros(rows: usize, columns: usize) -> Self {
                let w = Var::zeros((rows, columns), candle_core::DType::F32, &Device::Cpu).unwrap();
                Self { w }
            }

            pub(super) fn read(&self) -> Read {
                Read::from([("w".to_owned(), bits(&self.w))])
            }
        }
    };
}

state!(Whole,);
state!(ByRows, checkpoint(shard(dim = 0)));
state!(ByColumns, checkpoint(shard(dim = 1)));

/// What both ranks of two load by `load`; the error of one of them.
pub(super) fn by_ranks(
    storage: &Changing,
    load: impl Fn(&Fabric) -> Result<Read, Error> + Sync,
) -> Result<Read, Error> {
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
pub(super) fn read_states(memory: &Memory, path: &str, format: &str) {
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
