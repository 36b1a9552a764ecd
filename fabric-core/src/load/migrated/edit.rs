//! An index that is being edited.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::memory::Memory;
use super::optimizers::FileOptimizer;
use super::versions::ByPath;
use super::{Due, Problem};
use crate::entry::{join, strip, without_rank};
use crate::error::MigrationError;
use crate::format::manifest::StructRecord;
use crate::load::raw::RawCheckpoint;
use crate::migrate::{Captures, Pattern};
use crate::source::{Index, Origin, Source, StoredTensor};
use crate::value::Value;

/// An index in the middle of a migration.
#[derive(Clone)]
pub(super) struct Edit<'d> {
    /// The facts about the load.
    pub(super) due: &'d Due<'d>,
    pub(super) index: Index,
    pub(super) source: Arc<dyn Source>,
    /// The optimizers of the file, whose groups are taken apart.
    pub(super) optimizers: Vec<FileOptimizer>,
    /// The structs of the index.
    pub(super) paths: ByPath,
    /// Set by words that drop an optimizer's state, which begins anew.
    pub(super) has_dropped_state: bool,
    /// Set by words that give structs other paths, or take them away.
    pub(super) has_moved_structs: bool,
    /// Tensors that the program made.
    pub(super) memory: Memory,
    /// The places of the tensors in the order of the program that wrote the file.
    places: BTreeMap<String, usize>,
    /// The word that is followed, for the origins of entries.
    word: String,
    /// The error of the word that is followed, without its finding.
    pub(super) refusal: Arc<MigrationError>,
}

/// An entry that is taken out of an index.
pub(super) enum Taken {
    Tensor(StoredTensor),
    Value(Value),
    Filtered,
}

impl<'d> Edit<'d> {
    pub(super) fn new(file: &RawCheckpoint, due: &'d Due<'d>) -> Self {
        let index = (*file.index).clone();
        let order = index.order.iter().enumerate();
        Self {
            places: order.map(|(place, name)| (name.clone(), place)).collect(),
            paths: ByPath::of(&index),
            optimizers: FileOptimizer::all(&index, &due.parameters),
            index,
            source: file.source.clone(),
            due,
            has_dropped_state: false,
            has_moved_structs: false,
            memory: Memory::behind(&*file.source),
            word: String::new(),
            refusal: Arc::default(),
        }
    }

    /// The file with the edited index.
    pub(super) fn finish(mut self) -> RawCheckpoint {
        self.keep_order();
        for optimizer in &self.optimizers {
            optimizer.write(&mut self.index);
        }
        RawCheckpoint {
            source: self.reader(),
            index: Arc::new(self.index),
        }
    }

    /// Gives new tensors the place of the first old one in the order of the program that wrote the file: it numbers the parameters of
    /// PyTorch's optimizers.
    pub(super) fn move_place(&mut self, old: &[String], new: &[String]) {
        let places: Vec<usize> = old.iter().filter_map(|name| self.places.remove(name)).collect();
        if let Some(first) = places.into_iter().min() {
            self.places.extend(new.iter().map(|name| (name.clone(), first)));
        }
    }

    fn keep_order(&mut self) {
        let mut order: Vec<(usize, String)> = std::mem::take(&mut self.places)
            .into_iter()
            .map(|(name, place)| (place, name))
            .collect();
        order.sort();
        self.index.order = order.into_iter().map(|(_, name)| name).collect();
    }

    /// The source of the file, with the tensors that the program has made.
    pub(super) fn reader(&self) -> Arc<dyn Source> {
        self.memory.beside(self.source.clone())
    }

    /// Begins to follow a word.
    pub(super) fn begin(&mut self, refusal: MigrationError) {
        self.word = refusal.word.clone().unwrap_or_default();
        self.refusal = Arc::new(refusal);
    }

    /// The entries, filtered ones too, of which a pattern below `at` is the whole name.
    pub(super) fn whole(&self, at: &str, pattern: &Pattern) -> Vec<(Captures, String)> {
        let beginning = beginning(at, pattern);
        let names = self.beginning_with(&beginning);
        let found = names.filter_map(|name| Some((pattern.whole(below(name, at)?)?, name.to_owned())));
        found.collect()
    }

    /// As [`whole`](Self::whole), and the values of ranks whose name without the rank a pattern below `at` is. The last text is the rank,
    /// `@3`, or empty.
    pub(super) fn whole_of_ranks(&self, at: &str, pattern: &Pattern) -> Vec<(Captures, String, String)> {
        let found = self.start(at, pattern).into_iter();
        found
            .filter(|(_, rest, _)| rest.is_empty() || rest.starts_with('@'))
            .collect()
    }

    /// The entries, filtered ones too, of which a pattern below `at` is the name or a level above, with values of ranks: the texts of the stars, the rest of
    /// the name, and the name.
    pub(super) fn start(&self, at: &str, pattern: &Pattern) -> Vec<(Captures, String, String)> {
        let beginning = beginning(at, pattern);
        let names = self.beginning_with(&beginning);
        let found = names.filter_map(|name| {
            let below = below(name, at)?;
            if let Some((captures, rest)) = pattern.start(below) {
                return Some((captures, rest.to_owned(), name.to_owned()));
            }
            let (plain, _) = without_rank(below).filter(|_| !self.index.tensors.contains_key(name))?;
            let (captures, rest) = pattern.start(plain)?;
            let rank = &below[plain.len()..];
            Some((captures, format!("{rest}{rank}"), name.to_owned()))
        });
        found.collect()
    }

    fn beginning_with(&self, text: &str) -> impl Iterator<Item = &str> {
        fn map<'i, V>(entries: &'i BTreeMap<String, V>, text: &str) -> impl Iterator<Item = &'i str> + use<'i, V> {
            let (from, text) = (Bound::Included(text), text.to_owned());
            let entries = entries.range::<str, _>((from, Bound::Unbounded));
            entries
                .map(|(name, _)| name.as_str())
                .take_while(move |name| name.starts_with(&text))
        }
        let set = self
            .index
            .filtered
            .range::<str, _>((Bound::Included(text), Bound::Unbounded));
        let (tensors, values) = (map(&self.index.tensors, text), map(&self.index.values, text));
        let text = text.to_owned();
        let filtered = set.map(String::as_str).take_while(move |name| name.starts_with(&text));
        tensors.chain(values).chain(filtered)
    }

    pub(super) fn is_filtered(&self, name: &str) -> bool {
        self.index.filtered.contains(name)
    }

    /// Takes an entry out of the index. Its origin goes with it.
    pub(super) fn take(&mut self, name: &str) -> Option<(Taken, Origin)> {
        let taken = if let Some(tensor) = self.index.tensors.remove(name) {
            Taken::Tensor(tensor)
        } else if let Some(value) = self.index.values.remove(name) {
            Taken::Value(value)
        } else if self.index.filtered.remove(name) {
            Taken::Filtered
        } else {
            return None;
        };
        Some((taken, self.take_origin(name)))
    }

    /// The entries of the file that an entry was made of: by default itself.
    pub(super) fn take_origin(&mut self, name: &str) -> Origin {
        let known = self.index.edits.origins.remove(name);
        known.unwrap_or_else(|| Origin {
            from: vec![name.to_owned()],
            words: Vec::new(),
        })
    }

    /// Puts an entry under a new name, and adds the present word to its origin.
    pub(super) fn put(&mut self, name: &str, taken: Taken, mut origin: Origin) -> Result<(), Problem> {
        if name.is_empty() {
            let from = origin.from.first().cloned().unwrap_or_default();
            return Err(Problem::Clause(format!("`{from}` would have no name; name a level")));
        }
        if self.index.contains(name) || self.is_filtered(name) {
            return Err(Problem::Clause(format!(
                "two entries would have the name `{name}`; write .remove({name:?}) before the word, or give another name"
            )));
        }
        origin.words.push(self.word.clone());
        self.index.edits.origins.insert(name.to_owned(), origin);
        match taken {
            Taken::Tensor(tensor) => drop(self.index.tensors.insert(name.to_owned(), tensor)),
            Taken::Value(value) => drop(self.index.values.insert(name.to_owned(), value)),
            Taken::Filtered => drop(self.index.filtered.insert(name.to_owned())),
        }
        Ok(())
    }

    /// Gives every entry that a pattern finds, and every struct there, a new name. Returns the new names.
    pub(super) fn rename(&mut self, at: &str, from: &Pattern, to: &Pattern) -> Result<Vec<String>, Problem> {
        let renamed =
            |captures: &Captures, rest: &str| join(at, format!("{}{rest}", to.with(captures)).trim_start_matches('.'));
        let found = self.start(at, from);
        let mut moved = Vec::with_capacity(found.len());
        for (captures, rest, name) in &found {
            let new = renamed(captures, rest);
            let cast = self.index.edits.casts.remove(name);
            let cut = self.index.cuts.remove(name);
            if let Some((taken, origin)) = self.take(name) {
                moved.push((name, new, taken, origin, cast, cut));
            }
        }
        let mut all = self.index.edits.rename_declared(at, from, to);
        let mut parameters = Vec::new();
        for (name, new, taken, origin, cast, cut) in moved {
            match &taken {
                Taken::Tensor(_) => {
                    self.move_place(std::slice::from_ref(name), std::slice::from_ref(&new));
                    parameters.push((name.clone(), new.clone()));
                }
                Taken::Value(_) => self.rename_optimizer(name, &new),
                Taken::Filtered => {}
            }
            self.put(&new, taken, origin)?;
            all.push(new.clone());
            self.index.edits.casts.extend(cast.map(|info| (new.clone(), info)));
            self.index.cuts.extend(cut.map(|cut| (new, cut)));
        }
        // The optimizers have their new names by now.
        self.rename_parameters(&parameters)?;
        self.rename_structs(at, from, to);
        Ok(all)
    }

    /// Says that the entries below the names of a pattern are those of a version of their struct.
    pub(super) fn declare_version(&mut self, at: &str, name: &Pattern, version: u32) -> usize {
        let found = self.start(at, name).into_iter();
        let level = |(_, rest, name): (_, String, String)| name[..name.len() - rest.len()].to_owned();
        let levels: BTreeSet<String> = found.filter(|(_, rest, _)| rest.starts_with('.')).map(level).collect();
        let count = levels.len();
        self.index.structs.retain(|record| !levels.contains(&record.path));
        self.index.structs.extend(levels.into_iter().map(|path| StructRecord {
            path,
            name: String::new(),
            version,
        }));
        self.restructured();
        count
    }

    /// Finds the paths of structs again, after some came or went.
    pub(super) fn restructured(&mut self) {
        self.paths = ByPath::of(&self.index);
        self.has_moved_structs = true;
    }

    /// `proj.*` moves the struct `proj` too. If a call moves the whole file below a level, the outermost struct is that level.
    fn rename_structs(&mut self, at: &str, from: &Pattern, to: &Pattern) {
        let is_whole = at.is_empty() && from.as_str() == "*" && self.refusal.version.is_none();
        if let Some(level) = to
            .as_str()
            .strip_suffix(".*")
            .filter(|level| is_whole && !level.contains('*'))
        {
            for record in &mut self.index.structs {
                record.path = join(level, &record.path);
            }
            self.restructured();
            return;
        }
        let levels = from.as_str().strip_suffix(".*").zip(to.as_str().strip_suffix(".*"));
        let levels = levels.map(|(from, to)| (Pattern::new(from), Pattern::new(to)));
        let pairs: Vec<(&Pattern, &Pattern)> = [(from, to)]
            .into_iter()
            .chain(levels.as_ref().map(|(from, to)| (from, to)))
            .collect();
        let moved = |record: &StructRecord| {
            let below = below(&record.path, at)?;
            pairs.iter().find_map(|(from, to)| {
                let (captures, rest) = from.start(below)?;
                Some(join(
                    at,
                    format!("{}{rest}", to.with(&captures)).trim_start_matches('.'),
                ))
            })
        };
        let renamed = self.paths.below(at).filter_map(|number| {
            let record = &self.index.structs[number];
            Some((number, moved(record).filter(|path| *path != record.path)?))
        });
        let renamed: Vec<(usize, String)> = renamed.collect();
        self.has_moved_structs |= !renamed.is_empty();
        self.paths.rename(&mut self.index, renamed);
    }

    /// Says the declarations for the struct at a path of the file of another path too, under which the state has it.
    pub(super) fn declare_at(&mut self, path: &str, own: &str) {
        self.index.edits.declare_at(path, own);
        let states: Vec<String> = self.optimizers.iter().map(FileOptimizer::state).collect();
        let moved = |level: &String| {
            let mut below = states.iter().filter_map(|state| Some((state, strip(level, state)?)));
            below.find_map(|(state, parameter)| Some(join(state, &join(own, strip(parameter, path)?))))
        };
        let more: Vec<String> = self.index.edits.anew.iter().filter_map(moved).collect();
        self.index.edits.anew.extend(more);
    }

    /// The names at and below `at` that come near a name, for a message.
    pub(super) fn near(&self, at: &str, wanted: &str) -> Option<String> {
        let names: BTreeSet<&str> = self
            .beginning_with(at)
            .filter_map(|name| below(name, at))
            .take(10_000)
            .collect();
        let scored = names
            .into_iter()
            .map(|name| (strsim::normalized_damerau_levenshtein(name, wanted), name));
        let near = scored
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(score, _)| *score >= 0.6);
        near.map(|(_, name)| name.to_owned())
    }
}

/// The name relative to the struct at `at`, if it lies below.
fn below<'n>(name: &'n str, at: &str) -> Option<&'n str> {
    strip(name, at).filter(|below| !below.is_empty())
}

/// The text that every name begins with which a pattern below `at` finds.
fn beginning(at: &str, pattern: &Pattern) -> String {
    if at.is_empty() {
        pattern.literal().to_owned()
    } else {
        format!("{at}.{}", pattern.literal())
    }
}
