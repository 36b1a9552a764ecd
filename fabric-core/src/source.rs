//! Everything entries can be read from, behind one trait: own checkpoints and foreign files become an index of named
//! tensors and values, with the places of their bytes.

mod cut;
mod dcp;
pub(crate) mod directory;
mod hub;
pub(crate) mod names;
mod open;
mod open_files;
mod param_groups;
mod pickle;
pub(crate) mod read;
mod single;
mod sorted;
mod torch;
mod window;
mod zip;

pub(crate) use cut::{Cut, Reader};
pub(crate) use directory::is_one as is_directory;
pub(crate) use open::{aside, open};

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use self::read::{in_parallel, threads};
use crate::checksum::Running;
use crate::entry::{Region, TensorInfo, root, strip};
use crate::error::{Result, entries};
use crate::hash::HashSet;
use crate::storage::ReadFile;
use crate::value::Value;

/// A checkpoint or a file of weights, opened: its index is known, its tensors have not been read.
pub(crate) trait Source: Send + Sync + Debug {
    /// The entries and where they lie.
    fn index(&self) -> &Arc<Index>;

    /// One of the files that [`Place::file`] counts.
    fn file(&self, number: usize) -> (&dyn ReadFile, &Path);

    /// What tells this save from others of the same entries, where the index does not.
    fn mark(&self) -> Option<&str> {
        None
    }

    /// The tensor with the true places of its bytes, or of those at least that hold anything of `wanted`. Sources that look
    /// for these only when a tensor is read put [`Check::Framed`] parts into their index; all others give the tensor back
    /// as it is.
    fn locate<'t>(
        &self,
        _entry: &'t str,
        tensor: &'t StoredTensor,
        _wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        Ok(Cow::Borrowed(tensor))
    }

    /// Takes note of bytes that were read of an entry.
    ///
    /// # Errors
    /// If nothing more is to be read.
    fn note_read(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }

    /// The same for many tensors, in their order, by several threads.
    fn locate_all<'t>(&self, sought: &[Sought<'t>]) -> Result<Vec<Cow<'t, StoredTensor>>> {
        let located: Vec<OnceLock<Cow<'t, StoredTensor>>> = sought.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        in_parallel(threads(), || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (sought, found) = (sought.get(at)?, located.get(at)?);
            let tensor = self.locate(sought.entry, sought.stored, sought.wanted.as_ref());
            Some(tensor.map(|tensor| drop(found.set(tensor))))
        })?;
        // Without an error every number was taken, and filled.
        Ok(located.into_iter().filter_map(OnceLock::into_inner).collect())
    }
}

/// A tensor that is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Sought<'t> {
    pub(crate) entry: &'t str,
    pub(crate) stored: &'t StoredTensor,
    /// The box of it that is needed; `None`: all of it.
    pub(crate) wanted: Option<Region>,
}

/// What a source holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// How messages call the source: its path.
    pub(crate) origin: String,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
    pub(crate) values: BTreeMap<String, Value>,
    /// Entries that a filter kept out when the checkpoint was saved.
    pub(crate) filtered: BTreeSet<String>,
    /// The format has no place for values, so that the absence of one says nothing.
    pub(crate) tensors_only: bool,
    /// The version of the schema that it was saved under; 0 if nobody says.
    pub(crate) state_version: u32,
    /// Of tensors that were cut over a mesh: the dimensions, each with the names of axes.
    pub(crate) cuts: BTreeMap<String, Vec<(usize, Vec<String>)>>,
}

impl Index {
    /// All names, tensors before values.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().chain(self.values.keys()).map(String::as_str)
    }

    /// The entry of this name, and its name as the index holds it.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry<'_>> {
        let tensor = self.tensors.get_key_value(name);
        let tensor = tensor.map(|(name, stored)| Entry::Tensor(name, stored));
        let value = || {
            self.values
                .get_key_value(name)
                .map(|(name, value)| Entry::Value(name, value))
        };
        tensor.or_else(value)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.values.contains_key(name)
    }

    /// What is left when the entries of these names are taken.
    pub(crate) fn without(&self, taken: &HashSet<&str>) -> Self {
        fn rest<V: Clone>(entries: &BTreeMap<String, V>, taken: &HashSet<&str>) -> BTreeMap<String, V> {
            let rest = entries.iter().filter(|(name, _)| !taken.contains(name.as_str()));
            rest.map(|(name, entry)| (name.clone(), entry.clone())).collect()
        }
        Self {
            origin: self.origin.clone(),
            tensors: rest(&self.tensors, taken),
            values: rest(&self.values, taken),
            filtered: self.filtered.clone(),
            tensors_only: self.tensors_only,
            state_version: self.state_version,
            cuts: self.cuts.clone(),
        }
    }

    /// A value inside of another: what a map holds under the rest of the name. Keys may have dots themselves.
    pub(crate) fn value_inside(&self, name: &str) -> Option<Value> {
        let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).collect();
        let mut found = dots.iter().rev().filter_map(|&at| {
            let value = self.values.get(&name[..at])?;
            inside(value, &name[at + 1..])
        });
        found.next()
    }

    /// One number for everything that the index says: entries, values, places, checksums. Ranks that have the same number
    /// have opened the same file.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = Running::new();
        for (name, tensor) in &self.tensors {
            digest.update(format!("{name}\n{}\n", tensor.info).as_bytes());
            for part in &tensor.parts {
                let Place { file, start, len } = part.place;
                digest.update(format!("{file} {start} {len} {}\n", part.region).as_bytes());
                match &part.check {
                    Check::Blocks(sums) => sums.iter().for_each(|sum| digest.update(&sum.to_le_bytes())),
                    Check::Run(run) => digest.update(&run.crc32.to_le_bytes()),
                    Check::Nothing | Check::Framed => {}
                }
            }
        }
        for (name, value) in &self.values {
            digest.update(format!("{name}\n").as_bytes());
            digest.update(&value.to_bytes().unwrap_or_default());
        }
        digest.finish()
    }

    /// What this is, for somebody who expected something else.
    pub(crate) fn summary(&self) -> String {
        let roots: BTreeSet<&str> = self.names().map(root).collect();
        let shown: Vec<_> = roots.iter().take(6).map(|name| format!("`{name}`")).collect();
        let more = if roots.len() > shown.len() { ", …" } else { "" };
        format!(
            "it holds {} below {}{more}; if the weights lie below one of these, open the file and load its subtree: \
             fabric.open(path)?.subtree(name).load_raw(&mut model)",
            entries(self.tensors.len() + self.values.len()),
            shown.join(", "),
        )
    }
}

/// What lies in a map under a path of keys, joined by dots. Maps nest no deeper than values may.
fn inside(value: &Value, path: &str) -> Option<Value> {
    value
        .as_map_entries()?
        .into_iter()
        .find_map(|(key, value)| match strip(path, &key)? {
            "" => Some(value),
            rest => inside(&value, rest),
        })
}

/// An entry of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'i> {
    Tensor(&'i str, &'i StoredTensor),
    Value(&'i str, &'i Value),
}

impl<'i> Entry<'i> {
    pub(crate) fn name(self) -> &'i str {
        match self {
            Self::Tensor(name, _) | Self::Value(name, _) => name,
        }
    }

    /// Whether these are one tensor, stored once.
    pub(crate) fn same_place(entries: &[Self]) -> bool {
        let [Self::Tensor(_, first), rest @ ..] = entries else {
            return false;
        };
        let same = |other: &Self| matches!(other, Self::Tensor(_, other) if first.same_contents(other) == Some(true));
        rest.iter().all(same)
    }
}

/// A tensor in a source.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    pub(crate) info: TensorInfo,
    /// Parts that cover the tensor, without overlap.
    pub(crate) parts: Vec<Part>,
}

impl StoredTensor {
    /// Where the parts lie. Tensors of one shape and type with the same places are one tensor: tied, not just equal.
    pub(crate) fn places(&self) -> Vec<(Place, Option<Arrangement>)> {
        self.parts
            .iter()
            .map(|part| (part.place, part.arrangement.clone()))
            .collect()
    }

    /// Whether the places are those of archives around the bytes, which [`Source::locate`] finds.
    pub(crate) fn is_framed(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.check, Check::Framed))
    }

    /// Whether two stored tensors have the same contents; `None` if only reading them can tell.
    pub(crate) fn same_contents(&self, other: &Self) -> Option<bool> {
        if self.info != other.info {
            return Some(false);
        }
        if self.places() == other.places() {
            return Some(true);
        }
        match (&self.parts[..], &other.parts[..]) {
            ([a], [b]) if a.arrangement == b.arrangement => {
                a.check.tells_apart(&b.check, a.is_whole_run() && b.is_whole_run())
            }
            _ => None,
        }
    }
}

/// A box of a tensor, and the place of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) region: Region,
    pub(crate) place: Place,
    pub(crate) check: Check,
    /// How the elements lie in the place; `None`: row-major, little-endian, without gaps.
    pub(crate) arrangement: Option<Arrangement>,
    /// The box of it that is read; `None`: all of it.
    pub(crate) cut: Option<Cut>,
}

/// A run of bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// Elements that do not simply follow each other: views, and numbers of the other byte order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arrangement {
    /// For each dimension of the region, the elements from one index to the next; the place begins at index 0 and ends
    /// with the last element.
    pub(crate) strides: Vec<usize>,
    /// The bytes of a number if they are stored most significant first, else 1.
    pub(crate) swapped: usize,
}

/// How the bytes of a part are known to be those that were saved.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// The format has no checksums.
    Nothing,
    /// One checksum for each block of [`checksum::BLOCK`](crate::checksum::BLOCK) bytes of the part.
    Blocks(Vec<u64>),
    /// One checksum over a run of bytes that the part is, or lies in.
    Run(Arc<CheckedRun>),
    /// Not known yet: the place is that of an archive around the bytes; see [`Source::locate`].
    Framed,
}

/// A run of bytes with a CRC-32 over all of it: a member of a zip archive, shared by all views of it.
#[derive(Debug)]
pub(crate) struct CheckedRun {
    pub(crate) place: Place,
    pub(crate) crc32: u32,
    pub(crate) verified: AtomicBool,
}

impl Check {
    /// Whether equal checks prove that contents are equal, or different ones that they differ.
    fn tells_apart(&self, other: &Self, whole: bool) -> Option<bool> {
        match (self, other) {
            (Self::Blocks(a), Self::Blocks(b)) if a.len() == b.len() && !a.is_empty() => Some(a == b),
            // 32 bits prove a difference, not equality.
            (Self::Run(a), Self::Run(b)) if whole && a.crc32 != b.crc32 => Some(false),
            _ => None,
        }
    }
}

impl Part {
    /// A part whose elements simply follow each other.
    pub(crate) fn plain(region: Region, place: Place, check: Check) -> Self {
        Self {
            region,
            place,
            check,
            arrangement: None,
            cut: None,
        }
    }

    /// Whether the part is all of the run that its checksum covers.
    pub(crate) fn is_whole_run(&self) -> bool {
        matches!(&self.check, Check::Run(run) if run.place == self.place)
    }
}

/// A source whose parts lie in plain files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) index: Arc<Index>,
    pub(crate) files: Vec<(Box<dyn ReadFile>, PathBuf)>,
}

impl Source for Files {
    fn index(&self) -> &Arc<Index> {
        &self.index
    }

    fn file(&self, number: usize) -> (&dyn ReadFile, &Path) {
        let (file, path) = &self.files[number];
        (file.as_ref(), path)
    }
}
