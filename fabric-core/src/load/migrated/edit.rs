//! An index that is being edited.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::memory::Memory;
use super::optimizers::FileOptimizer;
use super::{Problem, Recipes};
use crate::entry::{join, strip};
use crate::format::manifest::StructRecord;
use crate::load::raw::RawCheckpoint;
use crate::migrate::{Captures, Pattern};
use crate::source::{Index, Origin, Source, StoredTensor};
use crate::value::Value;

/// An index in the middle of a migration.
#[derive(Clone)]
pub(super) struct Edit {
    pub(super) index: Index,
    pub(super) source: Arc<dyn Source>,
    /// The optimizers of the file, whose groups are taken apart.
    pub(super) optimizers: Vec<FileOptimizer>,
    /// The levels of the optimizers' state that the load restores; `None` for all of the file.
    pub(super) states: Option<Vec<String>>,
    pub(super) has_state: bool,
    /// Tensors that the program made.
    pub(super) memory: Memory,
    /// The word that is followed, for the origins of entries.
    word: String,
}

/// An entry that is taken out of an index.
pub(super) enum Taken {
    Tensor(StoredTensor),
    Value(Value),
    Filtered,
}

impl Edit {
    pub(super) fn new(file: &RawCheckpoint, recipes: &Recipes<'_>) -> Self {
        let index = (*file.index).clone();
        Self {
            optimizers: FileOptimizer::all(&index),
            index,
            source: file.source.clone(),
            states: recipes.states.clone(),
            has_state: recipes.has_state,
            memory: Memory::default(),
            word: String::new(),
        }
    }

    /// The edited index, and the source of its bytes.
    pub(super) fn finish(mut self) -> (Index, Arc<dyn Source>) {
        for optimizer in &self.optimizers {
            optimizer.write(&mut self.index);
        }
        let source = self.reader();
        (self.index, source)
    }

    /// The source of the file, with the tensors that the program has made.
    pub(super) fn reader(&self) -> Arc<dyn Source> {
        self.memory.beside(self.source.clone())
    }

    /// Begins to follow a word.
    pub(super) fn begin(&mut self, word: String) {
        self.word = word;
    }

    /// The entries, filtered ones too, of which a pattern below `at` is the whole name.
    pub(super) fn whole(&self, at: &str, pattern: &Pattern) -> Vec<(Captures, String)> {
        let beginning = beginning(at, pattern);
        let names = self.beginning_with(&beginning);
        let found = names.filter_map(|name| Some((pattern.whole(below(name, at)?)?, name.to_owned())));
        found.collect()
    }

    /// The entries, filtered ones too, of which a pattern below `at` is the name or a level above: the texts of the stars, the rest of
    /// the name, and the name.
    pub(super) fn start(&self, at: &str, pattern: &Pattern) -> Vec<(Captures, String, String)> {
        let beginning = beginning(at, pattern);
        let names = self.beginning_with(&beginning);
        let found = names.filter_map(|name| {
            let (captures, rest) = pattern.start(below(name, at)?)?;
            Some((captures, rest.to_owned(), name.to_owned()))
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
            return Err(Problem::Clause("it would leave an entry without a name".to_owned()));
        }
        if self.index.contains(name) || self.is_filtered(name) {
            return Err(Problem::Clause(format!("two entries would have the name `{name}`")));
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

    /// Gives every entry that a pattern finds, and every struct there, a new name. Returns the number of entries.
    pub(super) fn rename(&mut self, at: &str, from: &Pattern, to: &Pattern) -> Result<usize, Problem> {
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
        let mut parameters = Vec::new();
        for (name, new, taken, origin, cast, cut) in moved {
            match &taken {
                Taken::Tensor(_) => parameters.push((name, new.clone())),
                Taken::Value(_) => self.rename_optimizer(name, &new),
                Taken::Filtered => {}
            }
            self.put(&new, taken, origin)?;
            self.index.edits.casts.extend(cast.map(|info| (new.clone(), info)));
            self.index.cuts.extend(cut.map(|cut| (new, cut)));
        }
        // The optimizers have their new names by now.
        for (name, new) in parameters {
            self.rename_parameter(name, &new)?;
        }
        self.rename_structs(at, from, to);
        Ok(found.len())
    }

    /// `proj.*` moves the struct `proj` too.
    fn rename_structs(&mut self, at: &str, from: &Pattern, to: &Pattern) {
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
        for record in &mut self.index.structs {
            if let Some(path) = moved(record) {
                record.path = path;
            }
        }
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
