//! Lent memory that changes while it is read.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use candle_core::Device;
use fabric_core::storage::{ReadFile, Storage};
use fabric_core::testing::{Layer, Memory};
use testkit::files::{on, read};

use super::reading::of_all;
use super::{COUNT, MARK, PATH, ROWS, as_element, saved, torch};

/// A storage that lends memory which another thread writes to all the time.
#[derive(Clone, Debug)]
struct Flipping {
    inner: Memory,
    words: Arc<Vec<AtomicU64>>,
}

impl Layer for Flipping {
    fn below(&self) -> &dyn Storage {
        &self.inner
    }

    fn reading(&self, _: &Path, inner: Box<dyn ReadFile>) -> io::Result<Box<dyn ReadFile>> {
        let words = self.words.clone();
        Ok(Box::new(FlippingFile { inner, words }))
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
        let mut bytes = read(inner, path);
        let mark = [as_element(MARK).to_le_bytes(), as_element(MARK + 1).to_le_bytes()].concat();
        let at = bytes.windows(8).position(|window| window == mark).unwrap();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let words = bytes
            .chunks(8)
            .map(|word| AtomicU64::new(u64::from_ne_bytes(word.try_into().unwrap())));
        let storage = Self {
            inner: inner.clone(),
            words: Arc::new(words.collect()),
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    storage.words[at / 8].fetch_xor(1 << 20, Ordering::Relaxed);
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
        let saved = of_all(&on(memory.clone()).open(PATH).unwrap().tensors(&Device::Cpu).unwrap());
        Flipping::beside(&memory, PATH, |storage| {
            for _ in 0..100 {
                let fabric = on(storage.clone());
                match fabric.open(PATH).and_then(|raw| raw.tensors(&Device::Cpu)) {
                    Ok(found) => assert!(of_all(&found) == saved, "{format}: other contents"),
                    Err(error) => assert!(error.to_string().contains("checksum"), "{format}: {error}"),
                }
            }
        });
    }
}
