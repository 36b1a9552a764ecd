//! The storages of a file: the bytes that tensors are views of.

use std::sync::Arc;

use crate::foreign::zip::Member;
use crate::hash::HashMap;
use crate::source::{Check, CheckedRun, Extent};

/// The bytes of one storage.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) place: Extent,
    /// The storage with its checksum, shared by all views.
    run: Option<Arc<CheckedRun>>,
}

impl Storage {
    pub(crate) fn of_member(member: &Member, file: usize) -> Self {
        let place = Extent {
            file,
            start: member.start,
            len: member.len,
        };
        let run = member.crc32.map(|sum| CheckedRun::new(place, sum));
        Self { place, run }
    }

    /// A storage of a format without checksums.
    pub(crate) fn unchecked(place: Extent) -> Self {
        Self { place, run: None }
    }

    pub(crate) fn check(&self) -> Check {
        self.run.clone().map_or(Check::Nothing, Check::Run)
    }
}

/// All storages by key, and the byte order of all of them.
#[derive(Clone, Debug)]
pub(crate) struct Storages {
    by_key: HashMap<Box<str>, Storage>,
    /// Numbers are big-endian.
    pub(crate) swapped: bool,
}

impl Storages {
    pub(crate) fn new(by_key: HashMap<Box<str>, Storage>, swapped: bool) -> Self {
        Self { by_key, swapped }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Storage> {
        self.by_key.get(key)
    }
}
