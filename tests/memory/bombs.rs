//! Small files that ask for much memory or time: each is read in proportion to its length, or refused with the bound that it
//! went beyond and the option that raises it.

mod libraries;
mod manifests;
mod names;
mod pickles;
mod tensors;
mod texts;

use fabric_core::testing::Memory;
use fabric_core::{Error, Fabric, RawCheckpoint, Result};
use testkit::allocations::tally;
use testkit::files::on;

/// What every file is given beside 8 times its length.
const GIVEN: usize = 64 << 20;

/// What comes of opening a file of `len` bytes, and, if it opens, of `then`; no more memory was held than such a file is given.
fn in_proportion<T>(
    memory: &Memory,
    path: &str,
    len: usize,
    then: impl FnOnce(RawCheckpoint) -> Result<T>,
) -> Result<T> {
    let fabric = on(memory.clone());
    let (outcome, tally) = tally(|| fabric.open(path).and_then(then));
    // The index and what it is made of are there at the same time.
    let most = 2 * (8 * len + GIVEN);
    assert!(
        tally.peak < most,
        "{tally:?} for {len} bytes, of which {most} may be held"
    );
    outcome
}

/// A fabric that gives files more.
fn generous(memory: &Memory) -> Fabric {
    Fabric::builder()
        .storage(memory.clone())
        .read_limit(4 << 30)
        .build()
        .unwrap()
}

#[track_caller]
fn is_limit(error: &Error) {
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("read_limit(bytes)") && !text.contains("damaged"),
        "{text}"
    );
}
